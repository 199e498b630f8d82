"""Which repository a source or a context means: `https://….git#ref:subdir`, `git@host:path`, `?tag=…&subdir=…`.

>>> git = parse("https://example.org/me/app.git#v1:docs")
>>> git.remote, git.ref, git.subdir
('https://example.org/me/app.git', 'v1', 'docs')
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

PROTOCOLS = ("http", "https", "ssh", "git")
SCHEME = re.compile(r"([a-zA-Z0-9]+)://")
SCP = re.compile(r"[\w-]+@[a-zA-Z0-9.-]+:.*", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class GitRef:
    """A repository, and what of it: a branch, tag or commit, a directory. `commit` is what it must turn out to be."""

    remote: str
    ref: str = ""
    subdir: str = ""
    commit: str = ""
    keep: bool | None = None  # the .git directory
    submodules: bool = True

    @property
    def shown(self) -> str:
        """How it is called in logs and records."""
        what = f"#{self.ref}:{self.subdir}" if self.subdir else f"#{self.ref}" if self.ref else ""
        return redacted(self.remote) + what


def parse(text: str) -> GitRef | None:
    """The repository that a source means, by BuildKit's rules; None where it means none. Raises ValueError.

    >>> parse("https://example.org/app"), parse("git@example.org:me/app.git?tag=v1").ref
    (None, 'refs/tags/v1')
    """
    scheme = SCHEME.match(text)
    if scheme is None and not SCP.fullmatch(text):
        return None
    url, _, fragment = text.partition("#")
    remote, _, query = url.partition("?")
    if scheme and scheme[1].lower() not in PROTOCOLS:
        return None
    if scheme and scheme[1].lower().startswith("http") and not urlsplit(remote).path.endswith(".git"):
        return None
    ref, _, subdir = fragment.partition(":")
    return _queried(GitRef(remote, ref, subdir), query)


def parse_context(text: str) -> GitRef | None:
    """The repository that a build context means: `github.com/me/app` is one too. Raises ValueError.

    >>> parse_context("github.com/me/app#v1").remote
    'https://github.com/me/app.git'
    """
    found = re.fullmatch(r"(github\.com/[^#?]*?)(?:\.git)?([#?].*)?", text)
    return parse(f"https://{found[1]}.git{found[2] or ''}" if found else text)


def redacted(url: str) -> str:
    """A URL without the password in it, for logs and records. `https://me:secret@host/x` -> `https://xxxxx@host/x`."""
    return re.sub(r"^([a-zA-Z][\w+.-]*://)[^/@?#]*@", r"\1xxxxx@", url)


def _queried(git: GitRef, query: str) -> GitRef:
    """`?ref=…&tag=…&branch=…&commit=…&subdir=…&keep-git-dir&submodules=false`."""
    for key, values in parse_qs(query, keep_blank_values=True).items():
        if len(values) > 1:
            raise ValueError(f'query "{key}" has multiple values')
        value = values[0]
        if key == "keep-git-dir":
            git = replace(git, keep=_truth(key, value))
        elif key == "submodules":
            git = replace(git, submodules=_truth(key, value))
        elif not value:
            raise ValueError(f'query "{key}" has no value')
        elif key in ("ref", "tag", "branch", "subdir"):
            folder = {"tag": "refs/tags/", "branch": "refs/heads/"}.get(key, "")
            git = _agreed(git, "subdir" if key == "subdir" else "ref", folder + value.removeprefix(folder))
        elif key in ("checksum", "commit"):
            git = replace(git, commit=value)
        else:
            raise ValueError(f'unexpected query "{key}"')
    return replace(git, ref=git.ref or git.commit)


def _agreed(git: GitRef, name: str, value: str) -> GitRef:
    before = git.subdir if name == "subdir" else git.ref
    if before not in ("", value):
        raise ValueError(f'{name} conflicts: "{before}" vs "{value}"')
    return replace(git, subdir=value) if name == "subdir" else replace(git, ref=value)


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("", "1", "t", "true", "0", "f", "false"):
        raise ValueError(f'invalid {key} value: "{value}"')
    return value.lower() in ("", "1", "t", "true")
