"""Detach keys: what one types at a container's terminal to leave it running (ctrl-p ctrl-q).

They are written `ctrl-p,ctrl-q`: keys one after the other, each a character or `ctrl-` and one of `a-z @ [ \\ ] ^ _`.
"""

from __future__ import annotations

from minidocker.errors import InvalidArgument

DEFAULT = "ctrl-p,ctrl-q"
CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def codes(keys: str) -> bytes:
    """The bytes that a terminal sends for them. Raises InvalidArgument.

    >>> codes("ctrl-a,x"), codes("DEL")
    (b'\\x01x', b'\\x7f')
    """
    found = bytearray()
    for key in keys.split(","):
        name = key.removeprefix("ctrl-")
        if len(key.encode()) == 1:
            found += key.encode()
        elif len(name) == 1 and name in CONTROL and key != name:
            found.append(CONTROL.index(name))
        elif key == "DEL":
            found.append(127)
        else:
            raise InvalidArgument(f"Invalid detach keys ({keys}) provided")
    return bytes(found)


class Detacher:
    """Watches what is typed. The start of the keys is held back until it is clear whether it goes on, as Docker does.

    >>> typing = Detacher(codes(DEFAULT))
    >>> typing.feed(b"a\\x10"), typing.feed(b"b"), typing.feed(b"c\\x10\\x11d"), typing.detached
    (b'a', b'\\x10b', b'c', True)
    """

    def __init__(self, keys: bytes) -> None:
        self.keys, self.matched, self.detached = keys, 0, False

    def feed(self, data: bytes) -> bytes:
        """What of it, and of what was held back, is for the program."""
        passed = bytearray()
        for byte in data:
            if self.keys and byte == self.keys[self.matched]:
                self.matched += 1
                if self.matched == len(self.keys):
                    self.detached = True
                    break
            else:
                passed += self.keys[: self.matched]
                passed.append(byte)
                self.matched = 0
        return bytes(passed)
