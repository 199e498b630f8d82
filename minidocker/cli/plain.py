"""A build as lines, in BuildKit's form: `#5 [build 2/3] RUN make`, `#5 0.312 output`, `#5 DONE 0.3s`."""

from __future__ import annotations

import io
import sys
import time
from typing import TextIO

from minidocker.cli.progress import Ticking, Vertex, printable

PATIENCE = 1.0  # seconds that a step may be silent before another one that has something to say is shown


class Plain(Ticking):
    """One step at a time; what others say meanwhile waits, but not for long."""

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        self.current: Vertex | None = None
        self.waiting: dict[str, str] = {}
        self.heard = 0.0
        self.raw = not self.out.isatty()

    def print(self, text: str) -> None:
        """Write text; a terminal gets no more than colours of what it could be told to do."""
        self.out.write(text if self.raw else printable(text, colours=True))
        self.out.flush()

    def changed(self, vertex: Vertex) -> None:
        """A step that has ended is shown at once."""
        self.said(vertex, "", "")
        if not vertex.completed:
            return
        self.turn(vertex)
        mark = f"#{vertex.number} "
        if vertex.partial:
            self.print("\n")
        if vertex.why:
            self.print(f"{mark}{vertex.why}\n")
        how = "CANCELED" if vertex.stopped else f"ERROR: {vertex.error}" if vertex.error else ""
        self.print(f"{mark}{how or ('CACHED' if vertex.cached else f'DONE {vertex.seconds:.1f}s')}\n")
        self.current = None
        if other := next(iter(self.waiting), ""):
            self.turn(self.vertexes[other])

    def said(self, vertex: Vertex, text: str, stamped: str) -> None:
        """Show what the current step says; keep it where another has the word."""
        self.waiting[vertex.id] = self.waiting.get(vertex.id, "") + stamped
        if self.current in (None, vertex):
            self.turn(vertex)

    def tick(self) -> None:
        """Where the one that has the word has been silent for long, another one gets it."""
        if time.time() - self.heard > PATIENCE and (other := next((id for id in self.waiting if self.waiting[id]), "")):
            self.turn(self.vertexes[other])

    def turn(self, vertex: Vertex) -> None:
        """Give a step the word, and show what it has said."""
        if self.current is not vertex:
            if self.current is not None:
                self.print(f"#{self.current.number} ...\n")
            self.print(f"{'' if vertex.number == 1 and not self.heard else chr(10)}#{vertex.number} {vertex.name}\n")
            self.current = vertex
        self.print(self.waiting.pop(vertex.id, ""))
        self.heard = time.time()

    def __exit__(self, kind: object, *_: object) -> None:
        super().__exit__(kind)
        self.print("".join(f"\n{warning}\n" for warning in self.warnings))


class Quiet(Plain):
    """Nothing, unless the build fails: then what `plain` would have shown."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.kept = io.StringIO()
        super().__init__(self.kept)
        self.screen = out or sys.stderr

    def recall(self) -> str:
        """All of it."""
        text = self.kept.getvalue()
        return printable(text, colours=True) if self.screen.isatty() else text
