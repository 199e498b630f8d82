"""What is mounted for a RUN: where it is seen, what the cache knows it by, and what the runtime gets for it.

A mount of files counts by what it shows, whatever its source is called; of a cache, a secret or a socket it counts only
that it is wanted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from minidocker.build import mountcache, secrets
from minidocker.build.cache import Facts, key_of
from minidocker.build.copying import Source
from minidocker.build.selecting import Found, contents, lead
from minidocker.dockerfile.mounts import RunMount
from minidocker.errors import BuildError, Unsupported
from minidocker.layer import Changeset
from minidocker.runtime import Bind, LayerLike, Mount, Secret, Snapshot, Tmpfs, Volume
from minidocker.tree import Tree, clean, directory

if TYPE_CHECKING:
    from minidocker.build.builder import Builder


@dataclass(frozen=True)
class Placed:
    """A mount with its place inside ("" for a secret that is only a variable), and where its files are from.

    `number` says the how many-th it is in its RUN.
    """

    number: int
    spec: RunMount
    target: str
    source: Source | None = None

    @property
    def name(self) -> str:
        """The id of a cache, a secret or an ssh agent; else nothing."""
        spec = self.spec
        if spec.type == "secret":
            return spec.id or spec.source or posixpath.basename(self.target)
        usual = {"cache": cleaned(spec.target), "ssh": secrets.DEFAULT}
        return (spec.id or usual[spec.type]) if spec.type in usual else ""

    @property
    def text(self) -> str:
        """What the cache knows it by. As in BuildKit, no cache's name counts, nor who else may have it.

        >>> Placed(0, RunMount("cache", "/x", id="any", mode=0o700), "/x").text
        'type=cache,target=/x,id=*,mode=700'
        """
        spec, words = self.spec, [f"type={self.spec.type}", f"target={self.target}"]
        words += [f"id={self._known_as}"] if self._known_as else []
        words += [f"source={clean(spec.source)}"] if spec.type == "cache" and spec.source else []
        words += [f"size={spec.size}"] if spec.size else []
        words += [f"mode={spec.mode:o}"] if spec.mode is not None else []
        said = {"uid": spec.uid, "gid": spec.gid, "env": spec.env}
        words += [f"{name}={value}" for name, value in said.items() if value is not None]
        usual = spec.type not in ("cache", "tmpfs")
        words += [] if spec.read_only == usual else ["ro" if spec.read_only else "rw"]
        return ",".join([*words, "required"] if spec.required else words)

    @property
    def _known_as(self) -> str:
        if self.spec.type != "cache":
            return self.name
        return "" if self.name == self.target and self.spec.sharing in ("", "shared") else "*"

    @cached_property
    def top(self) -> str:
        """Where its source leads to, in the tree that it is from. Raises BuildError where that is nowhere."""
        assert self.source is not None
        path = clean(self.spec.source or "/")
        return lead(self.source.tree(), path, path, self.source.where)

    def files(self) -> dict[str, str]:
        """What it shows, by the paths inside: kind, mode, owner and digest."""
        return contents(self.source.tree(), [Found(self.target, self.top)]) if self.source else {}


class Shown:
    """A part of a tree as a layer, for a runtime to mount; unpacked into `folder` where it has to be."""

    diff_id = ""

    def __init__(self, tree: Tree, top: str, folder: Path) -> None:
        self.changes = Changeset({path: tree[path] for path in (top, *tree.below(top))})
        self.folder = folder

    def path(self) -> Path:
        """The folder with the files."""
        from minidocker.runtime import overlay

        if not self.folder.exists():
            overlay.unpack(self.changes, self.folder)
        return self.folder

    def discard(self) -> None:
        """Delete the folder, if there is one."""
        if self.folder.exists():
            from minidocker.runtime.discarding import discard

            discard(self.folder)


class Given:
    """What one RUN is given for as long as `stack` lasts. Raises BuildError, Unsupported for what cannot be had."""

    def __init__(self, build: Builder, folder: Path, stack: ExitStack, placed: Sequence[Placed]) -> None:
        self.build, self.folder, self.stack, self.placed = build, folder, stack, placed
        self.secrets, self.agents = build.options.secrets, build.options.ssh
        self.folders: dict[str, Path] = {}

    def mounts(self, command: str) -> tuple[Mount, ...]:
        """What the runtime is to mount; what is not there, and need not be, is left out."""
        self.take_caches(command)
        kinds = {"tmpfs": self.tmpfs, "secret": self.secret, "ssh": self.agent, "cache": self.volume}
        every = [kinds.get(each.spec.type, self.snapshot)(each) for each in self.placed]
        return tuple(mount for mount in every if mount)

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """The environment with what mounts add to it: secrets, and where the agent's socket is."""
        found = dict(env)
        for each in sorted(self.placed, key=lambda each: each.number):
            if each.spec.type == "secret" and each.spec.env is not None:
                found[each.spec.env] = (self.content(each) or b"").decode(errors="surrogateescape")
            elif each.spec.type == "ssh":
                found.setdefault("SSH_AUTH_SOCK", each.spec.target or each.target)
        return found

    def take_caches(self, command: str) -> None:
        """Have the folders of all caches; in one order, so that no two steps wait for each other."""
        wanted = {key_of(self.cache_facts(each)): each for each in self.placed if each.spec.type == "cache"}
        root, check = self.build.store.root / "cache" / "mounts", self.build.together.check
        for key, each in sorted(wanted.items()):
            name = "" if each.name == each.target else f' with id "{each.name}"'
            why, sharing = f"cached mount {each.target} from exec {command}{name}", each.spec.sharing or "shared"
            self.folders[key] = self.stack.enter_context(mountcache.taken(root, key[7:31], sharing, why, check))

    def cache_facts(self, each: Placed) -> Facts:
        """What tells one cache from another: its id, and what it began with."""
        spec, base = each.spec, each.source.key if each.source else ""
        whole = clean(spec.source or "/") == "/"
        own = [spec.mode, spec.uid, spec.gid] if whole and (spec.mode, spec.uid, spec.gid) != (None,) * 3 else None
        return {"id": each.name, "base": base, "own": own, "runtime": self.build.runtime.name}

    def volume(self, each: Placed) -> Volume:
        """The folder of a cache. Where a mode or owner is asked for, it is one in it that has them."""
        facts, spec, now = self.cache_facts(each), each.spec, self.build.seconds
        first = {"/": directory(mtime=now)} | (each.source.tree().entries() if each.source else {})
        source = clean(spec.source or "/")
        if facts["own"]:
            mode, source = 0o755 if spec.mode is None else spec.mode & 0o7777, "/cache"
            first[source] = directory(mode, uid=spec.uid or 0, gid=spec.gid or 0, mtime=now)
        return Volume(self.folders[key_of(facts)], each.target, source, spec.read_only, Changeset(first))

    def snapshot(self, each: Placed) -> Snapshot:
        """What a bind shows: the layers of a stage or an image, or a part of the context."""
        assert each.source is not None
        layers: Sequence[LayerLike] | None = each.source.layers
        if layers is None:
            part = Shown(each.source.tree(), each.top, self.folder / str(each.number))
            self.stack.callback(part.discard)
            layers = (part,)
        return Snapshot(tuple(layers), each.target, each.top, each.spec.read_only)

    def tmpfs(self, each: Placed) -> Tmpfs:
        """A folder in memory."""
        return Tmpfs(each.target, each.spec.read_only, each.spec.size)

    def secret(self, each: Placed) -> Secret | None:
        """A secret as a file."""
        spec, content = each.spec, self.content(each)
        mode = (0o400 if spec.mode is None else spec.mode) & 0o777
        if not each.target or content is None:
            return None
        return Secret(each.target, content, mode, spec.uid or 0, spec.gid or 0)

    def content(self, each: Placed) -> bytes | None:
        """A secret; None where there is none of that name."""
        content = self.secrets.get(each.name)
        if content is None and each.spec.required:
            raise BuildError(f"secret {each.name}: not found")
        return content

    def agent(self, each: Placed) -> Bind | None:
        """The socket of an ssh agent."""
        spec, agent = each.spec, self.agents.get(each.name)
        if agent is None:
            if spec.required and self.agents:
                raise BuildError(f"unset ssh forward key {each.name}")
            if spec.required:
                raise BuildError(f'no SSH key "{spec.id}" forwarded from the client')
            return None
        if self.build.runtime.name == "simulated":
            raise Unsupported(
                "RUN --mount=type=ssh is not supported by the simulated runtime, which has no sockets: leave --ssh "
                "out, or build where real containers run"
            )
        from minidocker.build.agent import forwarded  # sockets and threads, which hardly a build needs

        mode = (0o600 if spec.mode is None else spec.mode) & 0o777
        return Bind(self.stack.enter_context(forwarded(agent, mode, spec.uid or 0, spec.gid or 0)), each.target)


def cleaned(path: str) -> str:
    """A path as Go's `path.Clean` leaves it."""
    short = posixpath.normpath(path)
    return short[1:] if short.startswith("//") else short
