"""(j) How cost grows: builds of 1 to 127 layers, and COPY of 1,000 to 100,000 files, uncached and cached.

A bar is what one layer or one file costs: where all bars are equally long, cost grows in a straight line. The power is
that of the last two sizes: 1.0 is linear. BuildKit is asked the same, up to sizes that do not take too long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import minidocker
from minidocker.manifest import MAX_LAYERS
from tests.bench.measure import Action, Report, seconds
from tests.bench.rivals import Rivals

BAR = 40
Curve = dict[int, float]  # size -> seconds


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    engine = minidocker.connect(work / "root")
    base = len(engine.images.get("minidocker/base").layers)
    steps = [1, 8, 32] if quick else [1, 8, 32, 64, MAX_LAYERS]
    files = [1_000, 10_000] if quick else [1_000, 10_000, 100_000]
    report.notes.append(f"runtime: {engine.runtime.name}")

    def ours(folder: Path) -> Action:
        return lambda: engine.images.build(path=str(folder), tag="growth")

    def theirs(folder: Path) -> Action:
        return rivals.docker_command("build", "-q", folder)

    builders = {"minidocker": (ours, math.inf, math.inf)}
    if rivals.docker:
        builders["BuildKit"] = (theirs, 64, 10_000)
    else:
        report.notes.append("docker left out: no dockerd, or no root")
    for name, (build, most_layers, most_files) in builders.items():
        sizes = [size for size in steps if size <= most_layers]
        _grow(report, f"{name}: COPY lines", sizes, work, copies, build)
        if name == "minidocker":
            runs = [min(size, MAX_LAYERS - base) for size in steps]
            _grow(report, "minidocker: RUN lines (up to 127 layers with the base)", runs, work, commands, build)
        _grow(report, f"{name}: files in one COPY", [size for size in files if size <= most_files], work, tree, build)
    engine.close()


def copies(folder: Path, size: int) -> None:
    """A Dockerfile of so many COPY lines, each of a small file."""
    for number in range(size):
        (folder / f"f{number}").write_text(str(number))
    lines = [f"COPY f{number} /f{number}\n" for number in range(size)]
    (folder / "Dockerfile").write_text("FROM scratch\n" + "".join(lines))


def commands(folder: Path, size: int) -> None:
    """A Dockerfile of so many RUN lines."""
    lines = [f"RUN echo {number} > /f{number}\n" for number in range(size)]
    (folder / "Dockerfile").write_text("FROM minidocker/base\n" + "".join(lines))


def tree(folder: Path, size: int) -> None:
    """A context of so many small files, a hundred in each folder."""
    for number in range(size):
        if number % 100 == 0:
            (folder / f"d{number // 100}").mkdir()
        (folder / f"d{number // 100}" / f"f{number}").write_text(str(number) * 20)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /app/\n")


def _grow(
    report: Report,
    title: str,
    sizes: Sequence[int],
    work: Path,
    context: Callable[[Path, int], None],
    build: Callable[[Path], Action],
) -> None:
    """Measure a builder over sizes; what it cached is looked up three times, and the fastest counts."""
    uncached, cached = Curve(), Curve()
    for size in sizes:
        folder = work / f"{title.partition(':')[0]}-{context.__name__}-{size}"
        folder.mkdir()
        context(folder, size)
        action = build(folder)
        uncached[size] = seconds(action)
        cached[size] = min(seconds(action) for _ in range(3))
    for state, curve in {"uncached": uncached, "cached": cached}.items():
        report.lines += [f"{title}, {state}{_power(curve)}", *plot(curve)]


def _power(curve: Curve) -> str:
    """How cost grows between the last two sizes."""
    sizes = sorted(curve)[-2:]
    if len(sizes) < 2:
        return ""
    low, high = sizes
    return f" (power {math.log(curve[high] / curve[low]) / math.log(high / low):.2f})"


def plot(curve: Curve) -> list[str]:
    """One line for each size: all of the time, that of one, and a bar of that.

    >>> print(*plot({10: 0.1, 100: 0.5}), sep="\\n")
           10      100.0 ms    10.000 ms each  ########################################
          100      500.0 ms     5.000 ms each  ####################
    """
    most = max(time / size for size, time in curve.items())
    return [
        f"  {size:>7,} {time * 1000:>10.1f} ms {time * 1000 / size:>9.3f} ms each  "
        + "#" * max(1, round(BAR * time / size / most))
        for size, time in curve.items()
    ]
