"""Who may do what: basic authentication (RFC 7617) against a file of names and salted hashes.

    ada:$scrypt$15$3v1…$Yk…          a line of the file, as `minidocker registry htpasswd ada` prints it

It is what the clients of registries send after `docker login`. Apache's `htpasswd -B` writes bcrypt, which Python does
not have; scrypt (RFC 7914) is as slow to guess, and in the standard library.

>>> users = Users.parse(line("ada", "secret") + "\\n# and nobody else\\n")
>>> users.name(basic("ada", "secret")), users.name(basic("ada", "wrong")), users.name("")
('ada', '', '')
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from minidocker.errors import InvalidArgument, Unsupported

LIFE = 300  # seconds of a token
COST = 14  # log2 of scrypt's N: 16 MiB and some 40 ms for each guess


def line(name: str, password: str, cost: int = COST) -> str:
    """A line for the file. Raises InvalidArgument."""
    if not name or ":" in name or not name.isprintable():
        raise InvalidArgument(f"invalid user name {name!r}: it cannot be empty, or have a colon in it")
    if not password:
        raise InvalidArgument("the password cannot be empty")
    salt = os.urandom(16)
    parts = (str(cost), *(base64.b64encode(part).decode() for part in (salt, _scrypt(password, salt, cost))))
    return f"{name}:$scrypt$" + "$".join(parts)


def basic(name: str, password: str) -> str:
    """The header that says who one is."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@dataclass
class Users:
    """The names and what is known of their passwords."""

    secrets: dict[str, tuple[int, bytes, bytes]]
    _good: dict[bytes, str] = field(default_factory=dict)  # headers that were right, hashed: scrypt is slow on purpose
    _key: bytes = field(default_factory=lambda: os.urandom(32))

    @classmethod
    def read(cls, path: Path) -> Users:
        """The users of a file. Raises InvalidArgument, Unsupported, OSError."""
        return cls.parse(path.read_text(), str(path))

    @classmethod
    def parse(cls, text: str, path: str = "htpasswd") -> Users:
        """The users of a file's text."""
        found = {}
        for number, row in enumerate(text.splitlines(), 1):
            if not row.strip() or row.startswith("#"):
                continue
            name, _, secret = row.strip().partition(":")
            if secret.startswith(("$2", "$apr1$", "{SHA}")):
                way = f"make the line anew: minidocker registry htpasswd {name}"
                raise Unsupported(f"{path}:{number}: passwords by bcrypt, apr1 or SHA cannot be checked here; {way}")
            try:
                _, kind, cost, salt, key = secret.split("$")
                found[name] = (int(cost), base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True))
            except ValueError:
                kind = ""
            if kind != "scrypt" or not 1 <= found[name][0] <= 20:
                raise InvalidArgument(f"{path}:{number}: not a line by `minidocker registry htpasswd`")
        return cls(found)

    def token(self, name: str) -> str:
        """A token that says who one is (`""`: nobody in particular) for the next minutes; ours, until we end."""
        words = f"{int(time.time()) + LIFE}:{name}".encode()
        return ".".join(base64.urlsafe_b64encode(part).decode() for part in (words, self._sign(words)))

    def bearer(self, header: str) -> str | None:
        """Whose token an Authorization header has; None where it is no good one of ours."""
        scheme, _, token = header.partition(" ")
        try:
            words, signature = (base64.urlsafe_b64decode(part) for part in token.strip().split("."))
        except ValueError:
            return None
        if scheme.lower() != "bearer" or not hmac.compare_digest(self._sign(words), signature):
            return None
        until, _, name = words.decode().partition(":")
        return name if int(until) > time.time() else None

    def _sign(self, words: bytes) -> bytes:
        return hmac.digest(self._key, b"token:" + words, "sha256")

    def name(self, header: str) -> str:
        """Whose name and password an Authorization header has; "" where they are nobody's."""
        seen = hmac.digest(self._key, header.encode(), "sha256")
        if seen in self._good:
            return self._good[seen]
        scheme, _, token = header.partition(" ")
        try:
            name, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
        except ValueError:
            return ""
        if scheme.lower() != "basic" or not colon:
            return ""
        cost, salt, key = self.secrets.get(name, (COST, b"nobody", b""))  # the time tells not which names there are
        if not hmac.compare_digest(_scrypt(password, salt, cost), key):
            return ""
        self._good[seen] = name
        return name


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << cost, r=8, p=1, maxmem=256 << 20, dklen=32)
