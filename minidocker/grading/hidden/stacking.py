"""Hidden cases of exercise 03."""

from __future__ import annotations

from minidocker.grading.exercise import Case
from minidocker.grading.show import Entries
from minidocker.layer import WHITEOUT
from minidocker.tree import directory, file, symlink

OPAQUE = ".wh..wh..opq"
DIR = directory()
APP: Entries = {"/app": DIR, "/app/bin": DIR, "/app/bin/run": file(b"1", 0o755), "/app/conf": file(b"c")}
LINKED: Entries = {"/app": DIR, "/app/bin": symlink("/usr/bin")}
ROOT: Entries = {"/": DIR, **APP, "/application": file(b"a"), "/log": file(b"", 0o600, gid=4)}

HIDDEN = {
    "3.1": (
        Case("no layers", ([], "/app"), None),
        Case("a directory answers too", ([APP, {"/app": directory(0o700)}], "/app"), 1),
        Case("a link took the place of its directory", ([APP, LINKED], "/app/bin/run"), None),
        Case("a grandparent is deleted", ([APP, {"/app": WHITEOUT}, {"/app": DIR}], "/app/bin/run"), None),
        Case("a grandparent is opaque", ([APP, {"/app": DIR, f"/app/{OPAQUE}": WHITEOUT}], "/app/bin/run"), None),
        Case("the root is opaque", ([APP, {f"/{OPAQUE}": WHITEOUT}], "/app/conf"), None),
        Case("a name that begins alike is deleted", ([APP, {"/ap": WHITEOUT, "/app/con": WHITEOUT}], "/app/conf"), 0),
        Case(
            "made again above a whiteout, in the middle of five",
            ([APP, {}, {"/app": WHITEOUT}, APP, {}], "/app/conf"),
            3,
        ),
    ),
    "3.2": (
        Case("no layers", ([], "/app"), []),
        Case("the root", ([ROOT, {"/application": WHITEOUT, "/new": file()}], "/"), ["app", "log", "new"]),
        Case(
            "a whiteout of a name that nobody has",
            ([APP, {"/app": DIR, "/app/none": WHITEOUT}], "/app"),
            ["bin", "conf"],
        ),
        Case("a link took its place", ([APP, LINKED], "/app/bin"), []),
        Case("the root is opaque", ([APP, {f"/{OPAQUE}": WHITEOUT, "/srv": DIR}], "/"), ["srv"]),
        Case(
            "opaque, and later more",
            (
                [APP, {"/app": DIR, f"/app/{OPAQUE}": WHITEOUT, "/app/x": file()}, {"/app": DIR, "/app/a": file()}],
                "/app",
            ),
            ["a", "x"],
        ),
        Case(
            "a directory whose name begins alike",
            ([APP, {"/application": DIR, "/application/x": file()}], "/app"),
            ["bin", "conf"],
        ),
    ),
    "3.3": (
        Case(
            "two directories deep",
            (ROOT, {}, "/app/bin/run", b"2"),
            {"/app": DIR, "/app/bin": DIR, "/app/bin/run": file(b"12", 0o755)},
        ),
        Case(
            "nothing is added, and it is copied up all the same",
            (ROOT, {}, "/log", b""),
            {"/log": file(b"", 0o600, gid=4)},
        ),
        Case(
            "what else the container has stays",
            (ROOT, {"/new": file(b"n"), "/application": WHITEOUT}, "/log", b"x"),
            {"/new": file(b"n"), "/application": WHITEOUT, "/log": file(b"x", 0o600, gid=4)},
        ),
        Case("bytes that are no text", (ROOT, {}, "/application", b"\xff\x00"), {"/application": file(b"a\xff\x00")}),
    ),
    "3.4": (
        Case(
            "two directories deep",
            (ROOT, {}, "/app/bin/run"),
            {"/app": DIR, "/app/bin": DIR, "/app/bin/run": WHITEOUT},
        ),
        Case(
            "a whole directory of the container's own",
            (ROOT, {"/w": DIR, "/w/a": file(), "/w/b": DIR, "/w/b/c": file()}, "/w"),
            {},
        ),
        Case(
            "the directory on the way was changed before",
            (ROOT, {"/app": directory(0o700)}, "/app/conf"),
            {"/app": directory(0o700), "/app/conf": WHITEOUT},
        ),
        Case(
            "other whiteouts stay",
            (ROOT, {"/log": WHITEOUT}, "/application"),
            {"/log": WHITEOUT, "/application": WHITEOUT},
        ),
    ),
}
