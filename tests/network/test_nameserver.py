"""The messages of DNS: what a client asks, what is answered, and what hostile bytes do (nothing)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.network import nameserver
from minidocker.network.nameserver import Malformed

labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
ips = st.ip_addresses(v=4).map(str)


@given(names, st.lists(ips, max_size=300, unique=True), st.integers(0, 65535))
def test_what_is_answered_is_what_is_read(name: str, found: list[str], id: int) -> None:
    message = nameserver.answer(nameserver.query(name, "A", id), found)
    said = nameserver.addresses(message)
    assert said == found[: len(said)] and len(message) <= nameserver.PLAIN
    truncated = bool(nameserver.HEADER.unpack_from(message)[1] & nameserver.TRUNCATED)
    assert truncated == (len(said) < len(found))


def test_a_client_that_takes_more_gets_more() -> None:
    opt = b"\0" + (41).to_bytes(2, "big") + (4096).to_bytes(2, "big") + bytes(6)
    plain = nameserver.query("many", "A", 1)
    asked = plain[:10] + b"\0\1" + plain[12:] + opt
    many = [f"10.0.0.{number}" for number in range(1, 201)]
    assert nameserver.addresses(nameserver.answer(asked, many)) == many
    assert len(nameserver.addresses(nameserver.answer(plain, many))) < 40


def test_a_name_that_is_known_has_no_address_of_the_other_kind() -> None:
    said = nameserver.answer(nameserver.query("web", "AAAA", 1), [])
    assert nameserver.addresses(said) == [] and said[3] & 0xF == 0


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_question_or_malformed(message: bytes) -> None:
    try:
        asked = nameserver.question(message)
    except Malformed:
        return
    nameserver.refuse(message)
    if asked.kind in ("A", "PTR"):
        nameserver.answer(message, [])


@pytest.mark.parametrize("name", [b"\xc0\x0c", b"\x3fab", b"\xc0", b"\x01a\xc0\x0c", b""])
def test_names_that_lead_nowhere(name: bytes) -> None:
    head = nameserver.HEADER.pack(1, 0x0100, 1, 0, 0, 0)
    with pytest.raises(Malformed):
        nameserver.question(head + name + b"\0\1\0\1")


@pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox, whose nslookup is another one's DNS")
def test_another_ones_resolver_understands_it() -> None:
    known = {"web": ["10.0.0.2", "10.0.0.3"], "2.0.0.10.in-addr.arpa": ["web.front"]}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(120)

        def serve() -> None:
            while True:
                try:
                    message, client = server.recvfrom(4096)
                except OSError:
                    return
                asked = nameserver.question(message)
                found = known.get(asked.name)
                wanted = [] if asked.kind == "AAAA" else found or []
                server.sendto(
                    nameserver.refuse(message, nameserver.NO_SUCH_NAME)
                    if found is None
                    else nameserver.answer(message, wanted),
                    client,
                )

        threading.Thread(target=serve, daemon=True).start()
        place = f"127.0.0.1:{server.getsockname()[1]}"

        def ask(name: str) -> str:
            done = subprocess.run(["busybox", "nslookup", name, place], capture_output=True, text=True, timeout=120)
            return done.stdout + done.stderr

        assert "10.0.0.2" in ask("web") and "10.0.0.3" in ask("web")
        assert "web.front" in ask("10.0.0.2")
        assert "NXDOMAIN" in ask("nosuch") or "can't" in ask("nosuch")
