"""The engine lives on a learner's functions for one build, and on its own again afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minidocker import content, image, layer, union
from minidocker.grading import layers, open_exercise
from minidocker.grading.exercise import Exercise
from minidocker.grading.operation import counted
from minidocker.grading.release import namespace_of, read, source
from minidocker.grading.transplant import replaced
from minidocker.layer import WHITEOUT, Changeset
from minidocker.tree import Tree, directory, file

SOURCE = Path(__file__).parents[2] / "exercises" / "01-layers" / "source.ipynb"


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> Exercise:
    monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
    notebook = read(SOURCE)
    cells = [cell for cell in notebook["cells"] if "transplant()" not in source(cell)]
    return open_exercise("01-layers", namespace_of({**notebook, "cells": cells}))


def test_a_function_is_replaced_wherever_it_is_known_and_put_back() -> None:
    original = layer.merge

    def other(*_: Any) -> Tree:
        return Tree()

    with replaced({original: other}):
        assert layer.merge is vars(union)["merge"] is other
    assert layer.merge is vars(union)["merge"] is original


def test_a_method_is_replaced_in_its_class_and_put_back() -> None:
    original = content.Store.read
    with replaced({original: lambda _store, digest: digest.encode()}):
        assert content.Store.read(None, "sha256:aa") == b"sha256:aa"  # type: ignore[arg-type]
    assert content.Store.read is original


def test_it_is_put_back_when_the_block_fails() -> None:
    original = layer.chain_ids
    with pytest.raises(ZeroDivisionError), replaced({original: lambda _: []}):
        1 / 0  # noqa: B018
    assert layer.chain_ids is vars(image)["chain_ids"] is original


def test_the_adapters_carry_opaque_directories_and_implied_parents(solved: Exercise) -> None:
    lower = Tree({"/a/b": file(b"1"), "/a/c/d": file(b"2"), "/x": file(b"3")})
    changes = Changeset(
        {"/a": directory(), "/a/c/e": file(b"4"), "/n/m": file(b"5"), "/x": WHITEOUT}, frozenset({"/a"})
    )
    with replaced(layers.grafts(counted(solved.namespace, layers.TASKS))):
        seen = layer.merge(lower, changes)
        back = layer.diff(lower, seen)
    assert seen == layer.merge(lower, changes)
    assert back == layer.diff(lower, seen)


def test_the_solution_arrives_at_the_references_digest(solved: Exercise) -> None:
    verdict = solved.transplant()
    assert verdict.voice == "passed", verdict.twin
    assert [line.endswith(" in both") for line in verdict.lines] == [True, True, False]
    assert "sha256:" in verdict.lines[0] and " 0 times" not in verdict.lines[2]
    assert [figure.title for figure in verdict.figures] == ["yours", "reference"]


def test_an_organ_that_is_wrong_makes_another_image(solved: Exercise) -> None:
    right = solved.namespace["make_layer"]
    solved.namespace["make_layer"] = lambda lower, upper: {
        path: entry for path, entry in right(lower, upper).items() if entry.kind != "whiteout"
    }
    verdict = layers.transplant(solved.namespace)
    assert not verdict.passed
    assert "the engine came to something else" in verdict.title
    assert "the image's id: yours sha256:" in verdict.lines[0]


def test_an_organ_that_raises_is_reported_and_the_engine_is_whole_again(solved: Exercise) -> None:
    solved.namespace["make_layer"] = lambda lower, _: lower["/nowhere"]
    verdict = layers.transplant(solved.namespace)
    assert verdict.voice == "cannot pass"
    assert "raised KeyError: '/nowhere'" in verdict.twin
    assert layer.diff.__module__ == "minidocker.layer"


def test_what_the_lives_set_in_the_environment_is_gone(solved: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    layers.transplant(solved.namespace)
    assert os.environ["SOURCE_DATE_EPOCH"] == "7"


def test_a_blind_verify_is_found_out(solved: Exercise) -> None:
    solved.namespace["verify"] = lambda *_: True
    verdict = layers.transplant(solved.namespace)
    assert not verdict.passed
    assert "taken for good" in verdict.twin
