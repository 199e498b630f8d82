"""Hidden cases of exercise 07."""

from __future__ import annotations

from minidocker.grading.buildcache import NOISE, _fingerprint, _key
from minidocker.grading.exercise import Case
from minidocker.tree import directory, file, symlink

STEP = {"run": ["a", "b"], "env": {"Z": "1", "A": {"y": 2, "x": 1}}, "network": None, "user": "zoë"}
FILES = {
    "z": file(b"\xff\x00", 0o640, uid=1, gid=2, mtime=5),
    "a/b": file(b"", 0o755),
    "a": directory(0o700, mtime=9),
    "a-link": symlink("../z"),
}
DIAMOND = {"app": ["l", "r"], "l": ["m"], "r": ["m", "n"], "m": ["base"], "n": ["base"], "base": [], "docs": ["base"]}

HIDDEN = {
    "7.1": (
        Case("lists, nothing, and letters beyond ASCII", (STEP,), _key(STEP)),
        Case("its lists in another order", (STEP | {"run": ["b", "a"]},), _key(STEP | {"run": ["b", "a"]})),
        Case("everything that is no fact", (STEP | dict.fromkeys(NOISE, 0),), _key(STEP)),
        Case("nothing but what is no fact", (dict.fromkeys(NOISE, "x"),), _key({})),
        Case(
            "a name like one that is no fact, further in",
            (STEP | {"env": {"line": "1"}, "lines": 3},),
            _key(STEP | {"env": {"line": "1"}, "lines": 3}),
        ),
        Case("an empty step", ({},), _key({})),
    ),
    "7.2": (
        Case("all kinds at once", (FILES,), _fingerprint(FILES)),
        Case("in another order", (dict(sorted(FILES.items())),), _fingerprint(FILES)),
        Case("a link that points elsewhere", ({"a": symlink("c")},), _fingerprint({"a": symlink("c")})),
        Case("another group", ({"a": file(b"", gid=5)},), _fingerprint({"a": file(b"", gid=5)})),
        Case("sticky", ({"tmp": directory(0o1777)},), _fingerprint({"tmp": directory(0o1777)})),
        Case("a directory that was touched", ({"d": directory(mtime=77)},), _fingerprint({"d": directory()})),
        Case("the same file under another name", ({"b": file(b"1")},), _fingerprint({"b": file(b"1")})),
    ),
    "7.3": (
        Case("two stars", (["**/*.pyc"], "a/b/c.pyc"), True),
        Case("two stars, at the top", (["**/*.pyc"], "c.pyc"), True),
        Case("an exception that comes too early", (["!a/keep", "a"], "a/keep"), True),
        Case("out, in, out, in", (["*", "!src", "src/tmp", "!src/tmp/x"], "src/tmp/x"), False),
        Case("out, in, and out further down", (["*", "!src", "src/tmp"], "src/tmp/x/y"), True),
        Case("a directory whose name begins alike", (["build"], "builds/x"), False),
        Case("a question mark", (["?.txt"], "ab.txt"), False),
        Case("a comment between two lines", (["*.md", "# !a.md"], "a.md"), True),
        Case("only an exception", (["!a"], "a"), False),
    ),
    "7.4": (
        Case("a diamond with a tail", (DIAMOND, "app"), ["base", "m", "l", "n", "r", "app"]),
        Case("one side of it", (DIAMOND, "r"), ["base", "m", "n", "r"]),
        Case("a stage that needs nothing", (DIAMOND, "base"), ["base"]),
        Case("the same need twice", ({"a": ["b", "b"], "b": []}, "a"), ["b", "a"]),
        Case("a circle that the target does not need", ({"a": [], "b": ["c"], "c": ["b"]}, "a"), ["a"]),
        Case("a circle of three", ({"a": ["b"], "b": ["c"], "c": ["a"]}, "b"), ValueError),
        Case("a circle far away", ({"a": ["x", "b"], "x": [], "b": ["c"], "c": ["d"], "d": ["c"]}, "a"), ValueError),
    ),
}
