"""Hidden cases of exercise 01."""

from __future__ import annotations

import hashlib

from minidocker.grading.exercise import Case
from minidocker.layer import WHITEOUT
from minidocker.tree import directory, file, symlink


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _chain(*diff_ids: str) -> list[str]:
    chain = [diff_ids[0]]
    for diff_id in diff_ids[1:]:
        chain.append(_digest(f"{chain[-1]} {diff_id}".encode()))
    return chain


BLOB = bytes(range(256)) * 5
SRV = {
    "/": directory(),
    "/srv": directory(),
    "/srv/www": directory(0o750),
    "/srv/www/index": file(b"<html>", uid=33),
    "/srv/www/img": directory(),
    "/srv/www/img/logo": file(b"png"),
    "/srv/www2": directory(),
    "/srv/www2/index": file(b"other"),
}


def _without(*tops: str) -> dict[str, object]:
    return {path: e for path, e in SRV.items() if not any(path == top or path.startswith(f"{top}/") for top in tops)}


HIDDEN = {
    "1.1": (
        Case("an empty blob", (b"", _digest(b"")), True),
        Case("bytes that are no text", (BLOB, _digest(BLOB)), True),
        Case("the digest cut short", (BLOB, _digest(BLOB)[:-1]), False),
        Case("digits that only begin alike", (BLOB, _digest(BLOB)[:40] + _digest(b"")[40:]), False),
        Case("another algorithm that is longer", (BLOB, "sha512:" + hashlib.sha512(BLOB).hexdigest()), False),
        Case("no digest at all", (b"", ""), False),
    ),
    "1.2": (
        Case("an empty layer", (SRV, {}), SRV),
        Case("a whiteout of a directory two levels deep", (SRV, {"/srv/www": WHITEOUT}), _without("/srv/www")),
        Case(
            "whiteouts and new files in one layer",
            (SRV, {"/srv/www/img": WHITEOUT, "/srv/www/new": file(b"n"), "/srv/www2/index": WHITEOUT}),
            _without("/srv/www/img", "/srv/www2/index") | {"/srv/www/new": file(b"n")},
        ),
        Case(
            "a link in the place of a directory",
            (SRV, {"/srv/www": symlink("www2")}),
            _without("/srv/www") | {"/srv/www": symlink("www2")},
        ),
        Case(
            "a directory in the place of a file",
            (SRV, {"/srv/www/index": directory(), "/srv/www/index/a": file(b"a")}),
            SRV | {"/srv/www/index": directory(), "/srv/www/index/a": file(b"a")},
        ),
        Case("an entry that is there already", (SRV, {"/srv/www": directory(0o750)}), SRV),
    ),
    "1.3": (
        Case("everything is new", ({"/": directory()}, SRV), {path: e for path, e in SRV.items() if path != "/"}),
        Case("a directory deep down vanished", (SRV, _without("/srv/www")), {"/srv/www": WHITEOUT}),
        Case(
            "two that vanished, apart from each other",
            (SRV, _without("/srv/www/img", "/srv/www2/index")),
            {"/srv/www/img": WHITEOUT, "/srv/www2/index": WHITEOUT},
        ),
        Case(
            "only the owner is another",
            (SRV, SRV | {"/srv/www/index": file(b"<html>", uid=0)}),
            {"/srv/www/index": file(b"<html>", uid=0)},
        ),
        Case(
            "a link stands where a directory was",
            (SRV, _without("/srv/www") | {"/srv/www": symlink("www2")}),
            {"/srv/www": symlink("www2")},
        ),
        Case(
            "a directory stands where a file was",
            (SRV, SRV | {"/srv/www/index": directory(), "/srv/www/index/a": file(b"a")}),
            {"/srv/www/index": directory(), "/srv/www/index/a": file(b"a")},
        ),
    ),
    "1.4": (
        Case(
            "four layers",
            (["sha256:1", "sha256:2", "sha256:3", "sha256:4"],),
            _chain(*"sha256:1 sha256:2 sha256:3 sha256:4".split()),
        ),
        Case("the same layer twice", ([HELLO := _digest(b"hello")] * 2,), _chain(HELLO, HELLO)),
        Case("whole digests", ([HELLO, _digest(b""), _digest(BLOB)],), _chain(HELLO, _digest(b""), _digest(BLOB))),
    ),
}
