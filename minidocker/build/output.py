"""What comes out of a build: `-o type=oci,dest=app.tar`, and all that goes with it.

    oci, docker   the image as a tar (or a folder, with tar=false): layers gzipped, as zstd or uncompressed
    local, tar    the files of the target, as a folder or a tar
    image         the image in this engine; every build leaves it there too
    registry      that, and pushed under its names

`-o out` is a folder, `-o -` a tar on stdout. What has a destination is written beside it and put there as a whole.
Several platforms become one index, or a folder each.

    >>> Output.parse("out"), Output.parse("-")
    (Output(kind='local', dest='out'), Output(kind='tar', dest='-'))
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from minidocker.build.annotations import Notes
from minidocker.build.specs import fields, pairs, truth
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.layout import SUFFIX, Packing, level_of
from minidocker.reference import Reference

IMAGES = ("oci", "docker")
FILES = ("local", "tar")


@dataclass(frozen=True)
class Output:
    """One `-o`. `dest` is "" where none was given; what is left of the options is read when it is made."""

    kind: str
    dest: str
    packing: Packing = field(default_factory=Packing, repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)
    notes: Notes = field(default_factory=Notes, repr=False)
    as_tar: bool = field(default=True, repr=False)
    split: bool | None = field(default=None, repr=False)
    prefix: str = field(default="", repr=False)
    push: bool = field(default=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Output:
        """Read one. Raises InvalidArgument, Unsupported."""
        if fields(text) == [text] and not text.startswith("type="):
            return cls("tar" if text == "-" else "local", text)
        options = pairs(text)
        kind, dest = options.pop("type", ""), options.pop("dest", "")
        if not kind:
            raise InvalidArgument("type is required for output")
        push = truth(options, "push", kind == "registry") if kind in ("registry", "image") else False
        kind = "image" if kind == "registry" else kind
        if kind not in (*IMAGES, *FILES, "image", "cacheonly"):
            raise InvalidArgument(f"exporter {kind!r} could not be found: oci, docker, tar, local or image")
        output = cls(kind, dest, notes=Notes.of_options(options), push=push)
        options = {key: value for key, value in options.items() if not key.startswith("annotation")}
        output = output._of_files(options) if kind in FILES else output._of_image(options)
        if options:
            raise InvalidArgument(f"unknown attribute for output type={kind}: {min(options)}")
        return output

    def _of_image(self, options: dict[str, str]) -> Output:
        names = tuple(name for name in options.pop("name", "").split(",") if name)
        for name in names:
            Reference.parse(name)
        truth(options, "rewrite-timestamp")  # with SOURCE_DATE_EPOCH, no file in a layer that we make is younger
        if self.kind == "image":
            return replace(self, names=names)
        force, kind = truth(options, "force-compression"), options.pop("compression", "gzip")
        if kind == "estargz":
            raise Unsupported("compression=estargz is not supported: use gzip, zstd or uncompressed")
        if kind not in SUFFIX:
            raise InvalidArgument(f"unsupported compression type {kind}: gzip, zstd or uncompressed")
        docker = not truth(options, "oci-mediatypes", self.kind == "oci" or kind == "zstd") and kind != "zstd"
        packing = Packing(kind, level_of(kind, options.pop("compression-level", "")), force, docker)
        as_tar = truth(options, "tar", True)
        return replace(self, names=names, packing=packing, as_tar=as_tar)

    def _of_files(self, options: dict[str, str]) -> Output:
        split = truth(options, "platform-split") if "platform-split" in options else None
        return replace(self, split=split, prefix=options.pop("attestation-prefix", ""))

    @property
    def is_folder(self) -> bool:
        """Whether a folder comes out."""
        return self.kind == "local" or (self.kind in IMAGES and not self.as_tar)

    @property
    def is_written(self) -> bool:
        """Whether anything comes out but the image in this engine."""
        return self.kind in FILES or self.kind == "oci" or (self.kind == "docker" and bool(self.dest))

    @property
    def to_stdout(self) -> bool:
        """Whether it goes to standard output."""
        return self.is_written and self.dest in ("", "-") and not self.is_folder

    def check(self, is_terminal: bool) -> None:
        """Refuse a destination that cannot be, before anything is built. Raises InvalidArgument."""
        if not self.is_written:
            return
        there = Path(self.dest)
        if self.is_folder and self.dest in ("", "-"):
            problem = "dest cannot be stdout" if self.dest else "dest is required"
            raise InvalidArgument(f"{problem} for {self.kind} exporter")
        if self.is_folder and there.exists() and not there.is_dir():
            raise InvalidArgument(f"destination directory should be a directory: {self.dest}")
        if self.is_folder:
            return
        if self.to_stdout:
            if is_terminal:
                what = f"dest file is required for {self.kind} exporter"
                raise InvalidArgument(f"{what}. refusing to write to console")
        elif there.is_dir():
            raise InvalidArgument(f"destination file should be a file: {self.dest} is a directory")
        elif not there.absolute().parent.is_dir():
            raise InvalidArgument(f"failed to open {self.dest}: no such directory: {there.parent}")
