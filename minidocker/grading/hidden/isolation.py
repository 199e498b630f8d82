"""Hidden cases of exercise 05."""

from __future__ import annotations

from minidocker.grading.exercise import Case
from minidocker.grading.isolation import KINDS, NONE_NOW, Wait
from minidocker.runtime.capabilities import ALL, DEFAULT

EVERY = sum(KINDS.values())
USUAL, FULL = sum(1 << ALL.index(name) for name in DEFAULT), (1 << len(ALL)) - 1
LAST = ALL[-1]
ROWS = [(0, 100000, 1000), (1000, 1000, 1), (1001, 101000, 64536)]
GIB = 1 << 30

HIDDEN = {
    "5.1": (
        Case("--userns host", ("same", {"user": "host"}), EVERY - KINDS["user"]),
        Case("no user namespace, and the host's network", ("", {"net": "host"}), EVERY - KINDS["user"] - KINDS["net"]),
        Case(
            "the ipc and pid of two others",
            ("one", {"ipc": "container:1", "pid": "container:2"}),
            EVERY - KINDS["ipc"] - KINDS["pid"],
        ),
        Case("every kind is the host's", ("same", dict.fromkeys(KINDS, "host")), 0),
        Case("--network none", ("same", {"net": "none", "ipc": "private"}), EVERY),
        Case("an empty word", ("same", {"pid": ""}), EVERY),
    ),
    "5.2": (
        Case("the first of the third row", (1001, ROWS), 101000),
        Case("the one that is itself", (1000, ROWS), 1000),
        Case("the last of the first row", (999, ROWS), 100999),
        Case("the last of all", (65536, ROWS), 165535),
        Case("before the first", (3, [(5, 50, 5)]), None),
        Case("between two rows", (7, [(0, 10, 5), (10, 100, 5)]), None),
        Case("the rows in another order", (12, [(10, 100, 5), (0, 10, 5)]), 102),
    ),
    "5.3": (
        Case("the last that there is is added", ([LAST], []), USUAL | 1 << ALL.index(LAST)),
        Case("two are dropped", ([], list(DEFAULT[:2])), USUAL & ~sum(1 << ALL.index(name) for name in DEFAULT[:2])),
        Case("one is added twice", (["CAP_SYS_TIME", "CAP_SYS_TIME"], []), USUAL | 1 << ALL.index("CAP_SYS_TIME")),
        Case(
            "all are dropped but two",
            (["CAP_SETUID", "CAP_SETGID"], ["ALL"]),
            1 << ALL.index("CAP_SETUID") | 1 << ALL.index("CAP_SETGID"),
        ),
        Case("all are added", (["ALL"], []), FULL),
        Case("all and one of them", (["ALL", "CAP_CHOWN"], []), FULL),
        Case("no such capability, and all are dropped", (["CAP_NOTHING"], ["ALL"]), ValueError),
    ),
    "5.4": (
        Case("a third of a processor", ({"NanoCpus": 333_333_333}, 2), {"cpu.max": "33333 100000"}),
        Case(
            "half of one, on version 1",
            ({"NanoCpus": 500_000_000}, 1),
            {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"},
        ),
        Case(
            "as much swap as memory",
            ({"Memory": GIB, "MemorySwap": GIB}, 2),
            {"memory.max": str(GIB), "memory.swap.max": "0"},
        ),
        Case(
            "everything, on version 1",
            ({"Memory": GIB, "MemorySwap": 2 * GIB, "NanoCpus": 10**9, "PidsLimit": 1}, 1),
            {
                "memory.limit_in_bytes": str(GIB),
                "memory.memsw.limit_in_bytes": str(2 * GIB),
                "cpu.cfs_period_us": "100000",
                "cpu.cfs_quota_us": "100000",
                "pids.max": "1",
            },
        ),
        Case(
            "everything, on version 2",
            ({"Memory": GIB, "MemorySwap": 3 * GIB, "NanoCpus": 10**9, "PidsLimit": 1}, 2),
            {
                "memory.max": str(GIB),
                "memory.swap.max": str(2 * GIB),
                "cpu.max": "100000 100000",
                "pids.max": "1",
            },
        ),
        Case("zeros, on version 1", ({"Memory": 0, "NanoCpus": 0, "PidsLimit": 0}, 1), {}),
    ),
    "5.5": (
        Case("five at once", (2, Wait(*((pid, 0) for pid in range(9, 4, -1)), NONE_NOW)), (None, [9, 8, 7, 6, 5])),
        Case("the program last", (2, Wait((9, 1), (8, -2), (2, 42), None)), (42, [9, 8, 2])),
        Case("the program, by signal 15", (99, Wait((99, -15), (3, 0), NONE_NOW)), (143, [99, 3])),
        Case("orphans, and then nobody is left", (2, Wait((9, 1), (8, 2), None)), (None, [9, 8])),
        Case("the program with 255", (2, Wait((2, 255), None)), (255, [2])),
    ),
}
