"""`--progress`: how a build is shown while it goes on, as BuildKit shows it. All of it goes to stderr.

    plain.py     lines as they come, each step's with its number; or nothing, unless the build fails (`quiet`)
    terminal.py  in place, a line for each step (`tty`)
    rawjson.py   BuildKit's SolveStatus, one JSON object a line

A step shows once more than BuildKit does: why it was not taken from the cache.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

from minidocker.cli.flags import Exit
from minidocker.reference import Reference

MODES = ("auto", "plain", "tty", "quiet", "rawjson", "json")
RATE = 0.1  # seconds between two looks at the clock
COLOUR = re.compile(r"\033\[[\d;]*m")
KEPT = 100  # lines of a step's output that are shown again where it fails
EXPORT = "export"


@dataclass
class Vertex:
    """A step that BuildKit's progress shows, as far as it has come. Times are seconds since 1970."""

    id: str
    name: str
    number: int
    started: float
    inputs: list[str] = field(default_factory=list)
    completed: float = 0.0
    cached: bool = False
    error: str = ""
    stopped: bool = False
    why: str = ""
    lines: list[str] = field(default_factory=list)
    partial: bool = False  # the last line has no end yet

    @property
    def seconds(self) -> float:
        """How long it takes, or took."""
        return (self.completed or time.time()) - self.started


class Progress:
    """Reads the events of a build; those that come after it show what it reads. By itself it shows nothing."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self.vertexes: dict[str, Vertex] = {}
        self.warnings: list[str] = []

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event."""
        text, vertex = event.get("stream", ""), self.vertexes.get(event.get("id", ""))
        if "vertex" in event:
            self.begin(event["id"], event["vertex"]["name"], event["vertex"]["inputs"])
        elif "step" in event:
            self.concluded(event["step"])
        elif "aux" in event:
            self.log(self.begin(EXPORT, "exporting to image", []), f"writing image {event['aux']['ID']} done\n")
        elif "errorDetail" in event:
            self.failed(event.get("failed", ""), event["error"])
        elif vertex and not text.startswith(" ---> "):
            self.log(vertex, text)
        elif text.startswith("Successfully tagged "):
            name = Reference.parse(text.removeprefix("Successfully tagged ").strip())
            self.log(self.vertexes[EXPORT], f"naming to {name.full} done\n")
        elif text and "id" not in event and not text.startswith("Successfully "):
            self.warnings.append(text.strip("\n"))

    def begin(self, id: str, name: str, inputs: list[str]) -> Vertex:
        """A step begins."""
        vertex = Vertex(id, printable(name), len(self.vertexes) + 1, time.time(), inputs)
        self.vertexes[id] = vertex
        self.changed(vertex)
        return vertex

    def log(self, vertex: Vertex, text: str) -> None:
        """A step says something."""
        stamp = f"{vertex.seconds:.{3 if vertex.seconds < 10 else 2}f} " if vertex.id != EXPORT else ""
        fresh = ""
        for line in text.splitlines(keepends=True):
            if vertex.partial:
                vertex.lines[-1] += line
            else:
                vertex.lines = [*vertex.lines, stamp + line][-KEPT:]
            fresh += line if vertex.partial else f"#{vertex.number} {stamp}{line}"
            vertex.partial = not line.endswith("\n")
        self.said(vertex, text, fresh)

    def concluded(self, step: Any) -> None:
        """A step has ended well."""
        if (vertex := self.vertexes.get(str(step.number))) is not None:
            vertex.cached, asked = step.decision.hit, step.decision.reason.startswith("miss because of --no-cache")
            vertex.why = "" if vertex.cached or asked else step.decision.reason
            self.end(vertex)

    def failed(self, id: str, error: str) -> None:
        """A step has failed, and so all others that were under way have been stopped."""
        for vertex in [one for one in self.vertexes.values() if not one.completed]:
            vertex.stopped, vertex.error = vertex.id != id, error if vertex.id == id else "context canceled"
            self.end(vertex)

    def end(self, vertex: Vertex) -> None:
        """A step has ended."""
        vertex.completed = time.time()
        self.changed(vertex)

    def changed(self, vertex: Vertex) -> None:
        """Show that a step has begun or ended."""

    def said(self, vertex: Vertex, text: str, stamped: str) -> None:
        """Show what a step says; `stamped` has it as `#5 0.312 output`."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and EXPORT in self.vertexes:
            self.end(self.vertexes[EXPORT])

    def recall(self) -> str:
        """The output of the step that failed once more, for the end of the screen."""
        broken = [vertex for vertex in self.vertexes.values() if vertex.error and not vertex.stopped]
        text = "".join(f"------\n > {one.name}:\n{ended(''.join(one.lines))}------\n" for one in broken)
        return printable(text, colours=True) if self.out.isatty() else text


class Ticking(Progress):
    """One that also shows something when nothing happens: `tick` is called again and again, in a thread of its own."""

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        self.lock, self.over = threading.RLock(), threading.Event()
        self.clock = threading.Thread(target=self.run, daemon=True)

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event."""
        with self.lock:
            super().__call__(event)

    def __enter__(self) -> Progress:
        self.clock.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.over.set()
        self.clock.join()
        super().__exit__(kind)

    def run(self) -> None:
        """Tick until it is over, or there is nobody to show it to."""
        with contextlib.suppress(OSError):
            while not self.over.wait(RATE):
                with self.lock:
                    self.tick()

    def tick(self) -> None:
        """Some time has passed."""


def show(mode: str) -> Progress:
    """What shows a build in a mode; without one, $BUILDKIT_PROGRESS is asked. Raises Exit for one that is not known."""
    mode = mode or os.environ.get("BUILDKIT_PROGRESS", "") or "auto"
    if mode not in MODES:
        raise Exit(125, f"invalid progress mode {mode}: use {', '.join(MODES[:-1])}")
    from minidocker.cli.plain import Plain, Quiet
    from minidocker.cli.rawjson import RawJSON
    from minidocker.cli.terminal import Terminal

    mode = ("tty" if sys.stderr.isatty() else "plain") if mode == "auto" else mode
    kinds: dict[str, type[Progress]] = {"plain": Plain, "quiet": Quiet, "tty": Terminal}
    return kinds.get(mode, RawJSON)()


def printable(text: str, colours: bool = False) -> str:
    """Text that cannot drive a terminal: only lines and tabs, and perhaps colours, are left of what is not shown.

    >>> printable("a\\033[2Jb\\033[1mc"), printable("\\033[1mc\\033]0;title\\007", colours=True)
    ('a?[2Jb?[1mc', '\\x1b[1mc?]0;title?')
    """
    plain = [COLOUR.split(text), COLOUR.findall(text)] if colours else [[text], []]
    safe = ["".join(one if one.isprintable() or one in "\n\t" else "?" for one in part) for part in plain[0]]
    return "".join(part + colour for part, colour in zip(safe, [*plain[1], ""], strict=True))


def ended(text: str) -> str:
    """Text that ends its last line."""
    return text if not text or text.endswith("\n") else f"{text}\n"
