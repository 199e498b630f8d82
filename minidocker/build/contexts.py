"""`--build-context name=value`: what a name in FROM, `COPY --from` and `RUN --mount from` stands for instead.

    ../folder   https://example.org/a.git#v1      files: what is in them, or, of any other URL, the file `context`
    docker-image://busybox:1   oci-layout://folder[:tag][@digest]      an image

A name goes before the image, and before the stage, that is called so. `busybox` is `busybox:latest` and no other tag.

    >>> contexts = Contexts({"docker.io/library/busybox:latest": "docker-image://busybox:1.36"})
    >>> contexts.value("busybox"), contexts.value("busybox:1"), contexts.image("busybox")
    ('docker-image://busybox:1.36', '', 'busybox:1.36')
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from minidocker.archive import from_layout
from minidocker.build.context import Context
from minidocker.build.opening import dockerignore, fetch_context, is_remote
from minidocker.build.remotes import kind
from minidocker.content import Store
from minidocker.dockerfile import Dockerfile, Stage
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.image import Image
from minidocker.images import Images
from minidocker.reference import Reference
from minidocker.tree import Tree

IMAGE, LAYOUT, TARGET = "docker-image://", "oci-layout://", "target:"
NOTHING = f"{IMAGE}scratch"
NEVER = ("scratch", "context")  # names that always mean the same


class Contexts:
    """The named contexts of a build. Files are looked at when somebody asks for them, and once."""

    def __init__(self, given: Mapping[str, str] | Sequence[str] = ()) -> None:
        if not isinstance(given, Mapping):
            if wrong := [text for text in given if "=" not in text]:
                raise InvalidArgument(f"invalid context value: {wrong[0]}, expected key=value")
            given = dict(text.split("=", 1) for text in given)
        self.given = {_known_name(name): os.fspath(value) for name, value in given.items()}
        self.open: dict[str, Context] = {}
        self.lock = threading.Lock()
        for name, value in self.given.items():
            _check(name, value)

    def value(self, name: str) -> str:
        """What a name stands for; "" where it is only itself."""
        if not self.given or name.lower() in NEVER:
            return ""
        try:
            return self.given.get(familiar(name), "")
        except InvalidArgument:
            return ""

    def image(self, name: str) -> str:
        """The name of the image that a name stands for; "" where it is no other one of the store."""
        value = self.value(name)
        return value.removeprefix(IMAGE) if value.startswith(IMAGE) else ""

    def is_files(self, name: str) -> bool:
        """Whether a name stands for files."""
        value = self.value(name)
        return value == NOTHING or bool(value and not value.startswith((IMAGE, LAYOUT)))

    def is_layout(self, name: str) -> bool:
        """Whether a name stands for an image in an OCI layout."""
        return self.value(name).startswith(LAYOUT)

    def layout(self, name: str, images: Images) -> Image | None:
        """The image of the OCI layout that a name stands for, brought into the store. Raises ImageLoadError."""
        if not self.is_layout(name):
            return None
        folder, tag, digest = _layout(self.value(name))
        return from_layout(images, Context.folder(folder).tree, tag, digest)

    def files(self, name: str, store: Store, scratch: Path) -> Context | None:
        """The files that a name stands for; None where it is an image, or itself. Raises BuildError."""
        value, key = self.value(name), name.lower()
        if value == NOTHING or not self.is_files(name):
            return Context(Tree) if value == NOTHING else None
        with self.lock:
            if key not in self.open:
                self.open[key] = _opened(value, store, scratch / f"context-{len(self.open)}")
            return self.open[key]

    def save(self) -> None:
        """Remember the digests of files."""
        for context in self.open.values():
            context.digests.save()

    def stands_in(self, dockerfile: Dockerfile) -> Dockerfile:
        """The Dockerfile with each stage that is replaced as nothing but a FROM of what goes in its place."""

        def instead(stage: Stage) -> Stage:
            if not stage.name or not self.value(stage.name):
                return stage
            origin = replace(stage.origin, args=(stage.name, "AS", stage.name))
            return replace(stage, base=stage.name, platform="", origin=origin, instructions=())

        return replace(dockerfile, stages=tuple(map(instead, dockerfile.stages))) if self.given else dockerfile


def familiar(name: str) -> str:
    """A name as it is compared. Raises InvalidArgument."""
    return str(Reference.parse(name)).removesuffix(":latest")


def _known_name(name: str) -> str:
    try:
        return familiar(name)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid context name {name}: {error.explanation}") from None


def _check(name: str, value: str) -> None:
    """Refuse what cannot be, before anything is built."""
    if value.startswith(TARGET):
        raise Unsupported(f"--build-context {name}={value} is not supported: only `docker buildx bake` knows targets")
    if value.startswith(IMAGE):
        Reference.parse(value.removeprefix(IMAGE))
    elif value.startswith(LAYOUT) or not is_remote(value):
        folder = _layout(value)[0] if value.startswith(LAYOUT) else Path(value)
        if not folder.is_dir():
            why = "not a directory" if folder.exists() else "no such file or directory"
            raise InvalidArgument(f"failed to get build context {name}: stat {folder}: {why}")


def _layout(value: str) -> tuple[Path, str, str]:
    path, _, digest = value.removeprefix(LAYOUT).partition("@")
    head, colon, tag = path.rpartition(":")
    if not colon or "/" in tag or "\\" in tag:
        head, tag = path, ""
    return Path(head), tag, digest


def _opened(value: str, store: Store, scratch: Path) -> Context:
    if not is_remote(value):
        root = Path(value).resolve()
        digests = store.root / "cache" / "contexts" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
        return Context.folder(root, dockerignore(root, ""), cache=digests)
    if kind(value) == "URL":
        from minidocker.build.remotes import Remotes

        tree = Remotes(store.root / "cache" / "remote", scratch).ask(value).tree()
        return Context(lambda: Tree({"/context": tree[tree.paths[-1]]}))
    scratch.parent.mkdir(exist_ok=True)
    return fetch_context(store, scratch, value)[0]
