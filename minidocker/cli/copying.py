"""The commands about a container's files: cp, diff, commit, export, container prune."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import confirm, filters_of, human_size
from minidocker.cli.images import write_out
from minidocker.container import Container
from minidocker.content import Store
from minidocker.errors import APIError
from minidocker.layer import Changeset
from minidocker.reference import Reference
from minidocker.tree import Entry, FileData, Tree, directory

Members = Mapping[str, Entry]  # what is copied, by path below the thing copied; "" is itself


@command(
    """
cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-
cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH

Copy files/folders between a container and the local filesystem

Use '-' as the source to read a tar archive from stdin
and extract it to a directory destination in a container.
Use '-' as the destination to stream a tar archive of a
container source to stdout.

  -L, --follow-link   Always follow symbol link in SRC_PATH
  -q, --quiet         Suppress progress output during copy (there is none)
""",
    refused={"files become root's inside, and yours outside": "a/archive"},
)
def cp(call: Call) -> int:
    """`docker cp`."""
    (source_name, source), (target_name, target) = (_split(text) for text in call.args)
    if source_name and target_name:
        raise Exit(1, "copying between containers is not supported")
    if not source_name and not target_name:
        raise Exit(1, "must specify at least one container source")
    above = Path(os.path.normpath(target)).parent
    if source_name and target != "-" and not above.exists():
        raise Exit(1, f'invalid output path: directory "{above}" does not exist')
    container: Container = call.engine.containers.get(source_name or target_name)
    if source_name and target == "-":
        write_out(container.get_archive(_followed(container, source, call.follow_link))[0], "")
    elif source_name:
        copy_out(container, _followed(container, source, call.follow_link), target)
    elif source == "-":
        container.put_archive(target, sys.stdin.buffer)
    else:
        copy_in(container, os.path.realpath(source) if call.follow_link else source, target, target_name)
    return 0


def _split(text: str) -> tuple[str, str]:
    """`web:/etc` as container and path; a path that is absolute, or starts with a dot, has no container."""
    name, colon, path = text.partition(":")
    if not colon or text.startswith((".", "/")) or Path(text).is_absolute() or "/" in name:
        return "", text
    return name, path


def _seen(container: Container, path: str) -> Tree:
    from minidocker.container.cp import seen

    return seen(container, path)


def _followed(container: Container, path: str, follow: bool) -> str:
    if not follow:
        return path
    if not isinstance(container, Container):
        return container.followed(posixpath.join("/", path))
    try:
        return _seen(container, path).resolve(posixpath.join("/", path))
    except OSError:
        return path


def copy_out(container: Container, source: str, target: str) -> None:
    """From a container to this machine."""
    from minidocker import layertar
    from minidocker.archive import open_plain

    chunks, stat = container.get_archive(source)
    top = "" if stat["name"] in (".", "/") else f"/{stat['name']}"
    with _store(container) as store, open_plain(store, chunks) as plain:
        read = layertar.read(plain.path, lenient=True)
        members = {
            path[len(top) :]: entry for path, entry in read.items() if path.startswith(f"{top}/") and path != "/"
        }
        members[""] = read[top] if top else directory()
        there = Path(target)
        kind = "dir" if there.is_dir() else "file" if os.path.lexists(there) else ""
        parent = "dir" if there.absolute().parent.is_dir() else ""
        into = _destination(source, stat["name"], members[""], target, kind, parent)
        _write(members, Path(into))


def copy_in(container: Container, source: str, target: str, container_name: str) -> None:
    """From this machine into a container."""
    from minidocker import layertar

    members = dict(_read(source))
    inside = posixpath.join("/", target)
    kind, above = _kinds(container, inside, posixpath.dirname(inside.rstrip("/")) or "/")
    name = Path(source).absolute().name or Path(source).resolve().name
    folder, above = posixpath.dirname(inside.rstrip("/")), above.replace("file", "")
    missing = f"Error response from daemon: Could not find the file {folder} in container {container_name}"
    into = _destination(source, name, members[""], inside, kind, above, missing)
    if kind != "dir" or into != inside:  # as one member of the folder above
        folder, top = posixpath.split(into)
        changes = {f"/{top}{path}": entry for path, entry in members.items()}
    else:
        folder = inside
        changes = {path: entry for path, entry in members.items() if path}
    container.put_archive(folder or "/", layertar.chunks(Changeset(changes)))


def _kinds(container: Container, *paths: str) -> list[str]:
    """What is at paths inside, symbolic links followed: `dir`, `file`, or "" where nothing is."""
    if isinstance(container, Container):
        found = (_entry_at(_seen(container, path), path) for path in paths)
        return ["" if one is None else "dir" if one.is_dir else "file" for one in found]
    return [container.kind(path) for path in paths]


@contextmanager
def _store(container: Container) -> Iterator[Store]:
    """Where a tar that comes may be put aside."""
    if isinstance(container, Container):
        yield container.containers.store
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        yield Store(Path(folder))


def _entry_at(tree: Any, path: str) -> Entry | None:
    try:
        found: Entry | None = tree.get(tree.resolve(path))
    except OSError:
        return None
    return found


def _destination(source: str, name: str, top: Entry, target: str, kind: str, parent: str, missing: str = "") -> str:
    """Where the thing goes: docker's rules. `kind` is what is at `target` now ("" nothing), `parent` what is above;
    `missing` says that there is nothing, in docker's words.
    """
    contents = source.endswith("/.") or source == "."
    if kind == "dir":
        return target if contents and top.is_dir else posixpath.join(target, name)
    if top.is_dir and kind == "file":
        raise Exit(1, "cannot copy directory")
    if not top.is_dir and (source.endswith("/") or target.endswith("/")):
        raise Exit(1, "no such directory" if target.endswith("/") else "not a directory")
    if not kind and not parent:
        raise Exit(1, missing)
    return target.rstrip("/")


def _read(source: str) -> Iterator[tuple[str, Entry]]:
    """A file or folder of this machine, as members that belong to root."""
    from minidocker.build.context import Context

    path = Path(source)
    try:
        found = path.lstat() if not source.endswith(("/", "/.")) else path.stat()
    except FileNotFoundError:
        raise Exit(1, f"lstat {path.absolute()}: no such file or directory") from None
    mode, mtime = found.st_mode & 0o7777, int(found.st_mtime)
    if path.is_symlink() and not source.endswith("/"):
        yield "", Entry("symlink", 0o777, mtime=mtime, target=str(path.readlink()))
    elif path.is_dir():
        for name, entry in Context.folder(path).tree.items():
            yield ("" if name == "/" else name), entry
    elif path.is_file():
        yield "", Entry("file", mode, mtime=mtime, data=FileData(path, found.st_size))
    else:
        raise Exit(1, f"cannot copy {source}: it is neither a file, a folder nor a link")


def _write(members: Members, top: Path) -> None:
    """Put members on this machine's disk. Nothing that is copied is ever written through a link that was copied."""
    folders = []
    for path in sorted(members):
        entry, there = members[path], top.parent / f"{top.name}{path}" if path else top
        if entry.is_dir:
            if there.is_symlink() and path:
                raise Exit(1, f"cannot overwrite non-directory {str(there)!r} with a directory")
            there.mkdir(exist_ok=True)
            folders.append((there, entry))
            continue
        if there.is_dir() and not there.is_symlink():
            raise Exit(1, f"cannot overwrite directory {str(there)!r} with a non-directory")
        target = there.resolve() if there.is_symlink() and not path else there
        target.unlink(missing_ok=True)
        _make(target, entry)
    for there, entry in reversed(folders):
        _stamp(there, replace(entry, mode=entry.mode | 0o700))


