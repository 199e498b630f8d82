"""`minidocker image explain`: what it prints, for people and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from minidocker.manifest import MAX_LAYERS

DOCKERFILE = """FROM minidocker/base
ENV API_KEY=hunter2
RUN echo 12345 > /junk
RUN rm /junk
"""


@pytest.fixture
def built(cli: Any, tmp_path: Path) -> Any:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    cli.ok("build", "-t", "explained", str(tmp_path))
    yield cli
    cli.ok("rmi", "-f", "explained")


def test_a_table_and_advice(built: Any) -> None:
    head, table, advice = built.ok("image", "explain", "explained").split("\n\n")
    assert head == "efficiency 0%: 6B of 6B are wasted, the base left out"
    rows = [re.split(" {2,}", line.strip()) for line in table.splitlines()]
    assert rows[0] == ["LINE", "LAYER", "INSTRUCTION", "ADDS", "CHANGES", "HIDES", "SIZE", "WASTED", "TOOK"]
    assert rows[1][:2] == ["1-2", "FROM minidocker/base"]
    assert rows[2] == ["2", "ENV API_KEY=…"]
    assert rows[3][:6] == ["3", "3", "RUN echo 12345 > /junk", "1", "6B", "6B"]
    assert rows[4][:5] == ["4", "4", "RUN rm /junk", "1", "0B"]
    assert " ".join(advice.split()).startswith(
        "1. line 4 deletes /junk of line 3, where the bytes stay: make one RUN of lines 3 and 4. Saves 6B 2. "
    )
    assert "hunter2" not in advice + table


def test_json(built: Any) -> None:
    found = json.loads(built.ok("image", "explain", "--format", "json", "explained"))
    assert [(one["kind"], one["bytes"]) for one in found["advice"]] == [("merge", 6), ("secret", 0)]
    assert (found["base"], found["size"], found["wasted"], found["tags"]) == (
        "minidocker/base",
        6,
        6,
        ["explained:latest"],
    )
    assert found["lines"][-1] | {"seconds": 0} == {
        "text": "RUN rm /junk",
        "layer": 4,
        "line": 4,
        "base": False,
        "added": 0,
        "changed": 0,
        "hidden": 1,
        "size": 0,
        "wasted": 0,
        "seconds": 0,
    }


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["nope"], 1, "Error response from daemon: No such image: nope:latest"),
        (["--format", "xml", "minidocker/base"], 125, "minidocker: invalid format 'xml' for an explanation"),
        ([], 1, "minidocker: 'minidocker image explain' requires 1 argument"),
    ],
)
def test_what_cannot_be_explained(cli: Any, words: list[str], code: int, error: str) -> None:
    done = cli("image", "explain", *words)
    assert (done.code, done.err.startswith(error)) == (code, True)


def test_an_image_with_nothing_to_do_better(cli: Any) -> None:
    assert cli.ok("image", "explain", "minidocker/base").rstrip().endswith("nothing to do better")


def test_an_image_of_as_many_layers_as_there_may_be_is_built_started_and_explained(cli: Any, tmp_path: Path) -> None:
    copies = MAX_LAYERS - 3  # two are the base's, one is the RUN's
    for number in range(copies):
        (tmp_path / f"f{number}").write_text(str(number))
    lines = [f"COPY f{number} /deep/\n" for number in range(copies)]
    (tmp_path / "Dockerfile").write_text("FROM minidocker/base\n" + "".join(lines) + "RUN ls /deep | wc -l > /count\n")
    cli.ok("build", "-t", "deepest", str(tmp_path))
    assert cli.ok("run", "--rm", "deepest", "cat", "/count", f"/deep/f{copies - 1}").split() == ["124", "123"]
    assert len(json.loads(cli.ok("image", "explain", "--format", "json", "deepest"))["lines"]) >= MAX_LAYERS
    (tmp_path / "more").write_text("FROM deepest\nCOPY f0 /one-too-many\n")
    done = cli("build", "-f", str(tmp_path / "more"), str(tmp_path))
    assert done.code == 1 and "max depth exceeded: 128 layers" in done.err
    cli.ok("rmi", "-f", "deepest")
