"""Exercise 02: each wrong solution gets the hint that is meant for it, and a wrong organ is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.content import LAYER
from minidocker.grading import images
from minidocker.grading.exercise import Exercise
from minidocker.images import Images
from tests.grading.proofs import each_gets_its_hint

SOURCE = Path(__file__).parents[2] / "exercises" / "02-images" / "source.ipynb"


def written_anew(config: bytes) -> str:
    return images._digest(json.dumps(json.loads(config), separators=(",", ":")).encode())


def no_algorithm(config: bytes) -> str:
    return images._digest(config)[7:]


def of_its_text(config: bytes) -> str:
    return images._digest(config.decode().encode())


def never_gzip(config: bytes, layers: list[bytes]) -> dict[str, Any]:
    made = images._manifest(config, layers)
    return made | {"layers": [layer | {"mediaType": LAYER} for layer in made["layers"]]}


def each_layer_once(config: bytes, layers: list[bytes]) -> dict[str, Any]:
    return images._manifest(config, list(dict.fromkeys(layers)))


def as_text(config: bytes, layers: list[bytes]) -> str:
    return json.dumps(images._manifest(config, layers))


Index = list[tuple[str, str]]


def any_colon(index: Index, name: str, digest: str) -> Index:
    return moved(index, name if ":" in name else f"{name}:latest", digest)


def old_one_lost(index: Index, name: str, digest: str) -> Index:
    name += "" if ":" in name.rpartition("/")[2] else ":latest"
    return [*(pair for pair in index if pair[0] != name), (name, digest)]


def untidy(index: Index, name: str, digest: str) -> Index:
    name += "" if ":" in name.rpartition("/")[2] else ":latest"
    return [*(("" if old == name else old, target) for old, target in index), (name, digest)]


def in_place(index: Index, name: str, digest: str) -> Index:
    index.append((name, digest))
    return index


def moved(index: Index, name: str, digest: str) -> Index:
    pairs = [*(("" if old == name else old, target) for old, target in index), (name, digest)]
    named = {target for old, target in pairs if old}
    return [pair for pair in pairs if pair[0] or pair[1] not in named]


def borrowed(index: Index, name: str, digest: str) -> Index:
    Images.tag(index, name, digest)  # type: ignore[arg-type]
    return index


def roots_only(roots: list[str], blobs: dict[str, bytes]) -> list[str]:
    return sorted({digest for digest in roots if digest in blobs})


def into_tars(roots: list[str], blobs: dict[str, bytes]) -> list[str]:
    import re

    alive, todo = set(), list(roots)
    while todo:
        if (digest := todo.pop()) in blobs and digest not in alive:
            alive.add(digest)
            todo += [found.decode() for found in re.findall(rb"sha256:[0-9a-f]+", blobs[digest])]
    return sorted(alive)


def one_level(roots: list[str], blobs: dict[str, bytes]) -> list[str]:
    return sorted({*roots, *(d for r in roots for d in blobs if d.encode() in blobs[r] and blobs[r][:1] == b"{")})


def as_a_set(roots: list[str], blobs: dict[str, bytes]) -> set[str]:
    return set(roots_only(roots, blobs))


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("2.1", written_anew, "under way", "Hash the bytes as they are"),
    ("2.1", of_its_text, "under way", "Bytes are hashed, not text"),
    ("2.1", no_algorithm, "under way", "`sha256:`, and the hex digest"),
    ("2.2", never_gzip, "under way", "its media type ends in +gzip"),
    ("2.2", each_layer_once, "under way", "the same layer twice is listed twice"),
    ("2.2", as_text, "cannot pass", "must return a dict"),
    ("2.3", any_colon, "under way", "That colon belongs to the port"),
    ("2.3", old_one_lost, "under way", "it is dangling, not gone"),
    ("2.3", untidy, "under way", "says nothing where the same digest has a name"),
    ("2.3", in_place, "cannot pass", "changes its arguments"),
    ("2.3", borrowed, "cannot pass", "minidocker's own tag()"),
    ("2.4", roots_only, "under way", "until nothing new comes up"),
    ("2.4", into_tars, "under way", "follow only blobs that begin with"),
    ("2.4", one_level, "under way", "three levels deep"),
    ("2.4", as_a_set, "cannot pass", "must return a list"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("02-images", WRONG)


@pytest.fixture
def solved(opened: Callable[[Path], Exercise], monkeypatch: pytest.MonkeyPatch) -> Exercise:
    monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
    return opened(SOURCE)


def test_the_engine_lives_on_the_solution(solved: Exercise) -> None:
    verdict = solved.transplant()
    assert verdict.voice == "passed", verdict.twin
    assert " 0 times" not in verdict.lines[-1]
    assert all(line.endswith(" in both") for line in verdict.lines[:-1])
    assert [figure.title.partition(":")[0] for figure in verdict.figures] == ["yours", "reference"]


@pytest.mark.parametrize(
    ("name", "wrong", "noticed"),
    [
        (
            "make_manifest",
            lambda c, layers: images._manifest(c, layers) | {"schemaVersion": 2.0},
            "the manifest of app:1",
        ),
        ("move_tag", old_one_lost, "the index before prune"),
        ("move_tag", untidy, "the index before prune"),
        ("reachable", lambda _roots, blobs: sorted(blobs), "blobs that are left"),
    ],
)
def test_a_wrong_organ_is_noticed(solved: Exercise, name: str, wrong: Callable[..., Any], noticed: str) -> None:
    solved.namespace[name] = wrong
    verdict = images.transplant(solved.namespace)
    assert not verdict.passed
    different = [line.partition(":")[0] for line in verdict.lines[:-1] if not line.endswith(" in both")]
    assert any(noticed.startswith(line) for line in different), verdict.twin


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("reachable", lambda *_: [], "is not in"),
        ("image_id", lambda config: images._digest(config + b" "), "No such image: sha256:"),
    ],
)
def test_with_some_wrong_organs_the_engine_cannot_go_on(
    solved: Exercise, name: str, wrong: Callable[..., Any], said: str
) -> None:
    solved.namespace[name] = wrong
    verdict = images.transplant(solved.namespace)
    assert verdict.voice == "cannot pass" and said in verdict.twin
