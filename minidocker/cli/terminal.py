"""A build on a terminal: a line for each step, drawn again in place, with the last lines of what runs below it."""

from __future__ import annotations

import os
import time
import unicodedata
from shutil import get_terminal_size
from typing import TextIO

from minidocker.cli.progress import Ticking, Vertex, printable

ROWS = 6  # lines of output below a step that runs
BLUE, RED, YELLOW, FAINT, PLAIN = (f"\033[{code}m" for code in (34, 31, 33, 2, 0))


class Terminal(Ticking):
    """BuildKit's display. Steps of several stages run side by side, and so they stand side by side here."""

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        self.began, self.drawn = time.time(), 0

    def __exit__(self, kind: object, *_: object) -> None:
        super().__exit__(kind)
        self.draw(last=True)

    def tick(self) -> None:
        """Let the seconds run."""
        self.draw()

    def changed(self, vertex: Vertex) -> None:
        """A step begins or ends."""
        self.draw()

    def said(self, vertex: Vertex, text: str, stamped: str) -> None:
        """The clock shows it in a moment."""

    def draw(self, last: bool = False) -> None:
        """Draw all of it, over what was drawn before; what does not fit on the screen only when it is the last time."""
        width, height = self.size()
        found = list(self.vertexes.values())
        done = sum(bool(one.completed) for one in found)
        state = " FINISHED" if last and done == len(found) and not any(one.error for one in found) else ""
        rows = [self.cut(f"[+] Building {time.time() - self.began:.1f}s ({done}/{len(found)}){state}", width)]
        running = [one for one in found if not one.completed]
        for vertex in found if last else fitting(found, height - 2 - len(running) * (ROWS + 1)):
            rows += self.rows(vertex, width)
        rows += [f"{YELLOW}{self.cut(note, width)}{PLAIN}" for note in self.warnings]
        rows = rows if last else rows[: max(1, height - 1)]
        up = f"\033[{self.drawn}A" if self.drawn else ""
        self.out.write(f"\033[?25l{up}\r" + "".join(f"{row}\033[K\n" for row in rows) + "\033[J\033[?25h")
        self.out.flush()
        self.drawn = len(rows)

    def size(self) -> tuple[int, int]:
        """Columns and rows of the screen that is drawn on."""
        try:
            return os.get_terminal_size(self.out.fileno())
        except (OSError, ValueError, AttributeError):
            return get_terminal_size()

    def rows(self, vertex: Vertex, width: int) -> list[str]:
        """The line of a step, why it was not cached, and of one that runs what it said last."""
        word = "CANCELED " if vertex.stopped else "ERROR " if vertex.error else "CACHED " if vertex.cached else ""
        colour = YELLOW if vertex.stopped else RED if vertex.error else BLUE if vertex.completed else ""
        clock = f"{vertex.seconds:.1f}s"
        room = max(2, width - len(clock) - 1)
        title = self.cut(f" => {word}{vertex.name}", room)
        shown = [f"{colour}{title}{' ' * (room - columns(title))}{clock}{PLAIN if colour else ''}"]
        if vertex.why:
            shown.append(f"{FAINT}{self.cut(f' => => {vertex.why}', width)}{PLAIN}")
        tail = [] if vertex.completed else vertex.lines[-ROWS:]
        return shown + [f"{FAINT}{self.cut(f' => => # {line.partition(chr(32))[2]}', width)}{PLAIN}" for line in tail]

    def cut(self, text: str, width: int) -> str:
        """One line that fits, and that says nothing to the terminal."""
        line = printable(text.rstrip("\r\n").rpartition("\r")[2].expandtabs())
        while (over := columns(line) - max(1, width - 1)) > 0:
            line = line[: -((over + 1) // 2)]
        return line


def columns(text: str) -> int:
    """How many columns a text takes on a screen."""
    return len(text) + sum(unicodedata.east_asian_width(one) in "WF" for one in text)


def fitting(vertexes: list[Vertex], room: int) -> list[Vertex]:
    """The steps for which there is room: those that run, and the last of the others, in their order."""
    settled = [one for one in vertexes if one.completed]
    shown = {one.id for one in settled[max(0, len(settled) - max(0, room // 2)) :]}
    return [one for one in vertexes if not one.completed or one.id in shown]
