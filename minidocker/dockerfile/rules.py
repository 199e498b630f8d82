"""The build checks of Docker: the table, and what a rule looks at. The rules are in `filerules` and `steprules`.

Described in Docker's reference under "Build checks"; the conditions are those of BuildKit's linter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..dockerignore import Ignore
from . import Dockerfile, Instruction, Stage
from .values import nearest
from .walk import Base, Visit

Found = Iterator[tuple[Instruction, str]]


@dataclass(frozen=True)
class Seen:
    """What the rules look at: the file, its instructions at their turn, and what surrounds them."""

    file: Dockerfile
    args: Mapping[str, str] = field(default_factory=dict)  # the global build arguments
    platform_args: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()  # those that were followed
    visits: tuple[Visit, ...] = ()
    ignore: Ignore = field(default_factory=Ignore)
    base: Base = lambda _name: None
    platform: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what it is about, and the function. One that is `early` needs no more than the text."""

    name: str
    description: str
    find: Callable[[Seen], Found]
    early: bool = False
    experimental: bool = False

    @property
    def url(self) -> str:
        """Where Docker describes it; one rule has no page."""
        if self.name == "InvalidBaseImagePlatform":
            return ""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.name).lower()
        return f"https://docs.docker.com/go/dockerfile/rule/{words}/"


RULES: dict[str, Rule] = {}


def rule(
    name: str, description: str, early: bool = False, experimental: bool = False
) -> Callable[[Callable[[Seen], Found]], Callable[[Seen], Found]]:
    """Enter a function into the table."""

    def enter(find: Callable[[Seen], Found]) -> Callable[[Seen], Found]:
        RULES[name] = Rule(name, description, find, early, experimental)
        return find

    return enter


def hint(name: str, known: Mapping[str, object], sign: str = "") -> str:
    """The variable that was probably meant, as BuildKit asks for it."""
    match = nearest(name, known)
    return f" (did you mean {sign}{match}?)" if match else ""
