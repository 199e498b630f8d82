"""Sources that are not on this machine: what a URL in ADD means, and what it gives.

`http(s)://….git` and `git@host:path` are git repositories; any other `http(s)://` is a file.

    >>> [kind("https://example.org/a.txt"), kind("https://example.org/a.git#v1"), kind("a.txt")]
    ['URL', 'git ref', '']
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from minidocker.build.gitref import GitRef, parse
from minidocker.errors import BuildError
from minidocker.images import Guard, unguarded
from minidocker.tree import Tree

if TYPE_CHECKING:
    from minidocker.build.download import Downloads
    from minidocker.build.git import Repositories


@dataclass(frozen=True)
class Remote:
    """What a URL gives: `evidence` is what the cache knows it by; `tree` fetches it, if it is not there yet."""

    url: str
    evidence: str
    tree: Callable[[], Tree]

    @property
    def is_folder(self) -> bool:
        """Whether it is a repository, and no file."""
        return self.evidence.startswith("commit ")


def kind(source: str) -> str:
    """What a source is: `git ref`, `URL`, or nothing of that. Raises ValueError for a malformed git ref."""
    if parse(source):
        return "git ref"
    return "URL" if source.startswith(("http://", "https://")) else ""


class Remotes:
    """What a build fetches. `cache` is for what the next one may need again, `scratch` for what it will not."""

    def __init__(self, cache: Path, scratch: Path, guard: Guard = unguarded) -> None:
        self.cache, self.scratch, self.guard, self.lock = cache, scratch, guard, threading.Lock()
        self._clients: tuple[Downloads, Repositories] | None = None

    def ask(self, source: str, checksum: str = "", keep: bool | None = None) -> Remote:
        """What a remote source gives now; `keep` is `--keep-git-dir`. Raises BuildError, ValueError, Unsupported."""
        git = parse(source)
        if git is None:
            return self.clients()[0].ask(source, checksum)
        if keep is not None and git.keep not in (None, keep):
            raise BuildError("inconsistent keep-git-dir configuration")
        if checksum and git.commit not in ("", checksum):
            raise BuildError(f'checksum mismatch "{checksum}" != "{git.commit}"')
        kept = git.keep if keep is None else keep
        return self.repository(replace(git, commit=checksum or git.commit, keep=kept))

    def repository(self, git: GitRef) -> Remote:
        """What a git repository gives now. Raises BuildError, Unsupported."""
        return self.clients()[1].ask(git)

    def clients(self) -> tuple[Downloads, Repositories]:
        """Who fetches: loaded when something is, as most builds fetch nothing."""
        with self.lock:
            if self._clients is None:
                from minidocker.build.download import Downloads
                from minidocker.build.git import Repositories

                self._clients = Downloads(self.cache, self.guard), Repositories(self.scratch, self.guard)
            return self._clients
