"""`--chmod`: octal as it is, symbolic as `chmod(1)` has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidocker.build.chmod import changed, parse
from minidocker.errors import DockerfileError


@pytest.mark.parametrize(
    ("text", "before", "folder", "after"),
    [
        ("644", 0o4755, False, 0o644),
        ("4711", 0o644, False, 0o4711),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, True, 0o755),
        ("+x", 0o640, False, 0o751),
        ("g=u", 0o640, False, 0o660),
        ("go=", 0o755, False, 0o700),
        ("go=u-w", 0o700, False, 0o755),
        ("=rw,+X", 0o711, False, 0o777),
        ("a-x,u+s", 0o755, False, 0o4644),
        ("o+s", 0o755, False, 0o755),
        ("+t", 0o755, True, 0o1755),
        ("g+s", 0o755, True, 0o2755),
    ],
)
def test_what_a_mode_becomes(text: str, before: int, folder: bool, after: int) -> None:
    assert f"{changed(parse(text), before, folder):o}" == f"{after:o}"


@pytest.mark.parametrize(
    "text", ["", "abc", "888", "77777", "u", "u=q", "u=r,", ",u=r", "0o755", "-1", "+755", "u+r g+r"]
)
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(ValueError, match="invalid chmod parameter"):
        parse(text)


letters = st.one_of(st.text("rwx", max_size=3), st.sampled_from("ugo"))
actions = st.lists(st.tuples(st.sampled_from("+-="), letters).map("".join), min_size=1, max_size=2).map("".join)
clauses = st.tuples(st.sampled_from(["a", "u", "g", "o", "ug", "go", "uo"]), actions).map("".join)


@pytest.mark.skipif(not shutil.which("chmod"), reason="not installed: chmod")
@given(st.lists(clauses, min_size=1, max_size=2).map(",".join), st.integers(0, 0o777), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_as_chmod_1(tmp_path: Path, text: str, before: int, folder: bool) -> None:
    path = tmp_path / "f"
    path.mkdir() if folder else path.touch()
    try:
        path.chmod(before)
        subprocess.run(["chmod", text, path], check=True)
        assert path.stat().st_mode & 0o777 == changed(parse(text), before, folder)
    finally:
        path.rmdir() if folder else path.unlink()


def test_in_a_build_with_variables(workshop: Any) -> None:
    image = workshop.image(
        "FROM busybox\nARG who=go\nENV what=X\nCOPY --chmod=u=rwX,$who=r$what d /d/\nCOPY --chmod=4755 d/b /s\n",
        {"d/a": "1", "d/b": "2", "d/e/f": "3"},
    )
    tree = image.tree()
    assert {path: oct(tree[path].mode) for path in ("/d/a", "/d/e", "/d/e/f", "/s")} == {
        "/d/a": "0o644",
        "/d/e": "0o755",
        "/d/e/f": "0o644",
        "/s": "0o4755",
    }
    with pytest.raises(DockerfileError, match=r"Dockerfile:2: COPY: invalid chmod parameter: 'u\+q'"):
        workshop.build("FROM busybox\nCOPY --chmod=u+q d /d/\n")
