"""An image: a manifest that names a configuration and a stack of layers.

The image id is the digest of the configuration, which lists the diff ids of the layers: so an image can never change.
Images are made and found by `minidocker.images`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.content import Descriptor, Store
from minidocker.drawn import Drawn
from minidocker.errors import InvalidArgument, NotFound
from minidocker.layer import WHITEOUT, Changeset, chain_ids, view
from minidocker.manifest import check_config, check_manifest, type_of
from minidocker.times import NEVER, unix_time
from minidocker.tree import Entry, Tree, clean, parents
from minidocker.union import Answer, Blame, blame, lookup

if TYPE_CHECKING:
    from minidocker.explain import Explanation
    from minidocker.images import Images

CONFIG: dict[str, Any] = {  # the keys of `Config` that Docker's clients read, where the image says nothing
    **dict.fromkeys("Hostname Domainname User Image WorkingDir".split(), ""),
    **dict.fromkeys("AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce".split(), False),
    **dict.fromkeys("Env Cmd Entrypoint Volumes OnBuild Labels".split()),
}


class Layer(Drawn):
    """One layer of an image in the store: its blob, what it changes, and the instruction that made it.

    `size` is Docker's: bytes of file content. `below` are the layers that it lies on, bottom first.
    """

    def __init__(self, store: Store, descriptor: Descriptor, diff_id: str, created_by: str = "") -> None:
        self.store, self.descriptor, self.diff_id, self.created_by = store, descriptor, diff_id, created_by
        self.below: tuple[Layer, ...] = ()

    @property
    def changes(self) -> Changeset:
        """The layer as a value. Raises CorruptBlob, LayerError."""
        return self.store.layer(self.descriptor, self.diff_id)

    @cached_property
    def size(self) -> int:
        """Bytes of file content in it."""
        return self.store.layer_size(self.descriptor, self.diff_id)

    def path(self) -> Path:
        """The layer unpacked as a lower directory for the kernel's overlay; made on first use (Linux)."""
        from minidocker.runtime.overlay import unpack

        stack = tuple(layer.diff_id for layer in (*self.below, self))
        known = self.store.unpacked.get(stack)
        if known is not None and known.exists():
            return known
        changes, name = self.changes, self.diff_id
        listed = {*changes.opaque, *(up for path in changes for up in parents(path))}
        if self.below and (implied := listed - changes.keys() - {"/"}):
            # Directories that the tar leaves out are as in the layers below, so the folder belongs to the stack.
            lower = view(tuple(layer.changes for layer in self.below))
            changes = Changeset({**changes, **{up: lower[up] for up in implied if up in lower}}, changes.opaque)
            name = chain_ids(stack)[-1]
        target = self.store.root / "layers" / name.partition(":")[2]
        if not target.exists():
            with self.store.lock():
                if not target.exists():
                    unpack(changes, target)
        self.store.unpacked[stack] = target
        return target

    def unpacked(self) -> Path | None:
        """Where it is unpacked; None where nobody needed that yet."""
        stack = tuple(layer.diff_id for layer in (*self.below, self))
        places = (self.store.root / "layers" / name.partition(":")[2] for name in (chain_ids(stack)[-1], self.diff_id))
        return next(filter(Path.exists, places), None)

    def __repr__(self) -> str:
        return f"<Layer: {self.diff_id[:19]} {self.created_by!r}>"


