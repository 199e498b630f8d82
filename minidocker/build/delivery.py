"""What a build gives is brought to where it was asked for: images as layouts, files as folders or tars, facts as JSON.

Everything is looked at before the build, so that nothing is built that could not be delivered.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from minidocker import layertar
from minidocker.build import cachefrom
from minidocker.build.annotations import Notes
from minidocker.build.cacheto import Target, export
from minidocker.build.output import FILES, IMAGES, Output
from minidocker.build.provenance import Attest, about_image, attach, predicate, statement
from minidocker.build.specs import texts
from minidocker.build.spread import spread
from minidocker.build.step import Build, Options
from minidocker.content import INDEX, MANIFEST, Descriptor, Store, temp_path, write_atomic
from minidocker.dockerfile.lint import FALSE
from minidocker.errors import APIError, BuildError, InvalidArgument, Unsupported
from minidocker.image import Image
from minidocker.layer import Changeset
from minidocker.layout import Layout, write_stream
from minidocker.manifest import dump
from minidocker.platforms import Platform
from minidocker.reference import Reference
from minidocker.tree import Entry, Tree, directory, file

LISTS = "docker exporter does not currently support exporting manifest lists: use --output type=oci,dest=FILE"


@dataclass(frozen=True)
class Delivery:
    """Where the results of a build go, and what is said of them."""

    outputs: tuple[Output, ...] = ()
    names: tuple[str, ...] = ()
    attest: Attest | None = None
    notes: Notes = field(default_factory=Notes)
    platforms: tuple[Platform, ...] = ()
    index: bool = False  # more than one platform, or asked for
    metadata: str = ""
    iid: str = ""
    stdout: BinaryIO | None = None
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[Target, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str], platform: str, args: Mapping[str, str], options: dict[str, Any]) -> Delivery:
        """Take what is meant for here out of the options of a build. Raises InvalidArgument, Unsupported."""
        platforms = tuple(dict.fromkeys(Platform.parse(one.strip()) for one in platform.split(",")))
        outputs = tuple(Output.parse(text) for text in texts(options.pop("output", None)))
        attest = Attest.of(options.pop("provenance", None), texts(options.pop("attest", None)))
        if str(options.pop("sbom", None) or "false").lower() not in FALSE:
            raise Unsupported("--sbom is not supported: minidocker does not scan what is in an image")
        if options.pop("push", False):
            outputs = (*outputs, Output("image", "", push=True))
        loads = bool(options.pop("load", False))
        notes = Notes.parse(texts(options.pop("annotations", None)))
        metadata, iid = (str(options.pop(key, None) or "") for key in ("metadata_file", "iidfile"))
        index = len(platforms) > 1 or args.get("BUILDKIT_MULTI_PLATFORM", "") not in ("", *FALSE)
        names = tuple(name for name in names if name)
        stdout = options.pop("stdout", None)
        cached = tuple(texts(options.pop("cache_from", None)))
        cachefrom.check(cached)
        caches = [Target.parse(text) for text in texts(options.pop("cache_to", None))]
        if args.get("BUILDKIT_INLINE_CACHE", "") not in ("", *FALSE):
            caches.append(Target("inline"))
        one = cls(outputs, names, attest, notes, platforms, index, metadata, iid, stdout, cached, tuple(caches))
        one.check(loads)
        return one

    def options(self, options: Options) -> Iterator[Options]:
        """What each platform is built with. Where an index comes out, the name is that one's."""
        for platform in self.platforms:
            notes = self.notes.of("manifest", platform)
            inline = any(target.kind == "inline" for target in self.cache_to)
            one = replace(options, annotations=notes, cache_from=self.cache_from, inline_cache=inline)
            one = replace(one, platform=str(platform) if options.platform else "")
            yield replace(one, tags=()) if self.index else one

    def check(self, loads: bool) -> None:
        """Refuse what cannot be, before anything is built. Raises InvalidArgument, Unsupported."""
        for output in self.outputs:
            if output.push and not self._names(output):
                raise InvalidArgument("tag is needed when pushing to registry")
            output.check(output.to_stdout and self._stdout().isatty())
        for path in (self.metadata, self.iid):
            if path and not Path(path).absolute().parent.is_dir():
                raise InvalidArgument(f"failed to open {path}: no such directory: {Path(path).parent}")
        if sum(output.to_stdout for output in self.outputs) > 1:
            raise InvalidArgument("only one output can go to stdout")
        written = [output for output in self.outputs if output.is_written]
        here = loads or any(not output.is_written and output.kind != "cacheonly" for output in self.outputs)
        many = self.index and (here or not written or any(output.kind == "docker" for output in written))
        if many or (self.attest and any(output.kind == "docker" for output in written)):
            raise Unsupported(LISTS)
        if self.attest and not written and not self.metadata:
            raise Unsupported(
                "--provenance: this engine keeps images, and has no place for what is said of them: use "
                "--output type=oci,dest=FILE, or --metadata-file"
            )
        for notes in (self.notes, *(output.notes for output in written)):
            notes.check(indexed=self.index or bool(self.attest), written=any(one.kind in IMAGES for one in written))

    # Out

    def deliver(self, store: Store, builds: Sequence[Build]) -> None:
        """Bring the results of a build, one for each platform, to where they go; of a forecast, nothing.

        Raises BuildError, InvalidArgument.
        """
        if builds[0].image is None:
            return
        scratch = temp_path(store.root / "tmp" / "output")
        results = list(zip(self.platforms, builds, strict=True))
        image = _image(builds[0])
        builds[0].platforms = {str(platform): _image(build) for platform, build in results}
        top = Descriptor(MANIFEST, image.manifest_digest, store.path(image.manifest_digest).stat().st_size)
        said = top.to_json() | {"platform": self.platforms[0].config}
        try:
            with store.keep():  # or somebody's collection of garbage would take what is being written
                scratch.mkdir(parents=True)
                for output in self.outputs:
                    if output.kind in FILES:
                        self._files(output, results)
                    elif output.is_written:
                        said = self._image(output, results, scratch)
                    else:
                        for name in output.names:
                            image.tag(name)
                        if output.push:
                            self._push(self._names(output), image)
                for target in self.cache_to:
                    if target.kind == "local":
                        with suppress(*(APIError, OSError) if target.lenient else ()):
                            export(target, builds, store, scratch)
                self._tell(said, results)
        except OSError as error:
            raise BuildError(f"{error.strerror or error}: {error.filename or store.root}") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _push(self, names: Sequence[str], image: Image) -> None:
        """Push an image under its names. Raises BuildError."""
        for name in map(Reference.parse, names):
            try:
                image.images.push_one(name)
            except APIError as error:
                raise BuildError(f"failed to push {name.full}: {error.explanation}") from error

    def _names(self, output: Output) -> tuple[str, ...]:
        return self.names or output.names

    def _image(self, output: Output, results: list[tuple[Platform, Build]], scratch: Path) -> dict[str, Any]:
        """An OCI or Docker layout; the descriptor of what it holds."""
        layout, names = Layout(scratch), self._names(output)
        notes = self.notes.joined(output.notes)
        entries, attestations = [], []
        for platform, build in results:
            manifest = layout.image(_image(build), output.packing, notes.of("manifest", platform))
            about = notes.of("manifest-descriptor", platform)
            entries.append(manifest.to_json() | _noted(about) | {"platform": platform.config})
            if self.attest:
                said = statement(self.attest, predicate(self.attest, build), about_image(manifest, names, platform))
                attestations.append(attach(layout, self.attest, said, manifest))
        if self.index or attestations:
            kind = output.packing.type(INDEX)
            whole = {"schemaVersion": 2, "mediaType": kind, "manifests": [*entries, *attestations]}
            top = layout.put(dump(whole | _noted(notes.of("index"))), kind).to_json()
            top |= _noted(notes.of("index-descriptor"))
        else:
            top = entries[0]
            if output.kind == "docker":
                layout.docker(_image(results[0][1]), manifest, names)
        entry = {key: value for key, value in top.items() if key != "platform"}
        created = _image(results[0][1]).raw.get("created")
        when = {"org.opencontainers.image.created": created} if created else {}
        layout.name(entry | {"annotations": entry.get("annotations", {}) | when}, names)
        if output.is_folder:
            layout.folder(Path(output.dest))
        else:
            self._write(output, layout.tar())
        return top

    def _files(self, output: Output, results: list[tuple[Platform, Build]]) -> None:
        """The files of the target, of each platform in a folder of its own where there are several."""
        split = self.index if output.split is None else output.split
        whole: dict[str, Entry] = {}
        for platform, build in results:
            place = str(platform).replace("/", "_")
            tree = self._tree(output, build, "" if split else place)
            top = f"/{place}" if split else ""
            epoch = build.options.epoch if build.options else None
            tree = tree | ({"": directory(mtime=epoch or 0)} if split else {})
            for path, entry in tree.items():
                entry = entry if epoch is None else replace(entry, mtime=epoch)
                whole[top + path] = replace(entry, link=top + entry.link) if entry.link else entry
        if output.kind == "local":
            spread(Tree(whole), Path(output.dest))
        else:
            self._write(output, layertar.chunks(Changeset(whole)))

    def _tree(self, output: Output, build: Build, place: str) -> dict[str, Entry]:
        """The files of one platform, with the provenance where it was asked for."""
        tree = {path: entry for path, entry in _image(build).tree().items() if path != "/"}
        if self.attest:
            files = [(path[1:], one.data.digest) for path, one in tree.items() if one.kind == "file"]
            subject = [{"name": name, "digest": {"sha256": digest[7:]}} for name, digest in files]
            said = statement(self.attest, predicate(self.attest, build), subject)
            name = f"provenance.{place}.json" if place and self.index else "provenance.json"
            tree[f"/{output.prefix}{name}"] = file(_pretty(said), 0o600, mtime=build.began // 10**9)
        return tree

    def _write(self, output: Output, chunks: Iterator[bytes]) -> None:
        """To a file, or to stdout."""
        if output.to_stdout:
            out = self._stdout()
            out.writelines(chunks)
            out.flush()
        else:
            write_stream(Path(output.dest), chunks)

    def _stdout(self) -> BinaryIO:
        return self.stdout or sys.stdout.buffer

    def _tell(self, top: dict[str, Any], results: list[tuple[Platform, Build]]) -> None:
        """Write what `--iidfile` and `--metadata-file` ask for."""
        image = _image(results[0][1])
        if self.iid:
            write_atomic(Path(self.iid), (top["digest"] if self.index else image.id).encode())
        if self.metadata:
            write_atomic(Path(self.metadata), _pretty(dict(sorted(self._metadata(top, results)))))

    def _metadata(self, top: dict[str, Any], results: list[tuple[Platform, Build]]) -> Iterator[tuple[str, Any]]:
        for platform, build in results if self.attest else []:
            assert self.attest is not None
            key = f"buildx.build.provenance/{platform}" if self.index else "buildx.build.provenance"
            yield key, predicate(self.attest, build)
        if not self.index:
            yield "containerimage.config.digest", _image(results[0][1]).id
        yield "containerimage.descriptor", top
        yield "containerimage.digest", top["digest"]
        names = self.names or tuple(name for output in self.outputs for name in output.names)
        if names:
            yield "image.name", ",".join(dict.fromkeys(Reference.parse(name).full for name in names))


def _image(build: Build) -> Image:
    assert build.image is not None
    return build.image


def _noted(notes: Mapping[str, str]) -> dict[str, Any]:
    return {"annotations": dict(notes)} if notes else {}


def _pretty(value: Any) -> bytes:
    import json

    return (json.dumps(value, indent=2) + "\n").encode("utf-8", "surrogateescape")
