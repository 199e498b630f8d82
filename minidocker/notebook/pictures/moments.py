"""A build as moments: for each step its lines, the files it took, the layer it made, the configuration it left.

Plain values, computed from a `Build`'s steps; `trace` draws them one by one, `ledger` all at once, `scopes` the
variables alone. Nothing is run again: a step keeps the image as it left it.

    >>> print(*compare({"User": "ann", "Env": ["A=1"]}, {"Env": ["A=2"], "ExposedPorts": {"80/tcp": {}}}), sep="; ")
    M Env A=2; A ExposedPorts 80/tcp; D User ann
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minidocker.layer import view
from minidocker.notebook.pictures.facts import Mark, count, marks
from minidocker.notebook.pictures.svg import bytes_text

if TYPE_CHECKING:
    from minidocker.build import Build, Step
    from minidocker.build.draft import Draft
    from minidocker.dockerfile import Instruction, Stage

HIDDEN = ("ArgsEscaped",)  # Docker writes it beside every Cmd; it says something about Windows alone


@dataclass(frozen=True)
class Setting:
    """A line of the configuration: `Env`, `GREETING=Hello`; and what a step did to it: A, M, D or nothing."""

    key: str
    text: str
    letter: str = ""

    def __str__(self) -> str:
        return f"{self.letter} {self.key} {self.text}".strip()


@dataclass(frozen=True)
class Source:
    """Where a step had something from: a title, lines, and whether the step took each of them."""

    title: str
    lines: tuple[tuple[bool, str], ...]

    @property
    def taken(self) -> bool:
        """Whether anything was taken."""
        return any(taken for taken, _ in self.lines)


@dataclass(frozen=True)
class Moment:
    """One step of a build. `lines` are its numbers in the Dockerfile; `args` the build arguments known after it."""

    step: Step
    keyword: str
    lines: range
    made: str  # `layer 3: 1 added, 12B`
    marks: tuple[Mark, ...]
    config: tuple[Setting, ...]
    args: tuple[Setting, ...]
    source: Source


def moments(build: Build) -> list[Moment]:
    """All steps of a build, in the order in which they were carried out."""
    if build.dockerfile is None:
        return []
    found = [(step, *_instruction(build.dockerfile.stages, step)) for step in build.steps]
    took = [taken(step, one) for step, one, _ in found]
    doors = [names for names, (_, one, _) in zip(took, found, strict=True) if not one.flags.get("from")]
    door = sorted({name for names in doors for name in names})
    made: list[Moment] = []
    for index, (step, one, lines) in enumerate(found):
        first = one.keyword == "FROM"
        before = None if first else found[index - 1][0].after
        below = len(step.after.layers) if first or step.layer is None else len(step.after.layers) - 1
        lower = view(tuple(layer.changes for layer in step.after.layers[:below]))
        changes = tuple(marks(lower, step.layer.changes)) if step.layer else ()
        config = compare(before.config if before else {}, step.after.config)
        args = tuple(_args(before, step.after))
        made.append(
            Moment(
                step,
                one.keyword,
                lines,
                _made(step, first),
                changes,
                config,
                args,
                _source(step, one, took[index], door),
            )
        )
    return made


def settings(config: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """A configuration line by line: (key, name in it) -> text; `("Env", "A")` -> `A=1`."""
    lines: dict[tuple[str, str], str] = {}
    for key, value in config.items():
        if key in HIDDEN or value in (None, "", [], {}):
            continue
        if key == "Env":
            lines |= {(key, pair.partition("=")[0]): pair for pair in value}
        elif key == "Labels":
            lines |= {(key, name): f"{name}={text}" for name, text in value.items()}
        elif key in ("ExposedPorts", "Volumes"):
            lines |= {(key, name): name for name in value}
        else:
            lines[key, ""] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return lines


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Setting, ...]:
    """The configuration after a step, each line with what the step did to it; then what it took away."""
    old, new = settings(before), settings(after)
    now = [
        Setting(name[0], text, "A" if name not in old else "M" if old[name] != text else "")
        for name, text in new.items()
    ]
    return (*now, *(Setting(name[0], text, "D") for name, text in old.items() if name not in new))


def taken(step: Step, one: Instruction) -> list[str]:
    """The files that a COPY took, without the directories on the way and its own here-documents.

    Where the cache has been pruned, only the words of the COPY are left.
    """
    own = {doc.name for doc in one.heredocs}
    files = [name for name, what in step.files.items() if not what.startswith("dir") and name not in own]
    return files or [word for word in step.facts.get("copy", ()) if not step.files and not word.startswith("<<")]


def _instruction(stages: Sequence[Stage], step: Step) -> tuple[Instruction, range]:
    """The instruction of a step, and its lines; a trigger of the base image happens on the line of the FROM."""
    every = [one for stage in stages for one in (stage.origin, *stage.instructions)]
    here = next(one for one in every if one.line == step.line)
    if here.text == step.text:
        return here, range(here.line, here.end + 1)
    from minidocker.dockerfile import parse_instruction

    return parse_instruction(step.text), range(here.line, here.end + 1)


def _made(step: Step, first: bool) -> str:
    number = len(step.after.layers)
    if first:
        return f"{count(number, 'layer')} of its base" if number else "no files: scratch is empty"
    if step.layer is None:
        return "no layer: no file changes"
    return f"layer {number}: {bytes_text(step.layer.size)}"


def _args(before: Draft | None, after: Draft) -> Iterator[Setting]:
    """The build arguments: what a RUN sees of them, where the image's own variables do not say the same."""
    own = dict(pair.partition("=")[::2] for pair in after.config.get("Env") or [])
    for name in dict.fromkeys(after.args):
        value = after.env.get(name)
        if value is None or value != own.get(name):
            old = before is not None and name in before.args
            changed = old and before is not None and before.env.get(name) != value
            yield Setting("ARG", name if value is None else f"{name}={value}", "M" if changed else "" if old else "A")


def _source(step: Step, one: Instruction, mine: Sequence[str], door: Sequence[str]) -> Source:
    """A RUN has a process of its own; a COPY takes from the context, a stage or an image."""
    if one.keyword == "RUN":
        return Source("a process, for this line alone", tuple(_process(step.facts)))
    if origin := one.flags.get("from"):
        return Source(f"from {origin}", tuple((True, name) for name in mine))
    docs = tuple((True, f"<<{doc.name}, from the Dockerfile itself") for doc in one.heredocs)
    known = set(mine)
    return Source("the build context, its only door", (*docs, *((name in known, name) for name in door)))


def _process(facts: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    yield True, json.dumps(facts["run"], ensure_ascii=False)
    yield False, f"in {facts['workdir']} as {facts['user'] or 'root'}"
    if facts["args"]:
        yield False, "sees " + ", ".join(f"{name}={value}" for name, value in facts["args"].items())
    yield from ((False, f"mounted: {text}") for text in facts.get("mounts", ()))
    yield False, "it ends here; only its files stay"
