"""The name server of a container, at 127.0.0.11: the messages of DNS (RFC 1035), read and answered.

What it knows itself are the names on the container's networks; every other question goes on to the machine's own
name servers. Only what such a server needs is here: one question a message, the types A, AAAA and PTR.

    >>> asked = question(query("web", "A", 7))
    >>> asked.name, asked.kind
    ('web', 'A')
    >>> addresses(answer(query("web", "A", 7), ["10.0.0.2"]))
    ['10.0.0.2']
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from typing import NamedTuple

KINDS = {1: "A", 12: "PTR", 28: "AAAA"}
INTERNET = 1
HEADER = struct.Struct("!6H")  # id, flags, and how many questions, answers, authorities, additional records
RESPONSE, TRUNCATED, RECURSION = 0x8000, 0x0200, 0x0080
NO_SUCH_NAME, SERVER_FAILURE = 3, 2
TTL = 600  # seconds that an answer may be kept, as Docker says
PLAIN = 512  # bytes of an answer that every client takes over UDP
LARGEST = 4096
OPT = 41  # the record by which a client says how many it takes (RFC 6891)


class Question(NamedTuple):
    """What a message asks: a name without its last dot, the kind of record, and what the client can take."""

    id: int
    name: str
    kind: str
    end: int  # where the question ends in the message
    room: int  # bytes that an answer may have
    recursion: bool


class Malformed(ValueError):
    """What came is no question that can be answered."""


def question(message: bytes) -> Question:
    """Read a message. Raises Malformed for what is no question, or no single one."""
    if len(message) < HEADER.size:
        raise Malformed("too short")
    id, flags, count, answers, authorities, additional = HEADER.unpack_from(message)
    if flags & RESPONSE or flags >> 11 & 0xF or count != 1 or answers or authorities:
        raise Malformed("not one question")
    name, at = _name(message, HEADER.size)
    if len(message) < at + 4:
        raise Malformed("no type")
    kind, kind_of_net = struct.unpack_from("!HH", message, at)
    known = KINDS.get(kind, str(kind)) if kind_of_net == INTERNET else "?"
    return Question(id, name, known, at + 4, _room(message, at + 4, additional), bool(flags & 0x0100))


def answer(message: bytes, found: Sequence[str], room: int = 0) -> bytes:
    """The answer to a question for a name that is known: its addresses, or for PTR its name. None is an empty answer.

    What does not fit into what the client takes (`room`) is left out, and said to be.
    """
    asked = question(message)
    records = [_record(asked.kind, value) for value in found]
    flags = RESPONSE | RECURSION | (0x0100 if asked.recursion else 0)
    fitting = (max(room or asked.room, asked.end) - asked.end) // max(map(len, records), default=1)
    if len(records) > fitting:
        flags, records = flags | TRUNCATED, records[:fitting]
    head = HEADER.pack(asked.id, flags, 1, len(records), 0, 0)
    return head + message[HEADER.size : asked.end] + b"".join(records)


def refuse(message: bytes, code: int = SERVER_FAILURE) -> bytes:
    """The answer that there is none: no such name, or nobody who could be asked."""
    asked = question(message)
    flags = RESPONSE | RECURSION | (0x0100 if asked.recursion else 0) | code
    return HEADER.pack(asked.id, flags, 1, 0, 0, 0) + message[HEADER.size : asked.end]


def query(name: str, kind: str, id: int) -> bytes:
    """A question, as a program in a container asks it."""
    number = next(number for number, text in KINDS.items() if text == kind)
    return HEADER.pack(id, 0x0100, 1, 0, 0, 0) + _labels(name) + struct.pack("!HH", number, INTERNET)


def addresses(message: bytes) -> list[str]:
    """What an answer of ours says: addresses, or names. Raises Malformed."""
    if len(message) < HEADER.size:
        raise Malformed("too short")
    count, at = HEADER.unpack_from(message)[3], _name(message, HEADER.size)[1] + 4
    found = []
    for _ in range(count):
        _, at = _name(message, at)
        kind, _, _, size = struct.unpack_from("!HHIH", message, at)
        data = message[at + 10 : at + 10 + size]
        found.append(_name(message, at + 10)[0] if KINDS.get(kind) == "PTR" else str(ipaddress.ip_address(data)))
        at += 10 + size
    return found


def address_of(name: str) -> str:
    """The address that a PTR question is about: `2.0.0.10.in-addr.arpa` -> `10.0.0.2`; empty where it is none.

    >>> address_of("2.0.0.10.in-addr.arpa"), address_of("example.com")
    ('10.0.0.2', '')
    """
    text = name.lower().removesuffix(".in-addr.arpa")
    try:
        return str(ipaddress.IPv4Address(".".join(reversed(text.split("."))))) if text != name.lower() else ""
    except ValueError:
        return ""


def _record(kind: str, value: str) -> bytes:
    """One record of an answer; its name is the question's, which stands at byte 12."""
    data = _labels(value) if kind == "PTR" else ipaddress.ip_address(value).packed
    number = next(number for number, text in KINDS.items() if text == kind)
    return struct.pack("!HHHIH", 0xC000 | HEADER.size, number, INTERNET, TTL, len(data)) + data


def _labels(name: str) -> bytes:
    labels = [label.encode("utf-8", "surrogateescape") for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([min(len(label), 63)]) + label[:63] for label in labels) + b"\0"


def _name(message: bytes, at: int) -> tuple[str, int]:
    """A name, and where it ends. A pointer may only lead back, so that none leads in circles."""
    labels: list[str] = []
    end = size = 0
    while True:
        if at >= len(message):
            raise Malformed("a name without end")
        length = message[at]
        if length >= 0xC0:
            if at + 1 >= len(message) or (target := (length & 0x3F) << 8 | message[at + 1]) >= at:
                raise Malformed("a pointer that does not lead back")
            end, at = end or at + 2, target
            continue
        if length > 63 or (size := size + length + 1) > 255 or at + 1 + length > len(message):
            raise Malformed("a label that is too long")
        if not length:
            return ".".join(labels), end or at + 1
        labels.append(message[at + 1 : at + 1 + length].decode("utf-8", "surrogateescape"))
        at += 1 + length


def _room(message: bytes, at: int, additional: int) -> int:
    """How many bytes a client takes. It says so in an OPT record: one without a name, the first after the question."""
    if not (additional and len(message) >= at + 5 and message[at] == 0):
        return PLAIN
    kind, size = struct.unpack_from("!HH", message, at + 1)
    return min(max(int(size), PLAIN), LARGEST) if kind == OPT else PLAIN
