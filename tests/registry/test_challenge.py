"""WWW-Authenticate, by RFC 9110: what servers really send, and what nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.registry.challenge import Challenge, parse

BEARER = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Basic", [("basic", {}, "")]),
        ("Basic realm=x", [("basic", {"realm": "x"}, "")]),
        ('bAsIc REALM = "a b"', [("basic", {"realm": "a b"}, "")]),
        (r'Basic realm="say \"hi\", \\you"', [("basic", {"realm": 'say "hi", \\you'}, "")]),
        ('Basic realm="a", charset="UTF-8"', [("basic", {"realm": "a", "charset": "UTF-8"}, "")]),
        ("Negotiate YII=", [("negotiate", {}, "YII=")]),
        ("Negotiate, Basic realm=x", [("negotiate", {}, ""), ("basic", {"realm": "x"}, "")]),
        ("Negotiate abc==, Basic realm=x", [("negotiate", {}, "abc=="), ("basic", {"realm": "x"}, "")]),
        ('A b="x", Bearer c="y",d=z', [("a", {"b": "x"}, ""), ("bearer", {"c": "y", "d": "z"}, "")]),
        (r'New u=1, t="to \"a\"", B r="s"', [("new", {"u": "1", "t": 'to "a"'}, ""), ("b", {"r": "s"}, "")]),
        (', ,Basic r=x,,Digest qop="a,b"', [("basic", {"r": "x"}, ""), ("digest", {"qop": "a,b"}, "")]),
        ("Basic realm=x realm2=y", [("basic", {"realm": "x"}, "")]),
        ('Basic realm="never closed', [("basic", {}, "")]),
        ("", []),
        ('"Basic"', []),
    ],
)  # fmt: skip
def test_challenges(header: str, found: list[tuple[str, dict[str, str], str]]) -> None:
    assert [(one.scheme, dict(one.parameters), one.token) for one in parse(header)] == found


def test_docker_hubs() -> None:
    (one,) = parse(BEARER)
    assert one == Challenge("bearer", one.parameters)
    assert one.parameters["scope"] == "repository:a/b:pull,push"


NAMES = st.builds("{}{}".format, st.sampled_from("abz"), st.text("aq9-", max_size=8))
PAIRS = st.dictionaries(NAMES, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12), min_size=1)


@given(st.lists(st.tuples(NAMES, PAIRS), max_size=4))
def test_whatever_is_quoted_is_read_back(given: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in pairs.items()) for scheme, pairs in given
    )
    assert [(one.scheme, dict(one.parameters)) for one in parse(header)] == given


@given(st.text(max_size=60))
def test_nothing_breaks_it(header: str) -> None:
    assert all(one.scheme for one in parse(header))
