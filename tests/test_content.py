"""Small files of a store, looked at again and again while others replace them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minidocker import content
from minidocker.content import glance, write_json


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of `{"a": 1}` that has not been written for a minute."""
    write_json(tmp_path / "file.json", {"a": 1})
    return aged(tmp_path / "file.json")


def aged(path: Path) -> Path:
    then = path.stat().st_mtime_ns - 60 * 10**9
    os.utime(path, ns=(then, then))
    return path


class TestGlance:
    """What `read_json` would say, and not more work than there is."""

    def test_a_file_that_stays_is_read_once(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = glance(path)
        monkeypatch.setattr(content, "read_json", None)
        assert glance(path) is found
        assert found == {"a": 1}

    def test_one_that_is_replaced_is_read_again(self, path: Path) -> None:
        assert glance(path) == {"a": 1}
        for value in (2, 3):  # of the same size: only the file's number and time tell
            write_json(path, {"a": value})
            assert glance(aged(path)) == {"a": value}

    def test_one_that_is_written_over_is_read_again(self, path: Path) -> None:
        assert glance(path) == {"a": 1}
        path.write_text('{"a": 2}')
        assert glance(path) == {"a": 2}

    def test_what_was_written_a_moment_ago_may_be_written_again_within_one_tick(self, path: Path) -> None:
        path.write_text('{"a": 2}')
        time = path.stat().st_mtime_ns
        assert glance(path) == {"a": 2}
        path.write_text('{"a": 3}')
        os.utime(path, ns=(time, time))
        assert glance(path) == {"a": 3}

    def test_one_that_has_gone_is_gone(self, path: Path) -> None:
        glance(path)
        path.unlink()
        with pytest.raises(FileNotFoundError):
            glance(path)
