"""Stop watches, medians, and the table in which they are printed."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Action = Callable[[], object]


def seconds(action: Action) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def command(*words: object, env: dict[str, str] | None = None) -> Action:
    """An action that runs a program quietly, and fails when it does."""

    def call() -> None:
        done = subprocess.run([str(word) for word in words], capture_output=True, env=env, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[0]} failed: {done.stderr.decode(errors='replace')[-300:]}")

    return call


@dataclass
class Report:
    """One figure: what was measured, the times of each contender, lines as they are, and what was left out."""

    title: str
    sections: list[tuple[str, dict[str, list[float]]]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def side_by_side(
        self, heading: str, contenders: dict[str, Action], rounds: int, before: dict[str, Action] | None = None
    ) -> dict[str, float]:
        """Measure all contenders in turns, so that a busy moment hits each alike. The first is the one compared to.

        `before` is what a contender needs first, each time, off the clock. One that fails is noted and left out.
        """
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, action in contenders.items():
                if name not in times:
                    continue
                try:
                    (before or {}).get(name, lambda: None)()
                    times[name].append(seconds(action))
                except (RuntimeError, OSError) as error:
                    self.notes.append(f"{name} left out: {error}")
                    del times[name]
        self.sections.append((heading, times))
        return {name: statistics.median(values) for name, values in times.items()}

    def print(self) -> None:
        """One line a contender: median, spread, and how many times ours."""
        title = self.title.strip().splitlines()[0]
        print(f"\n{title}\n{'=' * len(title)}")
        for heading, times in self.sections:
            print(f"  {heading} (median of {max(map(len, times.values()), default=0)})")
            ours = None
            for name, values in times.items():
                middle = statistics.median(values)
                ours = ours or middle
                spread = f"{min(values) * 1000:.1f}..{max(values) * 1000:.1f}"
                ratio = "" if middle is ours else f"  ours is 1/{middle / ours:.1f} of it"
                print(f"    {name:<28} {middle * 1000:>10.1f} ms  {spread:>20}{ratio}")
        for line in self.lines:
            print(f"  {line}")
        for note in self.notes:
            print(f"  note: {note}")
        sys.stdout.flush()
