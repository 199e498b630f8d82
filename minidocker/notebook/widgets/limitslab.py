"""`limits_lab(engine)`: a container with limits that you change while it runs, and what it is told of them inside.

Its cgroup's files follow; what `free` and `nproc` read does not.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from minidocker.errors import DockerException, NotFound
from minidocker.notebook.pictures.meters import Meter, meters_figure
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.sight import inside
from minidocker.notebook.widgets.face import Faced, Picture, on_change
from minidocker.runtime.limits import PERIOD

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine

CHOICES: dict[str, tuple[str, str, dict[str, dict[str, Any]]]] = {  # limit -> its label, HostConfig's name, the choices
    "memory": (
        "--memory",
        "Memory",
        {f"{size}m": {"mem_limit": f"{size}m", "memswap_limit": -1} for size in (64, 128, 512)},
    ),
    "processors": (
        "--cpus",
        "NanoCpus",
        {cpus: {"nano_cpus": int(float(cpus) * 1e9)} for cpus in ("0.5", "0.25", "1")},
    ),
    "processes": ("--pids-limit", "PidsLimit", {n: {"pids_limit": int(n)} for n in ("20", "50", "100")}),
}
LIMIT_FILES = {  # as they are called in version 2 and version 1
    "memory": ("memory.max", "memory.limit_in_bytes"),
    "processors": ("cpu.max", "cpu.cfs_quota_us"),
    "processes": ("pids.max",),
}
NONE = "Not limited here: {} (simulated, or no cgroup of one's own). Docker would warn, and discard that."
MANY = 1 << 60  # bytes: what version 1 says where there is no limit


class LimitsLab(Faced):
    """A container that sleeps, and its limits."""

    def __init__(self, engine: Engine, image: str, name: str) -> None:
        self.engine, self.name = engine, name
        self.allowed = engine.runtime.supports()
        self.fields = {limit: self._field(limit) for limit in CHOICES}
        self._remove()
        options: dict[str, Any] = {}
        for limit, field in self.fields.items():
            options |= {} if field.disabled else CHOICES[limit][2][field.value]
        self.container: Container = engine.containers.run(
            image, ["sleep", "100000"], name=name, detach=True, stop_signal="KILL", **options
        )
        self.picture = Picture()
        super().__init__([W.HBox(list(self.fields.values()), layout={"flex_flow": "row wrap"}), self.picture])
        self.draw()

    def _field(self, limit: str) -> Any:
        label, key, choices = CHOICES[limit]
        field = W.Dropdown(
            options=list(choices),
            description=label,
            disabled=key not in self.allowed,
            layout={"width": "190px"},
            style={"description_width": "90px"},
        )
        on_change(field, lambda value: self.change(limit, value))
        return field

    def change(self, limit: str, value: str) -> None:
        """`docker update`, while it runs. What the kernel says against it is shown."""
        try:
            self.container.update(**CHOICES[limit][2][value])
            self.draw()
        except (DockerException, OSError) as error:
            self.draw(str(error).partition("\n")[0])

    def draw(self, *notes: str) -> None:
        """Ask inside, read the files, and draw both."""
        files = self.container.cgroup_files()
        told = inside(self.container, "/proc/meminfo", "/proc/self/status", "/proc/sys/kernel/threads-max")
        missing = ", ".join(limit for limit, field in self.fields.items() if field.disabled)
        said = [*notes, *([NONE.format(missing)] if missing else [])]
        self.picture.figure = meters_figure(list(measured(told, files).values()), said)

    def face(self) -> Figure:
        """The limits that it begins with, and in words what a program is told."""
        return meters_figure(STILL)

    def _remove(self) -> None:
        with contextlib.suppress(NotFound):
            self.engine.containers.get(self.name).remove(force=True)

    def close(self) -> None:
        """Remove its container."""
        with contextlib.suppress(DockerException, OSError):
            self._remove()
        super().close()


STILL = (
    Meter("memory", "free", "all that the machine has", "64 MiB", 0.04),
    Meter("processors", "nproc", "all that the machine has", "0.5", 0.25),
    Meter("processes", "threads-max", "as many as the machine can", "20", 0.02),
)


def limits_lab(engine: Engine, image: str = "minidocker/base", name: str = "limited") -> LimitsLab:
    """A container with limits to change; an older one of this name is removed. The image has sh, cat and sleep."""
    return LimitsLab(engine, image, name)


def measured(told: dict[str, list[str]], files: dict[str, str]) -> dict[str, Meter]:
    """What /proc says inside, beside what the files of the cgroup say: limit -> meter.

    >>> told = {"/proc/meminfo": ["MemTotal: 2097152 kB"], "/proc/self/status": ["Cpus_allowed_list: 0-3"]}
    >>> found = measured(told, {"memory.max": "67108864", "cpu.max": "50000 100000"})
    >>> found["memory"].limit, found["processors"].limit, found["processors"].part, found["processes"].limit
    ('64 MiB', '0.5', 0.125, 'no limit')
    """
    lines = [line.partition(":") for name in ("/proc/meminfo", "/proc/self/status") for line in told.get(name, [])]
    facts = {name: words.strip() for name, _, words in lines}
    memory = int(facts.get("MemTotal", "0 kB").split()[0]) << 10
    cpus = _count(facts.get("Cpus_allowed_list", ""))
    threads = int((told.get("/proc/sys/kernel/threads-max") or ["0"])[0])
    found = {}
    for limit, asked, has in (
        ("memory", "free", memory),
        ("processors", "nproc", cpus),
        ("processes", "threads-max", threads),
    ):
        file = next((name for name in LIMIT_FILES[limit] if name in files), "")
        may = _number(limit, files.get(file, ""))
        as_text = _memory if limit == "memory" else "{:g}".format
        shown = "no limit" if may is None else as_text(may)
        part = 1.0 if may is None or not has else may / has
        found[limit] = Meter(limit, asked, as_text(has) if has else "nothing here", shown, part, file or "its cgroup")
    return found


def _memory(size: float) -> str:
    """A size as `free -h` writes it, and as `--memory` means it: in powers of 1024."""
    return f"{size / (1 << 30):.3g} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.3g} MiB"


def _number(limit: str, words: str) -> float | None:
    """What a file says; None where it limits nothing."""
    quota, _, period = words.partition(" ")
    if not quota.isdecimal() or int(quota) > MANY:
        return None
    return int(quota) / (int(period) if period else PERIOD) if limit == "processors" else int(quota)


def _count(ranges: str) -> int:
    """How many a list of the kernel's names: `0-3,7` -> 5."""
    ends = [part.split("-") for part in ranges.split(",") if part]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)