def _make(there: Path, entry: Entry) -> None:
    if entry.kind == "symlink":
        there.symlink_to(entry.target)
        return
    if entry.kind != "file":
        raise Exit(1, f"cannot copy {there.name}: it is a {entry.kind}")
    with there.open("xb") as file:
        for chunk in entry.data.chunks():
            file.write(chunk)
    _stamp(there, entry)


def _stamp(there: Path, entry: Entry) -> None:
    there.chmod(entry.mode & 0o1777)  # no set-user-id program comes out of a container
    os.utime(there, (entry.mtime, entry.mtime))


@command("""
diff CONTAINER

Inspect changes to files or directories on a container's filesystem
""")
def diff(call: Call) -> int:
    """`docker diff`: C changed, A added, D deleted."""
    for change in call.engine.containers.get(call.args[0]).diff():
        print("CAD"[change["Kind"]], change["Path"])
    return 0


@command("""
commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]

Create a new image from a container's changes

  -a, --author string    Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
  -c, --change list      Apply Dockerfile instruction to the created image
  -m, --message string   Commit message
  -p, --pause            Pause container during commit (default true)
""")
def commit(call: Call) -> int:
    """`docker commit`."""
    name, *target = call.args
    target = [text for text in target if text]
    try:
        Reference.parse(target[0]) if target else None
    except APIError as error:
        raise Exit(1, error.explanation) from None
    container: Container = call.engine.containers.get(name)
    options = {"message": call.message, "author": call.author, "pause": call.pause, "changes": call.change}
    print(container.commit(target[0] if target else None, **options).id)
    return 0


@command("""
export [OPTIONS] CONTAINER

Export a container's filesystem as a tar archive

  -o, --output string   Write to a file, instead of STDOUT
""")
def export(call: Call) -> int:
    """`docker export`."""
    write_out(call.engine.containers.get(call.args[0]).export(), call.output)
    return 0


@command("""
container prune [OPTIONS]

Remove all stopped containers

      --filter filter   Provide filter values: label=KEY[=VALUE], until=TIMESTAMP
  -f, --force           Do not prompt for confirmation
""")
def container_prune(call: Call) -> int:
    """`docker container prune`."""
    if not call.force and not confirm("WARNING! This will remove all stopped containers."):
        return 0
    done = call.engine.containers.prune(filters=filters_of(call.filter))
    if done["ContainersDeleted"]:
        print("Deleted Containers:", *done["ContainersDeleted"], "", sep="\n")
    print(f"Total reclaimed space: {human_size(done['SpaceReclaimed'])}")
    return 0
