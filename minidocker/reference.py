"""The name of an image: `registry:5000/team/app:1.2@sha256:…`, by the grammar of Docker's `distribution/reference`.

>>> name = Reference.parse("app")
>>> str(name), name.full
('app:latest', 'docker.io/library/app:latest')
>>> Reference.parse("localhost:5000/team/app:1.2")
Reference(domain='localhost:5000', path='team/app', tag='1.2', digest='')
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from minidocker.errors import InvalidArgument

HUB = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    """A parsed name. `tag` is `latest` where neither tag nor digest was given; `digest` is `""` where none was."""

    domain: str
    path: str
    tag: str
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse and normalise a name as people type it. Raises InvalidArgument in Docker's words.

        >>> Reference.parse("App")
        Traceback (most recent call last):
        ...
        minidocker.errors.InvalidArgument: invalid reference format: repository name (library/App) must be lowercase
        """
        rest, _, digest = text.partition("@")
        if "@" in text and not _DIGEST.fullmatch(digest):
            raise InvalidArgument(f"invalid reference format: {text!r} has no valid digest after the @")
        domain, path = _split_domain(rest)
        path, colon, tag = path.partition(":")
        if domain == HUB and "/" not in path:
            path = f"library/{path}"
        if path != path.lower() and _PATH.fullmatch(path.lower()):
            raise InvalidArgument(f"invalid reference format: repository name ({path}) must be lowercase")
        if re.fullmatch(r"[0-9a-f]{64}", rest):
            raise InvalidArgument(f"invalid repository name ({rest}), cannot specify 64-byte hexadecimal strings")
        good = _DOMAIN.fullmatch(domain) and _PATH.fullmatch(path) and len(path) + len(domain) < 255
        if not good or (colon and not _TAG.fullmatch(tag)):
            raise InvalidArgument(
                f"invalid reference format: {text!r} is not of the form [registry/]name[:tag][@digest]"
            )
        return cls(domain, path, tag or ("" if digest else "latest"), digest)

    @property
    def name(self) -> str:
        """The repository as Docker prints it: `app`, `team/app`, `localhost:5000/app`."""
        if self.domain != HUB:
            return f"{self.domain}/{self.path}"
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    @property
    def full(self) -> str:
        """The whole name, with registry and namespace."""
        return f"{self.domain}/{self.path}{self._version}"

    @property
    def _version(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._version


def _split_domain(text: str) -> tuple[str, str]:
    """A first part is a registry when it has a dot or a port, is `localhost`, or has capital letters."""
    head, slash, rest = text.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost" or head != head.lower()):
        return (HUB if head == "index.docker.io" else head), rest
    return HUB, text
