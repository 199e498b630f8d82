"""`minidocker build --plan`: what would go on side by side, and how long it takes if each step takes what it took last.

Stages begin all at once. One waits where it needs another: at its FROM for the stage that it is based on, at a step for
those that the step takes files from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minidocker.build.stages import Graph
from minidocker.build.step import Step
from minidocker.dockerfile import Stage


@dataclass(frozen=True)
class Lane:
    """A stage of a plan, by name: its steps, what it `needs`, what may go on `beside` it.

    `begins` and `ends` are seconds after the start of the build.
    """

    name: str
    first: int
    last: int
    needs: tuple[str, ...]
    beside: tuple[str, ...]
    begins: float
    ends: float


def lanes(graph: Graph, stages: Sequence[Stage], steps: Sequence[Step]) -> tuple[Lane, ...]:
    """The lanes of the stages that are needed, in the order of the file; `steps` are those of all of them."""
    rest, numbers = list(steps), {}
    begins: dict[int, float] = {}
    ends: dict[int, float] = {}
    times: dict[int, float] = {}  # when each step ends
    for stage in stages:
        own, rest = rest[: 1 + len(stage.instructions)], rest[1 + len(stage.instructions) :]
        now = begins[stage.index] = max([times[number] for number in own[0].needs], default=0.0)
        for step in own:
            now = max([now, *(times[number] for number in step.needs)])
            now = times[step.number] = now + (0.0 if step.decision.hit else step.seconds)
        ends[stage.index], numbers[stage.index] = now, (own[0].number, own[-1].number)
    needs = {stage.index: [one.index for one in graph.needs(stage)] for stage in stages}
    names = {stage.index: stage.title for stage in stages}
    above = {index: _above(index, needs) for index in names}
    return tuple(
        Lane(
            name,
            *numbers[index],
            tuple(names[other] for other in needs[index]),
            tuple(names[other] for other in names if other not in above[index] and index not in above[other]),
            begins[index],
            ends[index],
        )
        for index, name in names.items()
    )


def _above(index: int, needs: dict[int, list[int]]) -> set[int]:
    """A stage with all that it needs, and what that needs."""
    return {index}.union(*(_above(other, needs) for other in needs[index]))
