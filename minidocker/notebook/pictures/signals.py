"""The end of a container on a line of time: the signal that asks, the seconds of grace, the signal that kills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minidocker.notebook.pictures.svg import Figure, Markup, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.container import Container

WIDTH, ZERO, END, LANE = 780, 300, 640, 54  # all in all; where 0 s is, where the grace ends; the height of a line
KILLED = 128 + 9  # the exit code of whom SIGKILL ended


@dataclass(frozen=True)
class Stop:
    """How one container was stopped: what was measured of it, in whole seconds."""

    name: str
    command: str
    seconds: int
    exit_code: int

    @property
    def killed(self) -> bool:
        """Whether it did not hear, and had to be killed."""
        return self.exit_code == KILLED


def signals(stopped: Mapping[Container, float], grace: int) -> Figure:
    """How `stop(timeout=grace)` went: container -> the seconds that it took."""
    stops = []
    for container, seconds in stopped.items():
        command = " ".join([container.config["Path"], *container.config["Args"]])
        stops.append(Stop(container.name, command, round(seconds), int(container.state()["ExitCode"])))
    return signals_figure(stops, grace)


def signals_figure(stops: Sequence[Stop], grace: int) -> Figure:
    """Draw each container's end on a line of its own.

    >>> print(signals_figure([Stop("deaf", "sh -c …", 2, 137), Stop("polite", "sh /server", 0, 0)], 2))
    stop, with 2 s of grace
      deaf    TERM at 0 s, no answer, KILL at 2 s: exited (137)   sh -c …
      polite  TERM at 0 s, ends at 0 s: exited (0)                sh /server
    """
    title = f"stop, with {grace} s of grace"
    bottom = 30.0 + LANE * len(stops)
    drawn = [text(0, 14, title, "md-h"), *_axis(grace, bottom)]
    drawn += [group(_lane(stop, grace), 0, 30.0 + LANE * index) for index, stop in enumerate(stops)]
    said = [(stop.name, _told(stop), stop.command) for stop in stops]
    names, ends = (max((len(one[column]) for one in said), default=0) for column in (0, 1))
    twin = "\n".join([title, *(f"  {name:<{names}}  {told:<{ends}}  {command}" for name, told, command in said)])
    description = ". ".join(f"{name}: {told}" for name, told, _ in said)
    return Figure(title, description, "".join(drawn), WIDTH, bottom + 24, twin)


def _told(stop: Stop) -> str:
    end = f"no answer, KILL at {stop.seconds} s" if stop.killed else f"ends at {stop.seconds} s"
    return f"TERM at 0 s, {end}: exited ({stop.exit_code}) "


def _x(second: float, grace: int) -> float:
    return ZERO + (END - ZERO) * second / max(grace, 1)


def _axis(grace: int, bottom: float) -> list[Markup]:
    parts = []
    for second in range(grace + 1):
        x = _x(second, grace)
        parts.append(el("path", d=f"M{x:.0f} 34V{bottom:.0f}", class_="md-thin", stroke_opacity=0.5))
        parts.append(text(x, bottom + 14, f"{second} s", "md-dim", "md-s", text_anchor="middle"))
    return parts


def _lane(stop: Stop, grace: int) -> list[Markup]:
    end = _x(min(stop.seconds, grace), grace)
    look, fill = ("md-d", "HATCH") if stop.killed else ("md-a", None)
    bar = rect(ZERO, 20, max(end - ZERO, 6.0), 14, look, rx=2, fill=fill)
    parts = [
        text(0, 20, stop.name, "md-b"),
        text(0, 36, stop.command, "md-c", "md-dim", width=ZERO - 20),
        bar,
        text(ZERO + 4, 14, "TERM", "md-s"),
        text(end + 14, 31, f"exited ({stop.exit_code})", "md-b"),
    ]
    if stop.killed:
        parts.append(text(end - 4, 14, "KILL", "md-s", text_anchor="end"))
    return parts
