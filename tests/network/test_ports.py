"""`-p` and `--expose`, in the words of docker's command line (28.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.errors import InvalidArgument
from minidocker.network import ports


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("abc", "invalid containerPort: abc"),
        ("80:abc", "invalid containerPort: abc"),
        ("x:80", "invalid hostPort: x"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("8000-8002:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8000-8002"),
        ("80/foo", "invalid proto: foo"),
        ("", "no port specified: <empty>"),
        ("80:", "no port specified: 80:<empty>"),
        ("70000:80", "invalid hostPort: 70000"),
        ("80:70000", "invalid containerPort: 70000"),
        ("8002-8000:80", "invalid hostPort: 8002-8000"),
        ("localhost:80:80", "invalid IP address: localhost"),
        ("80:80:80:80", "invalid IP address: 80:80"),
        ("target=80,x", "invalid publish opts format (should be name=value but got 'x')"),
    ],
)
def test_what_is_no_port_is_refused_in_dockers_words(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as failed:
        ports.bindings([text])
    assert str(failed.value) == words


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("80", {"80/tcp": [("", "")]}),
        (":80", {"80/tcp": [("", "")]}),
        ("127.0.0.1::80", {"80/tcp": [("127.0.0.1", "")]}),
        ("[::1]:80:80", {"80/tcp": [("::1", "80")]}),
        ("::1:80:80", {"80/tcp": [("::1", "80")]}),
        ("8000-8002:80", {"80/tcp": [("", "8000-8002")]}),
        ("80-81/UDP", {"80/udp": [("", "")], "81/udp": [("", "")]}),
        ("1-2:3-4/udp", {"3/udp": [("", "1")], "4/udp": [("", "2")]}),
        ("published=80,target=81", {"81/tcp": [("", "80")]}),
        ("target=53,protocol=udp", {"53/udp": [("", "")]}),
    ],
)
def test_each_form_of_publishing(text: str, bound: dict[str, list[tuple[str, str]]]) -> None:
    found = ports.bindings([text])
    assert {port: [(one["HostIp"], one["HostPort"]) for one in places] for port, places in found.items()} == bound


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ({"80/tcp": 8080}, [("", "8080")]),
        ({80: "8080"}, [("", "8080")]),
        ({"80": ("127.0.0.1", 8080)}, [("127.0.0.1", "8080")]),
        ({"80": ("127.0.0.1",)}, [("127.0.0.1", "")]),
        ({"80": [1234, 4567]}, [("", "1234"), ("", "4567")]),
        ({"80": None}, [("", "")]),
        ({"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, [("", "8080")]),
    ],
)
def test_the_forms_of_dockers_sdk_and_api(given: Any, bound: list[tuple[str, str]]) -> None:
    assert [(one["HostIp"], one["HostPort"]) for one in ports.bindings(given)["80/tcp"]] == bound


@given(st.integers(1, 65535), st.integers(1, 65535), st.sampled_from(ports.PROTOCOLS))
def test_what_is_published_is_what_was_written(inside: int, outside: int, protocol: str) -> None:
    found = ports.bindings([f"{outside}:{inside}/{protocol}"])
    assert found == {f"{inside}/{protocol}": [{"HostIp": "", "HostPort": str(outside)}]}
    assert ports.bindings(found) == found
