"""Exercise 04: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.container import life
from minidocker.grading import containers, open_exercise
from minidocker.grading.containers import AFTER, DIFF, RESTARTS
from minidocker.grading.release import namespace_of, read, source
from minidocker.runtime import policy as policies
from tests.grading.proofs import each_gets_its_hint

Entries = dict[str, Any]
SOURCE = Path(__file__).parents[2] / "exercises" / "04-containers" / "source.ipynb"


def engines(state: str, verb: str, **other: dict[str, str | None]) -> str | None:
    moves: dict[str, Any] = {known: dict(moves) for known, moves in life.VERBS.items()}
    for known, changed in other.items():
        moves[known] |= changed
    found: str | None = moves[verb].get(state)
    return found


def refuses_what_is_nothing_to_do(state: str, verb: str) -> str | None:
    then = engines(state, verb)
    return None if then == state else then


def starts_the_paused(state: str, verb: str) -> str | None:
    return engines(state, verb, start={"paused": "running"})


def removes_the_running(state: str, verb: str) -> str | None:
    return engines(state, verb, remove={"running": "removed"})


def kills_the_dead(state: str, verb: str) -> str | None:
    return engines(state, verb, kill={"exited": "exited"})


def forgets_the_restarting(state: str, verb: str) -> str | None:
    return engines(state, verb, stop={"restarting": "restarting"})


def borrows(state: str, verb: str) -> str | None:
    return life.after(state, verb)


def ids_first(word: str, names: dict[str, str], ids: list[str]) -> str | None:
    found = [id for id in ids if id.startswith(word)]
    return found[0] if found else names.get(word.removeprefix("/"))


def guesses(word: str, names: dict[str, str], ids: list[str]) -> str | None:
    return names.get(word.removeprefix("/")) or next((id for id in ids if id.startswith(word)), None)


def names_cut_short(word: str, names: dict[str, str], ids: list[str]) -> str | None:
    name = next((name for name in names if name.startswith(word.removeprefix("/"))), None)
    return names[name] if name else guesses(word, names, ids)


def no_slash(word: str, names: dict[str, str], ids: list[str]) -> str | None:
    return names.get(word) or guesses(word, {}, ids)


def without_a_person(policy: str, most: int, code: int, count: int, by_hand: bool) -> bool:  # noqa: ARG001
    return policies.restarts(policy, most, code, count, False)


def once_too_often(policy: str, most: int, code: int, count: int, by_hand: bool) -> bool:
    if by_hand or policy != "on-failure":
        return not by_hand and policy in ("always", "unless-stopped")
    return code != 0 and (most == 0 or count <= most)


def no_limit_is_none(policy: str, most: int, code: int, count: int, by_hand: bool) -> bool:
    if by_hand or policy != "on-failure":
        return not by_hand and policy in ("always", "unless-stopped")
    return code != 0 and count < most


def letters(lower: Entries, upper: Entries) -> dict[str, str]:
    found = {path: "C" if path in lower else "A" for path in upper if lower.get(path) != upper[path]}
    return found | {path: "D" for path in lower if path not in upper}


def all_that_is_gone(lower: Entries, upper: Entries) -> list[str]:
    found = letters(lower, upper)
    for path in list(found):
        while path := path.rpartition("/")[0]:
            found.setdefault(path, "C")
    return [f"{found[path]} {path}" for path in sorted(found)]


def without_the_way(lower: Entries, upper: Entries) -> list[str]:
    found = letters(lower, upper)
    return [f"{found[path]} {path}" for path in sorted(found)]


def by_letter(lower: Entries, upper: Entries) -> list[str]:
    right = namespace_of(
        read(SOURCE) | {"cells": [cell for cell in read(SOURCE)["cells"] if "def diff" in source(cell)]}
    )
    right["parent"] = lambda path: path.rpartition("/")[0] or "/"
    return sorted(right["diff"](lower, upper))


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("4.1", refuses_what_is_nothing_to_do, "under way", "There is nothing to do, and that is no error"),
    ("4.1", starts_the_paused, "under way", "Docker wants unpause for that"),
    ("4.1", removes_the_running, "under way", "Docker wants it stopped first"),
    ("4.1", kills_the_dead, "under way", "Without a process there is nothing to send a signal to"),
    ("4.1", forgets_the_restarting, "under way", "Then it does not come back"),
    ("4.1", borrows, "cannot pass", "minidocker's own after()"),
    ("4.2", ids_first, "under way", "A name goes before the beginning of an id"),
    ("4.2", guesses, "under way", "Docker does not guess"),
    ("4.2", names_cut_short, "under way", "Names are not cut short"),
    ("4.2", no_slash, "under way", "removeprefix"),
    ("4.3", once_too_often, "under way", "count < most"),
    ("4.3", no_limit_is_none, "under way", "means: no limit"),
    ("4.3", without_a_person, "cannot pass", "minidocker's own restarts()"),
    ("4.4", all_that_is_gone, "under way", "Only its top is listed"),
    ("4.4", without_the_way, "under way", "Every directory on the way"),
    ("4.4", by_letter, "under way", "Sort by path"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("04-containers", WRONG)


@pytest.mark.parametrize("task", [AFTER, RESTARTS], ids=["after", "restarts"])
def test_the_cases_are_what_the_engine_does(task: Any) -> None:
    assert [task.engine(*case.arguments) for case in task.cases] == [case.want for case in task.cases]


def test_the_table_is_asked_for_every_verb_and_state() -> None:
    asked = {case.arguments for case in AFTER.cases}
    assert {verb for _, verb in asked} == set(life.VERBS)
    moves = {(state, verb) for verb, moves in life.VERBS.items() for state in moves}
    assert len(moves - asked) <= 1, "what the engine lists is in the cases, but for what two of them say already"


def test_a_move_is_drawn_with_its_refusal() -> None:
    assert AFTER.show("yours", None, ("running", "remove")).twin == "yours\n  running -- remove -> refused"
    assert "md-dash" in AFTER.show("yours", None, ("running", "remove")).svg()
    assert DIFF.show("yours", ["A /x"], ({}, {})).twin.endswith("'A /x'")


def test_the_solution_comes_to_the_references_lives_and_digest(solved: dict[str, Any]) -> None:
    verdict = open_exercise("04-containers", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]
    assert "restarts of clumsy: 2" in verdict.twin and "D /attic, A /in," in verdict.twin


def test_each_wrong_organ_is_noticed(solved: dict[str, Any]) -> None:
    solved |= {"after": removes_the_running, "find": ids_first, "restarts": once_too_often, "diff": without_the_way}
    verdict = containers.transplant(solved)
    assert not verdict.passed
    for said in (
        "who is meant: yours web, web, web, nobody, the reference's the other, web, web, nobody",
        "web's life: yours pause: refused",
        "restarts of clumsy: yours 3, the reference's 2",
        "docker diff clumsy: yours D /attic, D /attic/box",
        "the id of what is committed: yours sha256:",
    ):
        assert said in verdict.twin


def test_a_policy_without_end_is_ended(solved: dict[str, Any]) -> None:
    solved["restarts"] = lambda *_: True
    verdict = containers.transplant(solved)
    assert verdict.voice == "cannot pass" and "restarts said yes 4 times to on-failure:2" in verdict.twin
