"""Where a build context comes from: a folder, a tar on standard input, a URL; and its Dockerfile and `.dockerignore`.

A URL is a git repository (`https://….git#ref:subdir`, `git@host:path`), a tar, or a Dockerfile without a context.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from minidocker.build.context import Context
from minidocker.build.gitref import parse_context, redacted
from minidocker.build.remotes import Remotes, kind
from minidocker.build.unpack import unpack
from minidocker.content import Store
from minidocker.dockerfile import Dockerfile
from minidocker.dockerignore import Ignore
from minidocker.errors import DockerfileError, InvalidArgument
from minidocker.tree import Tree

MAX_DOCKERFILE = 10 << 20  # bytes


def open_context(
    store: Store,
    scratch: Path,
    path: str | os.PathLike[str] | None,
    archive: BinaryIO | None = None,
    dockerfile: str | os.PathLike[str] | None = None,
    text: str | None = None,
    *,
    keep: bool = False,
) -> tuple[Context, Dockerfile]:
    """The context and its Dockerfile: a folder, a tar, a URL, or, with none of them, only the Dockerfile's `text`.

    `<Dockerfile>.dockerignore` goes before `.dockerignore`. What comes from elsewhere is spread out in the new folder
    `scratch`; `keep` is for the `.git` of a repository. Raises InvalidArgument, DockerfileError, BuildError…
    """
    name = os.fspath(dockerfile or "Dockerfile")
    if archive is not None:
        scratch.mkdir()
        context = Context.tar(archive, scratch)
        read, ready = _reader(context), context.without
    elif path is not None and is_remote(path):
        context, alone = fetch_context(store, scratch, str(path), keep=keep)
        read, ready = _reader(context), context.without
        text = alone if text is None else text
    elif path is not None:
        root = _folder(path)
        digests = store.root / "cache" / "contexts" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
        read, ready = partial(_read_file, root), partial(Context.folder, root, cache=digests)
    elif text is not None:
        return Context.empty(), Dockerfile.parse(text, name)
    else:
        raise TypeError("Either path or fileobj needs to be specified")
    content = text if text is not None else read(name)
    if content is None:
        raise DockerfileError(f"failed to read dockerfile: open {name}: no such file or directory", name)
    parsed = Dockerfile.parse(content, Path(name).name if Path(name).is_absolute() else name)
    return ready(_ignore(read, name if text is None else "")), parsed


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a context is a URL; a folder of that name goes before. Raises InvalidArgument."""
    text = os.fspath(path)
    try:
        return not Path(text).is_dir() and bool(parse_context(text) or kind(text))
    except ValueError as error:
        raise InvalidArgument(f"unable to prepare context: {redacted(text)}: {error}") from None


def fetch_context(store: Store, scratch: Path, where: str, *, keep: bool = False) -> tuple[Context, str | None]:
    """The context that a URL gives: a repository, a tar; or a Dockerfile, which is given back. Raises BuildError."""
    remotes = Remotes(store.root / "cache" / "remote", scratch)
    git = parse_context(where)
    if git is not None:
        tree = remotes.repository(replace(git, keep=git.keep or keep)).tree()
        return Context(lambda: tree, git.shown), None
    tree, name = remotes.ask(where).tree(), redacted(where)
    entry = tree[tree.paths[-1]]
    scratch.mkdir(exist_ok=True)
    archive = unpack(entry.data, name, scratch)
    if archive is not None:
        files = Tree(dict(archive.items()))
        return Context(lambda: files, name), None
    if entry.size > MAX_DOCKERFILE:
        raise DockerfileError("failed to read dockerfile: it is larger than 10 MB", name)
    return Context(Tree, name), entry.data.read().decode(errors="surrogateescape")


def dockerignore(path: str | os.PathLike[str], dockerfile: str = "Dockerfile") -> Ignore:
    """What a build of the folder leaves out of its context. Raises InvalidArgument, DockerfileError."""
    return _ignore(partial(_read_file, _folder(path)), dockerfile)


def _ignore(read: Callable[[str], bytes | None], dockerfile: str) -> Ignore:
    """`<Dockerfile>.dockerignore`, else `.dockerignore`, else nothing."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        if (content := read(name)) is not None:
            return Ignore.parse(content.decode(errors="surrogateescape"), name)
    return Ignore()


def _folder(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    root = Path(text)
    if not root.is_dir():
        why = "is not a directory" if root.exists() else "not found"
        raise InvalidArgument(f'unable to prepare context: path "{text}" {why}')
    return root.resolve()


def _read_file(root: Path, name: str) -> bytes | None:
    path = root / name
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_DOCKERFILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DockerfileError(f"failed to read dockerfile: read {path.name}: {error.strerror}", path.name) from error
    if len(content) > MAX_DOCKERFILE:
        raise DockerfileError("failed to read dockerfile: it is larger than 10 MB", path.name)
    return content


def _reader(context: Context) -> Callable[[str], bytes | None]:
    """Read a small file of a context that came as a tar."""

    def read(name: str) -> bytes | None:
        try:
            entry = context.tree[context.tree.resolve(name)]
        except (OSError, KeyError):
            return None
        if entry.kind != "file" or entry.size > MAX_DOCKERFILE:
            raise DockerfileError(f"failed to read dockerfile: {name} is not a file of a sensible size", name)
        return entry.data.read()

    return read