class Image(Drawn):
    """An image in the store. Attributes and methods are those of Docker's SDK, plus `layers`, `tree()`, `blame()`…

    Reading it raises CorruptBlob or InvalidArgument where its manifest or configuration is not what it should be.
    """

    def __init__(self, images: Images, manifest: str) -> None:
        self.images, self.store, self.manifest_digest = images, images.store, manifest
        self.manifest = check_manifest(self.store.read_json(manifest))
        self.id: str = self.manifest["config"]["digest"]
        self.raw = check_config(self.store.read_json(self.id), len(self.manifest["layers"]))

    @property
    def short_id(self) -> str:
        """The first twelve hex digits of the id, with its algorithm."""
        return self.id[:19]

    @property
    def config(self) -> dict[str, Any]:
        """What a container starts with: `Cmd`, `Env`, `WorkingDir`…"""
        return self.raw.get("config") or {}

    @property
    def diff_ids(self) -> list[str]:
        """The digests of the layers' tars, bottom first."""
        return list(self.raw["rootfs"]["diff_ids"])

    @property
    def tags(self) -> list[str]:
        """The names that point here now."""
        return self.images.names(self.id).get(self.id, [])

    @property
    def digests(self) -> list[str]:
        """What it is called in registries, `app@sha256:…`: where it came from, or went to."""
        return self.images.digests(self.id).get(self.id, [])

    @property
    def descriptor(self) -> Descriptor:
        """How an index points to it."""
        size = self.store.path(self.manifest_digest).stat().st_size
        return Descriptor(type_of(self.manifest), self.manifest_digest, size)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the Dockerfile set."""
        return self.config.get("Labels") or {}

    @cached_property
    def size(self) -> int:
        """Bytes of file content in all layers."""
        return sum(layer.size for layer in self.layers)

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers, bottom first, each knowing the instruction that made it."""
        made = [line.get("created_by", "") for line in self.raw.get("history") or [] if not line.get("empty_layer")]
        blobs = [Descriptor.from_json(layer) for layer in self.manifest["layers"]]
        made = made if len(made) == len(blobs) else [""] * len(blobs)
        layers = [Layer(self.store, *parts) for parts in zip(blobs, self.diff_ids, made, strict=True)]
        for number, layer in enumerate(layers):
            layer.below = tuple(layers[:number])
        return layers

    def tree(self) -> Tree:
        """What a container of this image sees before it writes."""
        return view(tuple(layer.changes for layer in self.layers))

    def history(self) -> list[dict[str, Any]]:
        """How it was made, newest first, as `docker history` lists it."""
        sizes = iter([layer.size for layer in self.layers])
        lines = [
            {
                "Id": "<missing>",
                "Created": unix_time(line.get("created")),
                "CreatedBy": line.get("created_by", ""),
                "Tags": None,
                "Size": 0 if line.get("empty_layer") else next(sizes, 0),
                "Comment": line.get("comment", ""),
            }
            for line in self.raw.get("history") or []
        ][::-1]
        if lines:
            lines[0] |= {"Id": self.id, "Tags": self.tags or None}
        return lines

    @property
    def attrs(self) -> dict[str, Any]:
        """What `docker inspect` prints."""
        history = self.raw.get("history") or [{}]
        return {
            "Id": self.id,
            "RepoTags": self.tags,
            "RepoDigests": self.digests,
            "Parent": "",
            "Comment": history[-1].get("comment", ""),
            "Created": self.raw.get("created") or NEVER,
            "DockerVersion": "",
            "Author": self.raw.get("author", ""),
            "Config": CONFIG | self.config,
            "Architecture": self.raw.get("architecture", ""),
            "Os": self.raw.get("os", ""),
            "Size": self.size,
            "VirtualSize": self.size,
            "GraphDriver": {"Name": "overlay2", "Data": {"Root": str(self.store.root / "layers")}},
            "RootFS": {"Type": "layers", "Layers": self.diff_ids},
            "Metadata": {"LastTagTime": NEVER},
        }

    def tag(self, repository: str, tag: str | None = None, **_: Any) -> bool:
        """Give it one more name; a name that pointed elsewhere moves."""
        self.images.tag(self, f"{repository}:{tag}" if tag else repository)
        return True

    def remove(self, force: bool = False, noprune: bool = False) -> list[dict[str, str]]:
        """Remove it with all its names."""
        return self.images.remove(self.id, force=force, noprune=noprune)

    def save(self, chunk_size: int = 1 << 20, named: bool | str = False) -> Iterator[bytes]:
        """The bytes of a tar that `docker load` takes, piece by piece."""
        from minidocker.archive import save

        if isinstance(named, str) and named not in self.tags:
            raise InvalidArgument(f"{named} is not a valid tag for this image")
        names = self.tags if named is True else [named] if named else []
        return save([(self, names)], chunk_size)

    def reload(self) -> None:
        """An image never changes; kept for code written for Docker's SDK."""

    def lookup(self, path: str) -> list[Answer]:
        """What each layer, top first, says of one path; as `minidocker.union.lookup`."""
        return lookup([layer.changes for layer in self.layers], clean(path))

    def blame(self, under: str = "/") -> list[Blame]:
        """Who answers for every path at or below `under`, and who has it in vain; as `minidocker.union.blame`."""
        return blame([layer.changes for layer in self.layers], under)

    def explain(self) -> Explanation:
        """What each line of its history made, what of that nobody sees, and which lines to change."""
        from minidocker.explain import explain

        return explain(self)

    def cat(self, path: str, layer: int | None = None) -> bytes:
        """The content of a file: as a container sees it (links followed), or as layer number `layer` has it.

        Layers count from the bottom, 1 first. Raises NotFound where there is no such file, saying which layers have
        one, and InvalidArgument for a layer that the image does not have, and for what is no file.
        """
        entries: Mapping[str, Entry] = self.tree()
        if layer is None:
            with contextlib.suppress(OSError):
                path = self.tree().resolve(path)
        elif 1 <= layer <= len(self.layers):
            entries = self.layers[layer - 1].changes
        else:
            raise InvalidArgument(f"there is no layer {layer} in this image: they are numbered 1 to {len(self.layers)}")
        where = f"layer {layer}" if layer else "this image"
        entry = entries.get(clean(path), WHITEOUT)
        if entry == WHITEOUT:
            raise NotFound(f"Could not find the file {path} in {where}: {self._elsewhere(path)}")
        if entry.kind != "file":
            what = f"symbolic link to {entry.target}" if entry.kind == "symlink" else entry.kind
            raise InvalidArgument(f"{path} in {where} has no content to show: it is a {what}")
        return entry.data.read()

    def _elsewhere(self, path: str) -> str:
        """What the layers say of a file that was looked for in vain."""
        said = [answer for answer in self.lookup(path) if answer.verdict != "silent"][::-1]
        words = [f"layer {one.layer + 1} {'deletes' if one.verdict == 'hides' else 'has'} it" for one in said]
        has = [one.layer + 1 for one in said if one.entry and one.entry.kind == "file"]
        hint = f"; cat({path!r}, layer={has[-1]}) shows it" if has else ""
        return (", ".join(words) or "no layer has it") + hint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Image: {', '.join(repr(tag) for tag in self.tags)}>"
