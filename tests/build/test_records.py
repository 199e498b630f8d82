"""The build cache's records: what each cost and why it is there, and which of them go."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import mountcache
from minidocker.build.records import Limits, prune, usage
from minidocker.errors import InvalidArgument

TEXT = "FROM busybox\nENV A=1\nRUN echo hello > /f\nCOPY a.txt /\n"


def age(store: Any, text: str, hours: float) -> None:
    """Make the record of an instruction look as if it had not been used for so long."""
    (path,) = (path for path in (store.root / "cache" / "steps").glob("*.json") if text in path.read_text())
    before = path.stat().st_mtime - hours * 3600
    os.utime(path, (before, before))


def said(records: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(record["Description"] for record in records)


def test_a_record_knows_why_it_was_built(workshop: Any) -> None:
    workshop.build(TEXT, {"a.txt": "1"})
    workshop.build(TEXT, {"a.txt": "2"})
    workshop.build(TEXT.replace("hello", "bye"))
    known = {
        (record["Description"], record["Reason"].partition(" (was")[0]): record for record in usage(workshop.store)
    }
    assert set(known) == {
        ("ENV A=1", "never built before"),
        ("RUN echo hello > /f", "never built before"),
        ("COPY a.txt /", "never built before"),
        ("COPY a.txt /", "a.txt changed"),
        ("RUN echo bye > /f", "line 3 changed: was `RUN echo hello > /f`, now `RUN echo bye > /f`"),
        ("COPY a.txt /", "parent changed"),
    } or {reason for _, reason in known} >= {"never built before", "a.txt changed"}
    copy = known["COPY a.txt /", "a.txt changed"]
    assert (copy["Where"], copy["Type"], copy["InUse"]) == ("Dockerfile:4", "regular", False)
    run = known["RUN echo hello > /f", "never built before"]
    assert run["UsageCount"] == 2, "built, and taken once"
    assert known["ENV A=1", "never built before"]["UsageCount"] == 3
    assert run["Size"] > 0 and run["Shared"], "an image has that layer"


def test_no_cache_is_a_reason(workshop: Any) -> None:
    workshop.build(TEXT, {"a.txt": "1"}, nocache=True)
    assert {record["Reason"] for record in usage(workshop.store)} == {"--no-cache"}


def test_layers_that_only_the_cache_has_are_its_own(workshop: Any) -> None:
    workshop.build("FROM busybox AS b\nRUN echo 1 > /f\nFROM scratch\nCOPY --from=b /f /g\n")
    shared = {record["Description"]: record["Shared"] for record in usage(workshop.store)}
    assert shared == {"RUN echo 1 > /f": False, "COPY --from=b /f /g": True}


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({}, []),
        ({"until": "24h"}, ["COPY", "ENV"]),
        ({"unused-for": "96h"}, ["COPY", "ENV", "RUN"]),
        ({"type": "regular"}, []),
        ({"type": "exec.cachemount"}, ["COPY", "ENV", "RUN"]),
        ({"type!": "regular"}, ["COPY", "ENV", "RUN"]),
        ({"description~": "^(RUN|ENV)"}, ["COPY"]),
        ({"shared": "true"}, ["ENV"]),
        ({"private": "true"}, ["COPY", "RUN"]),
        ({"inuse": "true"}, ["COPY", "ENV", "RUN"]),
        ({"label": "a"}, ["COPY", "ENV", "RUN"]),
        ({"label!": "a"}, []),
        ({"until": "24h", "description~": "COPY"}, ["COPY", "ENV", "RUN"]),
    ],
)
def test_what_goes(workshop: Any, filters: dict[str, str], left: list[str]) -> None:
    workshop.build(TEXT, {"a.txt": "1"})
    age(workshop.store, "RUN", 48)
    prune(workshop.store, filters)
    assert [one.split()[0] for one in said(usage(workshop.store))] == left


def test_by_id(workshop: Any) -> None:
    workshop.build(TEXT, {"a.txt": "1"})
    one = next(record for record in usage(workshop.store) if "RUN" in record["Description"])
    gone = prune(workshop.store, {"id": [one["ID"][:10]]})
    assert [record["ID"] for record in gone] == [one["ID"]]
    again = workshop.build(TEXT)
    assert [step.decision.hit for step in again.steps] == [True, True, False, True], "what lies below it is found"
    assert "its result is not in the cache" in again.steps[2].decision.reason


def test_the_longest_unused_goes_first_until_little_enough_is_left(workshop: Any) -> None:
    for number in range(4):
        workshop.build(f"FROM busybox\nRUN echo {number} > /f\n")
        age(workshop.store, f"RUN echo {number}", 10 - number)
    size = usage(workshop.store)[0]["Size"]
    prune(workshop.store, limits=Limits(most=2 * size))
    assert said(usage(workshop.store)) == ["RUN echo 2 > /f", "RUN echo 3 > /f"]
    prune(workshop.store, limits=Limits(free=1))
    assert len(usage(workshop.store)) == 2, "enough is free already"
    prune(workshop.store, limits=Limits(reserved=size, most=1))
    assert said(usage(workshop.store)) == ["RUN echo 3 > /f"]


def test_nothing_stays_that_only_those_had_need_of(workshop: Any) -> None:
    text = "FROM busybox AS b\nRUN echo 1 > /f\nFROM scratch\nCOPY --from=b /f /\nCOPY a.txt /\n"
    workshop.build(text, {"a.txt": "1"})
    cache = workshop.store.root / "cache"
    prune(workshop.store, {"description~": "^COPY"})
    assert [json.loads(path.read_text())["instruction"] for path in (cache / "steps").glob("*")] == ["RUN echo 1 > /f"]
    prune(workshop.store)
    assert [path for path in cache.rglob("*") if path.is_file() and path.parent.name != "contexts"] == []


def test_cache_mounts_are_listed_and_go_too(workshop: Any) -> None:
    workshop.build("FROM busybox\nRUN --mount=type=cache,target=/c echo 1 > /c/x\n")
    mount = next(record for record in usage(workshop.store) if record["Type"] == mountcache.TYPE)
    assert mount["Mutable"] and mount["Size"] > 1
    prune(workshop.store, {"type": "exec.cachemount"})
    assert [record["Type"] for record in usage(workshop.store)] == ["regular"]


def test_filters_that_are_none(workshop: Any) -> None:
    for filters, words in (({"color": "red"}, "Invalid filter 'color'"), ({"until": ["1h", "2h"]}, "only one value")):
        with pytest.raises(InvalidArgument, match=words):
            usage(workshop.store, filters)


def test_damaged_records_do_not_matter(workshop: Any) -> None:
    workshop.build(TEXT, {"a.txt": "1"})
    for number, text in enumerate(("", "[]", "{}", '{"same": 1}', '{"layer": 3}')):
        (workshop.store.root / "cache" / "steps" / f"{number:064}.json").write_text(text)
    assert len(usage(workshop.store)) == 3
    prune(workshop.store, {"description~": "RUN"})
    assert len(usage(workshop.store)) == 2


def test_pruning_frees_what_no_image_has(workshop: Any, tmp_path: Path) -> None:
    from minidocker.engine import Engine

    shutil.copytree(workshop.store.root, tmp_path / "engine", dirs_exist_ok=True)
    engine = Engine(tmp_path / "engine", "simulated")
    text = "FROM busybox AS b\nRUN echo 12345 > /f\nFROM scratch\nCOPY --from=b /f /g\n"
    engine.images.build(path=str(workshop.folder), text=text)
    gone = engine.images.prune_builds(filters={"shared": False})
    assert len(gone["CachesDeleted"]) == 1 and gone["SpaceReclaimed"] > 5
    assert engine.images.prune_builds(filters={"until": "1h"}) == {"CachesDeleted": None, "SpaceReclaimed": 0}
    engine.close()
