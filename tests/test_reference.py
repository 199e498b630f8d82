"""Names of images, by the grammar of Docker's `distribution/reference`; error texts as Docker's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.errors import InvalidArgument
from minidocker.reference import Reference

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("app", "docker.io/library/app:latest", "app:latest"),
        ("app:1.2", "docker.io/library/app:1.2", "app:1.2"),
        ("team/app", "docker.io/team/app:latest", "team/app:latest"),
        ("docker.io/app", "docker.io/library/app:latest", "app:latest"),
        ("docker.io/library/app", "docker.io/library/app:latest", "app:latest"),
        ("index.docker.io/app", "docker.io/library/app:latest", "app:latest"),
        ("library/app", "docker.io/library/app:latest", "app:latest"),
        ("docker.io/library/team/app", "docker.io/library/team/app:latest", "library/team/app:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        ("r.io/a/b/c:t", "r.io/a/b/c:t", "r.io/a/b/c:t"),
        ("R.io/app", "R.io/app:latest", "R.io/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("a__b/c.d-e---f", "docker.io/a__b/c.d-e---f:latest", "a__b/c.d-e---f:latest"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}", f"app@{DIGEST}"),
        (f"app:1@{DIGEST}", f"docker.io/library/app:1@{DIGEST}", f"app:1@{DIGEST}"),
        ("app:" + "t" * 128, "docker.io/library/app:" + "t" * 128, "app:" + "t" * 128),
    ],
)
def test_names(text: str, full: str, familiar: str) -> None:
    name = Reference.parse(text)
    assert (name.full, str(name)) == (full, familiar)
    assert Reference.parse(full) == Reference.parse(familiar) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("App", r"invalid reference format: repository name \(library/App\) must be lowercase"),
        ("team/App", "must be lowercase"),
        ("a" * 64, r"invalid repository name \(a{64}\), cannot specify 64-byte hexadecimal strings"),
        *(
            (text, "invalid reference format")
            for text in (
                *("a b", "a//b", "/a", "a/", ":tag", "app:", "app:.t", "app:a/b", "app:" + "t" * 129, "-app", "app-"),
                *("a..b", "a___b", ".a", "a@sha256:12", f"a@{DIGEST}0", "a@md5:" + "0" * 32, "a:b:c", "ap\np", "ä"),
                *("r_x.io/app:1:2", "https://r.io/app", "../x", "a/../b", "x" * 256),
            )
        ),
    ],
)
def test_no_names(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Reference.parse(text)


@given(st.text("ab.:/@-_A0 []", max_size=20))
def test_what_is_parsed_is_written_as_it_is_read(text: str) -> None:
    try:
        name = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(str(name)) == Reference.parse(name.full) == name
