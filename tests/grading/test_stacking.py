"""Exercise 03: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minidocker import layer as layering
from minidocker.grading import open_exercise, stacking
from minidocker.grading.exercise import Case
from minidocker.grading.operation import counted
from minidocker.grading.stacking import OPAQUE, TASKS
from minidocker.grading.transplant import replaced
from minidocker.layer import WHITEOUT, Changeset, merge
from minidocker.tree import Bytes, Tree, directory, file, parents
from minidocker.union import Union, lookup
from tests.grading.proofs import each_gets_its_hint

Entries = dict[str, Any]
SOURCE = Path(__file__).parents[2] / "exercises" / "03-stacking" / "source.ipynb"


def blocked(layer: Entries, path: str) -> bool:
    return any((up in layer and layer[up].kind != "dir") or f"{up}/{OPAQUE}" in layer for up in parents(path))


def newest_that_has_it(layers: list[Entries], path: str) -> int | None:
    return max((number for number, layer in enumerate(layers) if path in layer), default=None)


def whiteouts_fall_through(layers: list[Entries], path: str) -> int | None:
    found = [number for number, layer in enumerate(layers) if layer.get(path, WHITEOUT) != WHITEOUT]
    return found[-1] if found else None


def lowest_first(layers: list[Entries], path: str) -> int | None:
    return next((number for number, layer in enumerate(layers) if path in layer), None)


def no_parents(layers: list[Entries], path: str) -> int | None:
    found = newest_that_has_it(layers, path)
    return None if found is None or layers[found][path] == WHITEOUT else found


def opaque_hides_its_own(layers: list[Entries], path: str) -> int | None:
    for number in reversed(range(len(layers))):
        if blocked(layers[number], path):
            return None
        if path in layers[number]:
            return None if layers[number][path] == WHITEOUT else number
    return None


def prints_instead(layers: list[Entries], path: str) -> None:
    print(layers, path)


def borrows(layers: list[Entries], path: str) -> int | None:
    from minidocker import union

    answers = union.lookup([Changeset(layer) for layer in layers], path)
    return next((answer.layer for answer in answers if answer.verdict == "answers"), None)


def names(layer: Entries, path: str, kinds: tuple[str, ...] = ("file", "dir")) -> set[str]:
    inside = {below for below in layer if below != "/" and (below.rpartition("/")[0] or "/") == path}
    return {below.rpartition("/")[2] for below in inside if layer[below].kind in kinds}


def all_names_but_whiteouts(layers: list[Entries], path: str) -> list[str]:
    gone = set().union(*(names(layer, path, ("whiteout",)) for layer in layers))
    return sorted(set().union(*(names(layer, path) for layer in layers)) - gone)


def old_names_come_back(layers: list[Entries], path: str) -> list[str]:
    found: set[str] = set()
    for layer in layers:
        found = (found - names(layer, path, ("whiteout",))) | names(layer, path)
    return sorted(found)


def all_below(layers: list[Entries], path: str) -> list[str]:
    return sorted({below[len(path) :].lstrip("/") for layer in layers for below in layer if below.startswith(path)})


def unsorted(layers: list[Entries], path: str) -> list[str]:
    return [name for layer in layers for name in sorted(names(layer, path))]


def only_the_new_bytes(lower: Entries, upper: Entries, path: str, data: bytes) -> Entries:
    return upper | {path: replace(upper.get(path) or lower.get(path) or file(), data=Bytes(data))}


def forgets_the_mode(lower: Entries, upper: Entries, path: str, data: bytes) -> Entries:
    return upper | {path: file((upper.get(path) or lower[path]).data.read() + data)}


def without_directories(lower: Entries, upper: Entries, path: str, data: bytes) -> Entries:
    old = upper.get(path) or lower[path]
    return upper | {path: replace(old, data=Bytes(old.data.read() + data))}


def from_lower_each_time(lower: Entries, upper: Entries, path: str, data: bytes) -> Entries:
    above = {up: lower[up] for up in parents(path) if up != "/"}
    return upper | above | {path: replace(lower[path], data=Bytes(lower[path].data.read() + data))}


def resurrects(lower: Entries, upper: Entries, path: str, data: bytes) -> Entries:
    above = {up: lower[up] for up in parents(path) if up != "/" and up not in upper}
    old = upper.get(path)
    old = lower.get(path, file()) if old is None or old == WHITEOUT else old
    return upper | above | {path: replace(old, data=Bytes(old.data.read() + data))}


def writes_into_the_image(lower: Entries, upper: Entries, path: str, data: bytes) -> Entries:
    lower[path] = replace(lower[path], data=Bytes(lower[path].data.read() + data))
    return upper


def always_a_whiteout(lower: Entries, upper: Entries, path: str) -> Entries:
    above = {up: lower[up] for up in parents(path) if up != "/" and up not in upper and up in lower}
    return {known: e for known, e in upper.items() if not known.startswith(path + "/")} | above | {path: WHITEOUT}


def only_takes_out(lower: Entries, upper: Entries, path: str) -> Entries:  # noqa: ARG001
    return {known: entry for known, entry in upper.items() if known != path}


def leaves_what_is_below(lower: Entries, upper: Entries, path: str) -> Entries:
    above = {up: lower[up] for up in parents(path) if up != "/" and up not in upper} if path in lower else {}
    return only_takes_out(lower, upper, path) | above | ({path: WHITEOUT} if path in lower else {})


def prefix_without_slash(lower: Entries, upper: Entries, path: str) -> Entries:
    above = {up: lower[up] for up in parents(path) if up != "/"} if path in lower else {}
    left = {known: entry for known, entry in upper.items() if not known.startswith(path)}
    return above | left | ({path: WHITEOUT} if path in lower else {})


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("3.1", lowest_first, "under way", "Start at the top"),
    ("3.1", newest_that_has_it, "under way", "A whiteout ends the search"),
    ("3.1", whiteouts_fall_through, "under way", "A whiteout ends the search"),
    ("3.1", no_parents, "under way", "Look at parents(path) in each layer too"),
    ("3.1", opaque_hides_its_own, "under way", "not what its own layer has"),
    ("3.1", borrows, "cannot pass", "minidocker's own lookup()"),
    ("3.1", prints_instead, "under way", "Expected 0, got None"),
    ("3.2", all_names_but_whiteouts, "under way", "go from the bottom up"),
    ("3.2", old_names_come_back, "under way", "they do not come back"),
    ("3.2", all_below, "under way", "Names, not paths"),
    ("3.2", unsorted, "under way", "Sorted, please"),
    ("3.3", only_the_new_bytes, "under way", "A layer holds whole files"),
    ("3.3", forgets_the_mode, "under way", "keeps mode and owner"),
    ("3.3", without_directories, "under way", "a layer that has /tmp/log has /tmp"),
    ("3.3", from_lower_each_time, "under way", "now upper has it, and upper comes first"),
    ("3.3", resurrects, "under way", "it does not come back"),
    ("3.3", writes_into_the_image, "cannot pass", "changes its arguments"),
    ("3.4", always_a_whiteout, "under way", "there is nothing to hide"),
    ("3.4", only_takes_out, "under way", "a WHITEOUT hides it"),
    ("3.4", leaves_what_is_below, "under way", "All that upper has below it goes"),
    ("3.4", prefix_without_slash, "under way", "'/tmp/', slash included"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("03-stacking", WRONG)


# The cases are the engine's own answers


def cases(number: int) -> list[Any]:
    return [pytest.param(case, id=case.say) for case in TASKS[number].cases]


def changeset(layer: Entries) -> Changeset:
    marks = [path for path in layer if path.endswith(OPAQUE)]
    return Changeset(
        {path: entry for path, entry in layer.items() if path not in marks}, {path.rpartition("/")[0] for path in marks}
    )


@pytest.mark.parametrize("case", cases(0))
def test_the_engine_finds_the_same_layer(case: Case) -> None:
    layers, path = case.arguments
    answers = lookup([changeset(layer) for layer in layers], path)
    assert next((answer.layer for answer in answers if answer.verdict == "answers"), None) == case.want


@pytest.mark.parametrize("case", cases(1))
def test_the_engine_lists_the_same_names(case: Case) -> None:
    layers, path = case.arguments
    assert Union([changeset(layer) for layer in layers]).listdir(path) == case.want


@pytest.mark.parametrize("case", [*cases(2), *cases(3)])
def test_the_engine_sees_the_same_through_the_new_upper_layer(case: Case) -> None:
    lower, upper, path, *data = case.arguments
    before = merge(Tree(lower), Changeset(upper))
    view = Union(lower=Tree(lower), upper=Changeset(upper), clock=lambda: 0)
    if data:
        view.write(path, data[0], append=True)
    else:
        for below in reversed(before.below(path)):
            view.unlink(below)
        (view.rmdir if before[path].is_dir else view.unlink)(path)
    assert merge(Tree(lower), Changeset(case.want)) == view.tree()


# The transplant


def test_the_adapters_carry_implied_and_opaque_directories_and_hard_links(solved: dict[str, Any]) -> None:
    lower = Tree({"/a/b": file(b"1", link="/a/b"), "/a/c": file(b"1", link="/a/b"), "/o/old": file(b"2")})
    layers = [
        Changeset({"/n/m": file(b"3"), "/o": directory(0o700), "/o/new": file(b"4")}, {"/o"}),
        Changeset({"/a/b": file(b"5"), "/o/x/y": file(b"6")}),
    ]
    seen = merge(lower, *layers)
    with replaced(stacking.grafts(counted(solved, TASKS))):
        through = layering.merge(lower, *layers)
    assert through == seen
    assert "/o/old" not in seen and seen["/a/c"].link == ""


def test_the_solution_arrives_at_the_references_digest(solved: dict[str, Any]) -> None:
    verdict = open_exercise("03-stacking", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]


def plain_mode(right: Callable[..., Entries]) -> Callable[..., Entries]:
    def append(lower: Entries, upper: Entries, path: str, data: bytes) -> Entries:
        new = right(lower, upper, path, data)
        return new | {path: replace(new[path], mode=0o644)}

    return append


def no_whiteouts(right: Callable[..., Entries]) -> Callable[..., Entries]:
    def remove(lower: Entries, upper: Entries, path: str) -> Entries:
        return {known: entry for known, entry in right(lower, upper, path).items() if entry != WHITEOUT}

    return remove


def blind_to_opaque(right: Callable[..., list[str]]) -> Callable[..., list[str]]:
    def listing(layers: list[Entries], path: str) -> list[str]:
        found = right([{p: e for p, e in layer.items() if not p.endswith(OPAQUE)} for layer in layers], path)
        return [name for name in found if name != OPAQUE]

    return listing


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("append", plain_mode, "the image's id: yours sha256:"),
        ("remove", no_whiteouts, "the build failed"),
        ("listing", blind_to_opaque, "opaque directory: yours b c, the reference's c"),
    ],
)
def test_a_wrong_organ_is_noticed(solved: dict[str, Any], name: str, damage: Callable[..., Any], said: str) -> None:
    solved[name] = damage(solved[name])
    if name == "listing":
        solved["answers"] = no_parents
    verdict = stacking.transplant(solved)
    assert not verdict.passed
    assert said in verdict.twin
