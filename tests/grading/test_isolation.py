"""Exercise 05: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.grading import isolation, open_exercise
from minidocker.grading.exercise import Case
from minidocker.grading.isolation import CAPABILITIES, IDS, KINDS, LIMITS, REAP, WALLS
from minidocker.runtime import capabilities, limits, mapped, probe
from minidocker.runtime.births import KINDS as ALL_KINDS
from minidocker.runtime.capabilities import ALL, DEFAULT, mask
from minidocker.runtime.cgroup import SELF, Place
from tests.grading.proofs import each_gets_its_hint

SOURCE = Path(__file__).parents[2] / "exercises" / "05-isolation" / "source.ipynb"
Files = dict[str, str]


def is_shared(whose: str) -> bool:
    return whose == "host" or whose.startswith("container:")


def all_new(userns: str, share: Files) -> int:  # noqa: ARG001
    return sum(KINDS.values())


def host_only(userns: str, share: Files) -> int:  # noqa: ARG001
    return sum(flag for kind, flag in KINDS.items() if share.get(kind) != "host")


def any_word_shares(userns: str, share: Files) -> int:  # noqa: ARG001
    return sum(flag for kind, flag in KINDS.items() if kind not in share)


def always_a_user(userns: str, share: Files) -> int:  # noqa: ARG001
    return sum(flag for kind, flag in KINDS.items() if not is_shared(share.get(kind, "")))


def a_user_when_same(userns: str, share: Files) -> int:
    return always_a_user(userns, share) - (0 if userns == "same" else KINDS["user"])


def takes_away(userns: str, share: Files) -> int:
    flags = sum(KINDS.values()) - (0 if userns else KINDS["user"])
    return flags - sum(KINDS[kind] for kind, whose in share.items() if is_shared(whose))


def first_row(id: int, rows: list[tuple[int, int, int]]) -> int:
    return rows[0][1] + id - rows[0][0]


def start_of_row(id: int, rows: list[tuple[int, int, int]]) -> int | None:
    return next((there for first, there, count in rows if first <= id < first + count), None)


def one_too_few(id: int, rows: list[tuple[int, int, int]]) -> int | None:
    return next((there + id - first for first, there, count in rows if first <= id < first + count - (count > 1)), None)


def one_too_many(id: int, rows: list[tuple[int, int, int]]) -> int | None:
    return next((there + id - first for first, there, count in reversed(rows) if first <= id <= first + count), None)


def endless(id: int, rows: list[tuple[int, int, int]]) -> int | None:
    return next((there + id - first for first, there, _ in reversed(rows) if first <= id), None)


def zero_is_none(id: int, rows: list[tuple[int, int, int]]) -> int | None:
    return mapped_by_hand(id, rows) or None


def mapped_by_hand(id: int, rows: list[tuple[int, int, int]]) -> int | None:
    return next((there + id - first for first, there, count in rows if first <= id < first + count), None)


def borrows(id: int, rows: list[tuple[int, int, int]]) -> int | None:
    return mapped.translated(id, rows)


def only_added(add: list[str], drop: list[str]) -> int:
    return mask(name for name in add if name not in drop)


def bits_summed(add: list[str], drop: list[str]) -> int:
    names = [*(name for name in DEFAULT if name not in drop), *add]
    return sum(1 << ALL.index(name) for name in names)


def dropped_last(add: list[str], drop: list[str]) -> int:
    if "ALL" in drop:
        return 0
    return mask(name for name in (ALL if "ALL" in add else (*DEFAULT, *add)) if name not in drop)


def xor(add: list[str], drop: list[str]) -> int:
    every = 0 if "ALL" in drop else mask(DEFAULT)
    return (every | mask(add)) ^ mask(name for name in drop if name != "ALL")


def knows_no_all(add: list[str], drop: list[str]) -> int:
    return mask([*(name for name in DEFAULT if name not in drop), *add])


def dropped_goes_first(add: list[str], drop: list[str]) -> int:
    if "ALL" in drop:
        return mask(name for name in add if name != "ALL")
    return mask(name for name in ALL if name not in drop) if "ALL" in add else knows_no_all(add, drop)


def unknown_is_skipped(add: list[str], drop: list[str]) -> int:
    return solved_mask([name for name in add if name == "ALL" or name in ALL], drop)


def solved_mask(add: list[str], drop: list[str]) -> int:
    if "ALL" in add:
        return mask(name for name in ALL if name not in drop)
    return mask(add) if "ALL" in drop else knows_no_all(add, drop)


def right_files(limits: dict[str, int], version: int) -> Files:
    places = {name: Place(version, "", "") for name in ("memory", "cpu", "pids", *([SELF] if version == 2 else []))}
    return {file: text for _, file, text in settings(limits, places)}


settings = limits.settings  # as it is, whatever stands in its place later


def numbers(limits: dict[str, int], version: int) -> dict[str, Any]:
    return {file: int(text) if text.isdigit() else text for file, text in right_files(limits, version).items()}


def second_only(limits: dict[str, int], version: int) -> Files:  # noqa: ARG001
    return right_files(limits, 2)


def percent(limits: dict[str, int], version: int) -> Files:
    cpus = limits.get("NanoCpus", 0)
    return right_files(limits, version) | ({"cpu.max": f"{cpus // 10**7} 100"} if cpus else {})


def fractions(limits: dict[str, int], version: int) -> Files:
    cpus = limits.get("NanoCpus", 0) * 100_000 / 10**9
    return right_files(limits, version) | ({"cpu.max": f"{cpus} 100000"} if cpus else {})


def minus_one_processes(limits: dict[str, int], version: int) -> Files:
    return right_files(limits, version) | ({"pids.max": str(limits["PidsLimit"])} if "PidsLimit" in limits else {})


def swap_as_it_is(limits: dict[str, int], version: int) -> Files:
    files = right_files(limits, version)
    return files | ({"memory.swap.max": str(limits["MemorySwap"])} if "memory.swap.max" in files else {})


def swap_below_zero(limits: dict[str, int], version: int) -> Files:
    files = right_files(limits, version)
    swap = str(limits.get("MemorySwap", 0) - limits.get("Memory", 0))
    return files | ({"memory.swap.max": swap} if "memory.swap.max" in files else {})


def max_in_both(limits: dict[str, int], version: int) -> Files:
    return {file: text.replace("-1", "max") for file, text in right_files(limits, version).items()}


def zeros_are_written(limits: dict[str, int], version: int) -> Files:
    zero = {"memory.max": "0"} if limits.get("Memory") == 0 else {}
    return right_files(limits, version) | zero


Reaped = tuple[int | None, list[int]]
Wait = Callable[[], tuple[int, int]]


def first_only(program: int, wait: Wait) -> Reaped:
    pid, code = wait()
    return (code if pid == program else None), [pid] if pid else []


def until_the_program(program: int, wait: Wait) -> Reaped:
    collected = []
    while (ended := wait())[0]:
        collected.append(ended[0])
        if ended[0] == program:
            return ended[1], collected
    return None, collected


def no_children_is_an_error(program: int, wait: Wait) -> Reaped:
    collected, code = [], None
    while (ended := wait())[0]:
        collected.append(ended[0])
        code = ended[1] if ended[0] == program else code
    return code, collected


def never_stops(program: int, wait: Wait) -> Reaped:
    collected, result = [], None
    try:
        while True:
            pid, code = wait()
            if pid:
                collected.append(pid)
            result = code if pid == program else result
    except ChildProcessError:
        return result, collected


def guarded(program: int, wait: Wait, of: Callable[[int | None], int | None]) -> Reaped:
    collected, result = [], None
    try:
        while (ended := wait())[0]:
            collected.append(ended[0])
            result = ended[1] if ended[0] == program else result
    except ChildProcessError:
        pass
    return of(result), collected


def zero_is_no_code(program: int, wait: Wait) -> Reaped:
    return guarded(program, wait, lambda code: code or None)


def signals_stay(program: int, wait: Wait) -> Reaped:
    return guarded(program, wait, lambda code: code)


def any_code(program: int, wait: Wait) -> Reaped:
    code, collected = None, []
    while (ended := wait())[0]:
        code = ended[1]
        collected.append(ended[0])
    return code if program else None, collected


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("5.1", all_new, "under way", "no new namespace of that kind"),
    ("5.1", host_only, "under way", "It joins the namespace of another"),
    ("5.1", any_word_shares, "under way", "says how the new one shall be"),
    ("5.1", always_a_user, "under way", "ids are not mapped"),
    ("5.1", a_user_when_same, "under way", "Any text but the empty one"),
    ("5.1", takes_away, "under way", "KINDS has no `cgroup`"),
    ("5.2", first_row, "under way", "there + (id - first)"),
    ("5.2", start_of_row, "under way", "there + (id - first)"),
    ("5.2", one_too_few, "under way", "The last one is first + count - 1"),
    ("5.2", one_too_many, "under way", "else it is nobody's"),
    ("5.2", endless, "under way", "else it is nobody's"),
    ("5.2", zero_is_none, "under way", "0 is an id"),
    ("5.2", borrows, "cannot pass", "minidocker's own translated()"),
    ("5.3", only_added, "under way", "Docker's DEFAULT"),
    ("5.3", bits_summed, "under way", "A set has each one once"),
    ("5.3", dropped_last, "under way", "First all are dropped"),
    ("5.3", xor, "under way", "Nothing is to be taken away"),
    ("5.3", knows_no_all, "under way", "Of DEFAULT nothing is left"),
    ("5.3", dropped_goes_first, "under way", "ALL to add goes first"),
    ("5.3", unknown_is_skipped, "under way", "ALL.index raises ValueError"),
    ("5.4", numbers, "under way", "Numbers are written as text"),
    ("5.4", second_only, "under way", "Version 1 has another name"),
    ("5.4", percent, "under way", "billionths of a processor"),
    ("5.4", fractions, "under way", "billionths of a processor"),
    ("5.4", minus_one_processes, "under way", "mean: no limit"),
    ("5.4", swap_as_it_is, "under way", "is swap alone: subtract"),
    ("5.4", swap_below_zero, "under way", "Version 2 writes `max`"),
    ("5.4", max_in_both, "under way", "takes the -1 as it is"),
    ("5.4", zeros_are_written, "under way", "0 stands for what was not asked for"),
    ("5.5", first_only, "under way", "One signal may stand for several"),
    ("5.5", until_the_program, "under way", "Go on after the program"),
    ("5.5", no_children_is_an_error, "under way", "ChildProcessError: no children"),
    ("5.5", never_stops, "under way", "children live, none has ended"),
    ("5.5", zero_is_no_code, "under way", "0 is a code, None is none"),
    ("5.5", signals_stay, "under way", "128 + 9"),
    ("5.5", any_code, "under way", "the program lives"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("05-isolation", WRONG)


# The cases are the engine's own answers


def cases(task: Any) -> list[Any]:
    return [pytest.param(case, id=case.say) for case in task.cases]


def test_the_walls_are_those_of_clone() -> None:
    assert set(KINDS) == set(ALL_KINDS) - {"cgroup"} and all(ALL_KINDS[kind] == flag for kind, flag in KINDS.items())


@pytest.mark.parametrize("case", [*cases(WALLS), *cases(IDS)])
def test_the_engine_answers_the_same(case: Case) -> None:
    task = WALLS if case in WALLS.cases else IDS
    assert task.engine(*case.arguments) == case.want


@pytest.mark.parametrize("case", cases(CAPABILITIES))
def test_the_engine_has_the_same_capabilities(case: Case) -> None:
    if case.want is ValueError:
        with pytest.raises(ValueError, match="unknown capability"):
            capabilities.tweaked(*case.arguments)
    else:
        assert mask(capabilities.tweaked(*case.arguments)) == case.want


@pytest.mark.parametrize("case", cases(LIMITS))
def test_the_engine_writes_the_same_files(case: Case) -> None:
    assert right_files(*case.arguments) == case.want


@pytest.mark.parametrize("case", cases(REAP))
def test_the_engine_reaps_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    program, wait = case.arguments
    wait = wait.fresh()
    monkeypatch.setattr(os, "waitpid", lambda *_: wait())
    monkeypatch.setattr(os, "waitstatus_to_exitcode", lambda code: code)
    assert REAP.engine(program) == case.want[0]


# The transplant

real = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not probe.report(Path("/tmp")).works,
    reason="there are no real containers on this machine",
)


def test_where_nothing_is_real_what_the_kernel_would_be_told_is_compared(solved: dict[str, Any]) -> None:
    verdict = open_exercise("05-isolation", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert "clone(2) is given: 0x7c020080 in both" in verdict.twin and "reap 0 times" in verdict.twin
    solved |= {"capability_mask": only_added, "host_id": start_of_row, "cgroup_files": swap_as_it_is}
    verdict = isolation.transplant(solved)
    assert "www-data, seen from outside: yours 100000, the reference's 100032" in verdict.twin
    assert "cgroups are given: yours" in verdict.twin and "100663296" in verdict.twin


@real
def test_real_containers_live_on_the_solution(solved: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIDOCKER_RUNTIME")
    verdict = open_exercise("05-isolation", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]
    assert "end of who leaves orphans: exit code 7, 0 zombies in both" in verdict.twin
    assert "walls with --network host --uts host: user, mnt, pid, ipc" in verdict.twin
    assert [figure.title for figure in verdict.figures] == ["yours", "reference"]


@real
def test_a_reaper_that_stops_early_leaves_zombies(solved: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIDOCKER_RUNTIME")
    verdict = isolation.transplant(solved | {"reap": first_only, "capability_mask": lambda *_: 0})
    assert not verdict.passed
    assert "end of who leaves orphans: yours exit code 7, " in verdict.twin
    assert "CapBnd: yours 0000000000000000, the reference's" in verdict.twin


@real
@pytest.mark.parametrize(("kind", "said"), [("mnt", "makes no new mnt namespace"), ("", "flags that no namespace has")])
def test_what_would_reach_the_host_is_not_tried(
    solved: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    monkeypatch.delenv("MINIDOCKER_RUNTIME")
    right = solved["namespaces"]
    solved["namespaces"] = lambda userns, share: right(userns, share) - KINDS[kind] if kind else 0xFFFFFFFF
    verdict = isolation.transplant(solved)
    assert verdict.title == "Transplant: the engine refused" and said in verdict.twin
