"""Every decision of the cache is a record, and every miss says why, by name."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

import pytest

from minidocker.build import Build
from minidocker.build.records import prune, usage

DOCKERFILE = """FROM busybox
ARG V=1
LABEL a=1
COPY req.txt /
RUN echo $V > /v
COPY src /src
WORKDIR /w
ENV A=b
RUN echo done > /done
"""
FILES = {"req.txt": "r", "src/app.py": "1", "src/lib.py": "l"}


def misses(build: Build) -> dict[int, str]:
    return {step.number: step.decision.reason for step in build.steps if not step.decision.hit}


@pytest.fixture
def built(workshop: Any) -> Any:
    """A workshop in which the Dockerfile has been built once."""
    workshop.build(DOCKERFILE, FILES)
    return workshop


def test_the_first_time_nothing_was_built_before(workshop: Any) -> None:
    build = workshop.build(DOCKERFILE, FILES)
    assert misses(build) == dict.fromkeys(range(2, 10), "miss because never built before")
    assert build.steps[0].decision.reason == "hit"


def test_the_second_time_everything_hits_and_the_image_is_the_same(built: Any) -> None:
    first = built.images.list()[0]
    again = built.build(DOCKERFILE)
    assert misses(again) == {}
    assert again.image == first
    assert " ---> Using cache\n" in again.log


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"src/app.py": "2"}, r"src/app.py changed \(was sha256:6b86…, now sha256:d473…\)"),
        ({"src/new.py": "n"}, "src/new.py was added"),
        ({"src/new.py": "n", "src/app.py": "2"}, r"src/app.py changed \(was .*\); and 1 more"),
    ],
)
def test_a_changed_file_is_named(built: Any, change: dict[str, str], reason: str) -> None:
    found = misses(built.build(DOCKERFILE, change))
    assert list(found) == [6, 7, 8, 9]
    assert re.fullmatch(f"miss because {reason}", found[6])
    assert found[7] == "miss because parent changed (step 6)"


def test_a_removed_file_and_a_changed_mode_are_named(built: Any) -> None:
    (built.folder / "src/lib.py").unlink()
    assert misses(built.build(DOCKERFILE))[6] == "miss because src/lib.py was removed"
    (built.folder / "src/app.py").chmod(0o755)
    assert misses(built.build(DOCKERFILE))[6] == "miss because src/app.py: its mode changed (was 644, now 755)"


def test_a_time_alone_is_no_change(built: Any) -> None:
    os.utime(built.folder / "src/app.py", (1, 1))
    assert misses(built.build(DOCKERFILE)) == {}


def test_a_change_taken_back_hits_again(built: Any) -> None:
    built.build(DOCKERFILE, {"src/app.py": "2"})
    assert misses(built.build(DOCKERFILE, {"src/app.py": "1"})) == {}


@pytest.mark.parametrize(
    ("old", "new", "step", "reason"),
    [
        (
            "RUN echo done",
            "RUN echo gone",
            9,
            "line 9 changed: was `RUN echo done > /done`, now `RUN echo gone > /done`",
        ),
        ("COPY src /src", "COPY src /srv", 6, "line 6 changed: was `COPY src /src`, now `COPY src /srv`"),
        ("WORKDIR", "RUN true\nWORKDIR", 7, "line 7 is new: `RUN true`"),
        ("RUN echo $V > /v\n", "", 5, "`RUN echo $V > /v` was removed before line 5"),
        ("ENV A=b", "ENV A=c", 9, "environment variable A changed (was b, now c)"),
        (
            "COPY req.txt /\nRUN echo $V > /v",
            "RUN echo $V > /v\nCOPY req.txt /",
            4,
            "`COPY req.txt /` was moved below line 4",
        ),
        ("WORKDIR /w", "WORKDIR /x", 7, "line 7 changed: was `WORKDIR /w`, now `WORKDIR /x`"),
    ],
)
def test_a_changed_line_is_quoted(built: Any, old: str, new: str, step: int, reason: str) -> None:
    assert misses(built.build(DOCKERFILE.replace(old, new)))[step] == f"miss because {reason}"


def test_a_build_argument_is_named(built: Any) -> None:
    found = misses(built.build(DOCKERFILE, buildargs={"V": "2"}))
    assert found[5] == "miss because build argument V changed (was 1, now 2)"
    assert 4 not in found, "what stands above its use is not touched"


def test_a_label_makes_no_layer_so_it_costs_nobody_below_a_layer(built: Any) -> None:
    found = misses(built.build(DOCKERFILE.replace("a=1", "a=2")))
    assert found[3] == "miss because line 3 changed: was `LABEL a=1`, now `LABEL a=2`"
    assert not {4, 5, 6, 7, 9} & found.keys()


def test_spelling_is_no_change(built: Any) -> None:
    assert misses(built.build("# a comment\n\n" + DOCKERFILE.replace("COPY req.txt", "copy    req.txt"))) == {}


def test_a_changed_base_image_is_named(built: Any) -> None:
    was = built.images.get("busybox")
    other = built.images.create({"config": {"Env": ["X=1"]}}, [*was.layers, *built.images.list()[0].layers[1:2]])
    built.images.tag(other, "busybox")
    found = misses(built.build(DOCKERFILE))
    assert found[1] == f"miss because base image busybox changed (was {was.id[:11]}…, now {other.id[:11]}…)"
    assert found[4] == "miss because parent changed (step 1)"


def test_another_cell_is_another_dockerfile(built: Any) -> None:
    found = misses(built.build("FROM busybox\nRUN echo other\n", tag="other"))
    assert found[2] == "miss because never built before", "and not: line 2 changed"


def test_no_cache_asks_nobody(built: Any) -> None:
    found = misses(built.build(DOCKERFILE, nocache=True))
    assert found == dict.fromkeys(range(2, 10), "miss because of --no-cache")


def test_a_layer_that_is_gone_or_corrupt_is_a_miss(built: Any) -> None:
    image = built.build(DOCKERFILE).image
    built.store.path(image.layers[-1].descriptor.digest).unlink()
    found = misses(built.build(DOCKERFILE))
    assert list(found) == [9]
    assert found[9].endswith("is gone from the store")
    blob = built.store.path(image.layers[1].descriptor.digest)
    blob.write_bytes(blob.read_bytes().replace(b"req.txt", b"rex.txt"))
    found = misses(built.build(DOCKERFILE))
    assert found[4].endswith("is corrupt")
    assert "/req.txt" in built.images.list()[0].tree()


def test_a_broken_record_is_a_miss(built: Any) -> None:
    for record in (built.store.root / "cache" / "steps").iterdir():
        record.write_text("{")
    assert "is damaged" in misses(built.build(DOCKERFILE))[4]
    assert misses(built.build(DOCKERFILE)) == {}


def test_what_another_stage_made_is_compared_by_content(workshop: Any) -> None:
    text = "FROM busybox AS b\nRUN echo {} > /noise && echo 1 > /out\nFROM scratch\nCOPY --from=b /out /\n"
    workshop.build(text.format(1))
    found = misses(workshop.build(text.format(2)))
    assert list(found) == [2], "the noise is not copied, so the copy is as it was"
    found = misses(workshop.build(text.format(2).replace("echo 1", "echo 7")))
    assert found[4].startswith("miss because out changed (was sha256:4355…")


def test_a_failed_build_leaves_what_succeeded_and_says_so_later(workshop: Any) -> None:
    for _ in range(2):
        with pytest.raises(Exception, match="exit code: 3"):
            workshop.build(DOCKERFILE.replace("echo done > /done", "exit 3"), FILES)
    assert workshop.images.names().keys() == {workshop.images.get("busybox").id}
    assert list((workshop.store.root / "tmp").iterdir()) == []
    found = misses(workshop.build(DOCKERFILE))
    assert found == {9: "miss because line 9 changed: was `RUN exit 3`, now `RUN echo done > /done`"}


def test_records_are_files_to_read(built: Any) -> None:
    records = [json.loads(path.read_bytes()) for path in (built.store.root / "cache" / "steps").iterdir()]
    run = next(record for record in records if record["instruction"] == "RUN echo $V > /v")
    assert run["facts"]["run"] == ["/bin/sh", "-c", "echo $V > /v"]
    assert run["facts"]["args"] == {"V": "1"}
    assert built.store.has(run["layer"]["digest"])


def test_df_and_prune_know_the_cache(built: Any) -> None:
    assert {"RUN echo $V > /v", "COPY src /src"} <= {record["Description"] for record in usage(built.store)}
    assert len(prune(built.store)) == 8
    assert usage(built.store) == []
    assert misses(built.build(DOCKERFILE))[4] == "miss because never built before"


def test_unchanged_files_are_not_read_again(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    time.sleep(0.1)
    os.utime(built.folder / "req.txt")
    time.sleep(0.1)
    built.build(DOCKERFILE)
    monkeypatch.delattr("minidocker.build.context.ContextFile.chunks")
    assert misses(built.build(DOCKERFILE)) == {}


def test_source_date_epoch_is_a_fact_too(built: Any) -> None:
    first = built.build(DOCKERFILE, buildargs={"SOURCE_DATE_EPOCH": "1700000000"})
    assert misses(first)[1] == "miss because SOURCE_DATE_EPOCH changed (was unset, now 1700000000)"


def test_what_runs_on_a_linked_copy_knows_what_lies_below_it(workshop: Any) -> None:
    text = "FROM busybox\nRUN echo {} > /a\nCOPY --link f /f\nRUN cat /a > /b\n"
    workshop.build(text.format(1), {"f": "x"})
    build = workshop.build(text.format(2))
    assert list(misses(build)) == [2, 4], "the copy itself stands alone"
    assert build.image.tree()["/b"].data.read() == b"2\n"
