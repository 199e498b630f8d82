"""`WWW-Authenticate`: what a server wants to see before it answers, by RFC 9110 (7235 before it), section 11.

A header holds one challenge or several, and each of them a scheme, and parameters or one token. A comma stands between
parameters and between challenges alike: what follows tells them apart.

    >>> parse('Bearer realm="https://auth.docker.io/token",service="registry.docker.io", Basic realm=x')
    [Challenge('bearer', ['realm', 'service']), Challenge('basic', ['realm'])]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
SCHEME = re.compile(rf"({TOKEN})(?:[ ]+|(?=\s*(?:,|$)))")
TOKEN68 = re.compile(r"([0-9A-Za-z\-._~+/]+=*)[ \t]*(?=,|$)")
PARAMETER = re.compile(rf'({TOKEN})[ \t]*=[ \t]*(?:({TOKEN})|"((?:[^"\\]|\\.)*)")')
COMMAS = re.compile(r"[ \t,]*")
BETWEEN = re.compile(r"[ \t]*(,[ \t,]*|$)")


@dataclass(frozen=True)
class Challenge:
    """One of them: `scheme` and the names of parameters are in lower case; `token` is a token68, mostly ""."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    token: str = ""

    def __repr__(self) -> str:
        return f"Challenge({self.scheme!r}, {list(self.parameters)})"


def parse(header: str) -> list[Challenge]:
    """The challenges of a header, in their order. What is malformed ends the reading; what came before it counts."""
    found: list[Challenge] = []
    at = _end(COMMAS, header, 0)
    while at < len(header) and (scheme := SCHEME.match(header, at)):
        name, at = scheme[1].lower(), scheme.end()
        if PARAMETER.match(header, at) is None and (token := TOKEN68.match(header, at)):
            found.append(Challenge(name, {}, token[1]))
            at = _end(BETWEEN, header, token.end())
            continue
        parameters: dict[str, str] = {}
        ended = COMMAS.match(header, at)
        at = ended.end() if ended else at
        while (one := PARAMETER.match(header, at)) is not None:
            value = one[2] if one[2] is not None else re.sub(r"\\(.)", r"\1", one[3])
            parameters.setdefault(one[1].lower(), value)
            between = BETWEEN.match(header, one.end())
            if between is None:
                return [*found, Challenge(name, parameters)]
            at = between.end()
        found.append(Challenge(name, parameters))
    return found


def parse_all(headers: Iterable[str]) -> list[Challenge]:
    """The challenges of all such headers of an answer."""
    return [challenge for header in headers for challenge in parse(header)]


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
