"""builder du and builder prune, in buildx's and docker's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def built(bare: Any, tmp_path: Path) -> Any:
    (tmp_path / "Dockerfile").write_text("FROM scratch AS one\nCOPY a.txt /\nFROM scratch\nCOPY --from=one /a.txt /b\n")
    (tmp_path / "a.txt").write_text("A" * 100)
    bare.ok("build", "-q", "-t", "app", str(tmp_path))
    return bare


def test_du(built: Any) -> None:
    head, first, *_ = built.ok("buildx", "du").splitlines()
    assert head.split("\t")[0] == "ID" and head.split()[-2:] == ["LAST", "ACCESSED"]
    assert first.split()[1] == "true"
    assert built.ok("builder", "du").splitlines()[-1].startswith("Total:\t")
    assert "Total:" not in built.ok("builder", "du", "--filter", "type=regular")
    rows = [json.loads(line) for line in built.ok("builder", "du", "--format", "json").splitlines()]
    assert {row["Reason"] for row in rows} >= {"never built before"}
    text = built.ok("builder", "du", "--verbose")
    assert "Built because:\tnever built before\n" in text and "Where:\t\tDockerfile:2\n" in text
    assert "CACHE ID       CACHE TYPE   SIZE" in built.ok("system", "df", "-v")


def test_prune(built: Any) -> None:
    assert built.ok("builder", "prune", "-f", "--filter", "until=1h").splitlines() == ["Total reclaimed space: 0B"]
    assert built.ok("builder", "prune", "-f", "--keep-storage", "1gb") == "Total reclaimed space: 0B"
    first, *ids, _, last = built.ok("builder", "prune", "-af").splitlines()
    assert first == "Deleted build cache objects:" and len(ids) >= 2
    assert last.startswith("Total reclaimed space: ")
    assert built.ok("builder", "du").splitlines()[1:] == ["Reclaimable:\t0B", "Total:\t\t0B"]


def test_prune_asks_and_complains(built: Any) -> None:
    done = built("builder", "prune", stdin=b"n\n")
    assert "WARNING! This will remove all dangling build cache." in done.out and "Total" not in done.out
    assert built("builder", "prune", "-f", "--filter", "color=red").code == 1
    done = built("builder", "prune", "-f", "--keep-storage", "lots")
    assert (done.code, done.err.partition("\n")[0]) == (
        125,
        'invalid argument "lots" for "--keep-storage" flag: invalid value for size: lots',
    )
