"""Many containers: a hundred started and stopped, what a monitor weighs, what a thousand starts leave behind.

A monitor is forked from the launcher, so most of its memory is the launcher's own: PSS divides such pages among those
who share them, RSS counts them for each.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import minidocker
from minidocker.archive import import_
from minidocker.container import Container
from minidocker.runtime.state import read_state
from tests.bench.measure import Report, seconds
from tests.bench.rivals import Rivals

CROWD, STARTS = 100, 1000
GOES_AT_ONCE = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    if not rivals.busybox:
        report.notes.append("no static busybox to run")
        return
    crowd, starts = (20, 100) if quick else (CROWD, STARTS)
    engine = minidocker.connect(work / "root")
    report.notes.append(f"runtime: {engine.runtime.name}")
    import_(engine.images, rivals.busybox_tar, {}).tag("bench")
    made: list[Container] = []

    def start() -> None:
        made.extend(engine.containers.run("bench", ["sh", "-c", GOES_AT_ONCE], detach=True) for _ in range(crowd))

    def stop() -> None:
        with ThreadPoolExecutor(16) as several:
            list(several.map(Container.stop, made))

    report.lines.append(f"{crowd} containers started: {seconds(start):.2f} s, one after the other")
    if engine.runtime.name == "namespaces":
        weights = [weight(read_state(str(container.path))["Monitor"]) for container in made]
        for name, kilobytes in zip(("RSS", "PSS"), zip(*weights, strict=True), strict=True):
            report.lines.append(f"an idle container's monitor: {statistics.median(kilobytes) / 1024:.1f} MB ({name})")
    report.lines.append(f"{crowd} containers stopped: {seconds(stop):.2f} s, by threads")
    for container in made:
        container.remove()
    engine.containers.run("bench", ["true"], remove=True)
    before = set(leftovers(work))
    took = seconds(lambda: [engine.containers.run("bench", ["true"], remove=True) for _ in range(starts)])
    engine.close()
    left = sorted(set(leftovers(work)) - before)
    report.lines.append(f"{starts} starts in {took:.1f} s left {len(left)} files, mounts and cgroups: {left[:5]}")


def weight(pid: int) -> tuple[int, int]:
    """A process's memory in kB: resident (RSS), and its share of it (PSS)."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kilobytes = {words[0]: int(words[1]) for words in lines}
    return kilobytes["Rss:"], kilobytes["Pss:"]


def leftovers(work: Path) -> Iterator[str]:
    """What there is of ours: files, mounts, cgroups."""
    yield from (str(path) for path in work.rglob("*") if "watch.lock" not in path.name and path.parent.name != "events")
    yield from (line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(work) in line)
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        yield from (f"{folder}/{name}" for name in names if "minidocker" in folder + name)
