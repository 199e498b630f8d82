"""A container on the bench: the machine of its life, its stack, and what was said to it and what it answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

from minidocker.notebook.pictures.facts import brief
from minidocker.notebook.pictures.life import NEXT, SLAB, WIDTH, Life, plates_of, stack_height, writable
from minidocker.notebook.pictures.machine import HEIGHT, machine_figure
from minidocker.notebook.pictures.svg import Figure, Markup, group, rect, text

LINES, LINE = 9, 15  # lines of the talk that are shown, and how high one is


@dataclass(frozen=True)
class Said:
    """One thing that was asked of Docker, or that happened (no command), and the answer; `no` where Docker refused."""

    command: str
    answer: str = ""
    no: bool = False

    def lines(self, width: int = 54) -> list[str]:
        """As a terminal shows it.

        >>> Said("docker pause web", "Container web is not running", no=True).lines()
        ['$ docker pause web', '✗ Container web is not running']
        """
        asked = [f"$ {self.command}"] if self.command else []
        return [*asked, *wrap(f"{'✗ ' if self.no else ''}{self.answer}", width, subsequent_indent="  ")]


def lab_figure(life: Life, said: Sequence[Said] = ()) -> Figure:
    """Draw the bench; a container with the status `removed` has no writable layer any more."""
    gone = life.status == "removed"
    machine = machine_figure(life.status, None if gone else life.exit_code, f"the life of {life.name}")
    layer = _gone() if gone else writable(life.changes, SLAB)
    talk = [line for one in said for line in one.lines()][-LINES:]
    drawn = [
        Markup(machine.body),
        group(layer, 0, HEIGHT + 12),
        group(plates_of(life.layers, life.image, SLAB), 0, HEIGHT + 60),
        group(_talk(talk), NEXT, HEIGHT + 12),
    ]
    own = "gone with it" if gone else brief(life.changes) or "nothing yet"
    twin = [machine.twin, f"its own writable layer: {own}", *(f"  {line}" for line in talk)]
    height = HEIGHT + 60 + max(stack_height(life.layers), LINES * LINE - 26)
    told = f"It is {life.state}. Its own writable layer: {own}. {' '.join(talk)}"
    return replace(machine, description=told, body="".join(drawn), height=height, width=WIDTH, twin="\n".join(twin))


def _gone() -> list[Markup]:
    words = text(10, 22, "removed, and with it all that it wrote", "md-dim")
    return [rect(0, 0, SLAB, 36, "md-thin", "md-dash"), words]


def _talk(lines: Sequence[str]) -> Iterator[Markup]:
    yield rect(0, 0, WIDTH - NEXT, LINES * LINE + 10, "md-box")
    if not lines:
        yield text(12, 20, "press a button: what you ask, and what Docker answers, comes here", "md-dim", "md-s")
    for index, line in enumerate(lines):
        yield text(12, 18 + LINE * index, line, "md-c", "" if line[:1] in "$✗" else "md-dim", width=WIDTH - NEXT - 20)
