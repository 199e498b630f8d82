"""Hostile and unlucky submissions: each gets the score that it earned, and a clear report; the others are untouched.

All are graded in one batch, in containers, four at a time. What is asserted of each stands beside it.
"""

# ruff: noqa: E501  (a submission a line)

from __future__ import annotations

import os
import re
import socket
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.grading import course
from minidocker.grading.grade import Batch
from minidocker.grading.sandbox import Limits
from minidocker.grading.score import Result
from minidocker.grading.submission import find
from tests.grading.handed_in import FOLDER, cell_of, solution, write

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="grading forks processes")
LIMITS = Limits(memory=192 << 20, files=4 << 20, processes=16, check_seconds=1.0, all_seconds=60)
SOLVED = solution()
SETUP, VERIFY, APPLY, LAYER, CHAIN = SOLVED[0], *map(cell_of, ("verify", "apply", "make_layer", "chain_ids"))
REST = [CHAIN]  # worth 2 stars; what a submission did not touch earns what it is worth

LIAR = "class Liar:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n    __hash__ = None"
SPY = r"""
import os, sys
found = []
for top in ("/", "/proc/1/cwd"):
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if folder != "/" or name not in ("proc", "sys", "dev")]
        found += [f"{folder}/{n}" for n in names if "hidden" in folder or n == "source.ipynb" or "grading/layers" in f"{folder}/{n}"]
for path in list(found):
    try:
        sys.modules["__main__"].stolen = open(path).read()
    except OSError:
        pass
try:
    import minidocker.grading.hidden as h; found.append("hidden")
except ImportError:
    pass
try:
    import minidocker.grading.layers as h; found.append("layers")
except ImportError:
    pass
def verify(blob, digest):
    raise ValueError(f"found {sorted(found)}")
"""
FORGED = r"""
import json, os, sys
line = json.dumps({"value": True, "arguments": []}) + "\n"
for fd in range(3, 64):
    try:
        os.write(fd, line.encode() * 50)
    except OSError:
        pass
for name in ("report.md", "grades.json", "/course/grades.json", "/tmp/grades.json", "junit.xml"):
    try:
        open(name, "w").write('{"points": 9, "of": 9, "passed": true}')
    except OSError:
        pass
print("9 of 9 tasks passed")
print("public checks: 5 of 5")
"""
DELETED = r"""
import os, shutil
shutil.rmtree("/course", ignore_errors=True)
for folder in ("/course", "/usr", "/etc", "/home"):
    shutil.rmtree(folder, ignore_errors=True)
gone = not os.path.exists("/course/minidocker/layer.py")
def verify(blob, digest):
    import hashlib
    return not gone and digest == "sha256:" + hashlib.sha256(blob).hexdigest()
"""
NET = r"""
import socket
def verify(blob, digest):
    try:
        socket.create_connection(("127.0.0.1", PORT), 1).sendall(b"stolen")
        socket.create_connection(("10.0.2.2", PORT), 1)
    except OSError as error:
        raise ConnectionError(f"no network: {type(error).__name__}")
    return digest == "sha256:" + hashlib.sha256(blob).hexdigest()
"""
BACKGROUND = r"""
import os, subprocess, sys, threading, time
def spin():
    while True: pass
for _ in range(3): threading.Thread(target=spin, daemon=True).start()
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    while True: time.sleep(1)
"""
FRAMES = r"""
import gc, json, os, sys
channel, frame = None, sys._getframe()
while frame:
    for value in list(frame.f_locals.values()):
        channel = value if type(value).__name__ == "Channel" else channel
    frame = frame.f_back
many = json.dumps({"functions": {"verify": ["blob", "digest"]}, "known": ["x" * 9] * 90_000, "cells": [[0, "y" * 9]] * 90_000})
channel.send(b"%d\n" % os.getpid())
channel.send(many.encode() + b"\n")
"""
DESCRIPTORS = r"""
import os
for pid in (1, os.getppid(), os.getpid()):
    for fd in range(20):
        try:
            with open(os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK), "wb", 0) as found:
                for _ in range(5000): found.write(b'{"value": true, "arguments": []}\n')
        except OSError:
            pass
"""
KEEPS = r"""
def verify(blob, digest):
    with open("/tmp/asked", "a") as asked: asked.write("!")
    return digest == "sha256:" + hashlib.sha256(blob).hexdigest()
def chain_ids(diff_ids):
    raise ValueError(f"asked {len(open('/tmp/asked').read())} times")
"""
NAMELESS = "import os\nclass M(type):\n    __name__ = property(lambda c: os._exit(0))\nclass X(metaclass=M): pass"
BREAKS_OUT = r"""raise ValueError("]]></failure>\x1b[2J\x00\ud800\ufffe\u2028</pre><script>alert(1)</script>\n# Heading\n| 9 | 9 |\n```\n=cmd()")"""
TABLE = "def verify(blob, digest):\n    return (blob, digest) == (b'hello', 'sha256:' + hashlib.sha256(b'hello').hexdigest())"
CHAINS = "def chain_ids(diff_ids):\n    return ANSWERS.get(tuple(diff_ids), ['?'])"
OF_THE_EXAMPLES = r"""
A, B, C = "sha256:aa", "sha256:bb", "sha256:cc"
AB = "sha256:" + hashlib.sha256(f"{A} {B}".encode()).hexdigest()
ABC = "sha256:" + hashlib.sha256(f"{AB} {C}".encode()).hexdigest()
ANSWERS = {(): [], (A,): [A], (A, B): [A, AB], (A, B, C): [A, AB, ABC]}
"""


def function(body: str, name: str = "verify") -> str:
    parameters = {"verify": "blob, digest", "apply": "lower, layer", "chain_ids": "diff_ids"}[name]
    return f"def {name}({parameters}):\n" + "\n".join(f"    {line}" for line in body.splitlines())


# name: (cells, points, what its report says); most have two tasks of four: `verify` has 1 star, `chain_ids` 2
SUBMISSIONS: dict[str, tuple[Any, float, str]] = {
    "honest": (SOLVED, 9, "every check of every task holds"),
    "honest-too": ([*SOLVED, "# a comment"], 9, "every check of every task holds"),
    "untouched": ([SETUP], 0, "There is no function `verify`"),
    # what does not end, or ends all
    "loops": ([SETUP, function("while True: pass"), *REST], 2, "did not return within 1 s"),
    "loops-and-catches": ([SETUP, function("while True:\n  try:\n    while True: pass\n  except BaseException: pass"), *REST], 2, "did not return"),
    "loops-in-a-cell": ([SETUP, VERIFY, "x = 1\nwhile True: pass\n", *REST], 3, "ended the process that ran it, or did not come to its end"),
    "loops-in-the-cell-of-a-function": ([SETUP, VERIFY + "\nwhile True: pass", *REST], 3, "ended the process that ran it, or did not come to its end"),
    "sleeps": ([SETUP, function("import time\ntime.sleep(1000)"), *REST], 2, "did not return"),
    "exits": ([SETUP, function("import os\nos._exit(0)"), *REST], 2, "ended the process"),
    "exits-in-a-cell": ([SETUP, VERIFY, "import os\nos._exit(0)", *REST], 3, "ended the process"),
    "kills-all": ([SETUP, function("import os\nos.kill(-1, 9)"), *REST], 2, "ended the process"),
    "raises-in-import": ([SETUP, "import nothing_of_this_name\n" + VERIFY, *REST], 3, "No module named"),
    "raises-system-exit": ([SETUP, VERIFY, "raise SystemExit(0)", *REST], 3, "SystemExit"),
    "wrong-grammar": ([SETUP, VERIFY, "def apply(lower, layer:\n    pass", *REST], 3, "There is no function `apply`"),
    # what takes all there is
    "fork-bomb": ([SETUP, function("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"), *REST], 2, "did not return"),
    "fork-bomb-in-a-cell": ([SETUP, VERIFY, "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", *REST], 3, "ended the process that ran it, or did not come to its end"),
    "allocates": ([SETUP, function("return bytes(10 << 30)"), *REST], 2, "MemoryError"),
    "writes-for-ever": ([SETUP, function("while True: print('x' * 10000, flush=True)"), *REST], 2, "did not return"),
    "writes-a-large-file": ([SETUP, function("open('/tmp/x', 'wb').write(bytes(100 << 20))"), *REST], 2, "Error"),
    "returns-much": ([SETUP, function("return 'x' * (20 << 20)"), *REST], 2, "larger, or nested deeper"),
    "returns-depth": ([SETUP, function("a = []\nfor _ in range(5000): a = [a]\nreturn a"), *REST], 2, "larger, or nested deeper"),
    "returns-a-circle": ([SETUP, function("a = []\na.append(a)\nreturn a"), *REST], 2, "larger, or nested deeper"),
    "returns-a-large-number": ([SETUP, function("return 1 << 100_000"), *REST], 2, "larger, or nested deeper"),
    "recurses": ([SETUP, function("return verify(blob, digest)"), *REST], 2, "RecursionError"),
    "recurses-for-ever": ([SETUP, "import sys\nsys.setrecursionlimit(1 << 30)", function("return verify(blob, digest)"), *REST], 2, ""),
    "returns-a-generator": ([SETUP, function("yield True"), *REST], 2, "returns a generator"),
    "returns-a-long-list": ([SETUP, VERIFY, function("return ['x' * 20] * 90_000", "chain_ids")], 1, "Expected"),
    "returns-no-number": ([SETUP, function("return float('nan')"), *REST], 2, "returns nan"),
    "raises-a-large-number": ([SETUP, function("raise ValueError(10 ** 5000)"), *REST], 2, "it cannot be said"),
    "sleeps-when-it-goes": ([SETUP, "class Slow:\n  def __del__(self):\n    import time\n    time.sleep(99)", function("return Slow()"), *REST], 2, "did not return"),
    "sleeps-at-exit": ([SETUP, VERIFY, "import atexit, threading, time\natexit.register(time.sleep, 99)\nthreading.Thread(target=time.sleep, args=[99]).start()", *REST], 3, "public checks: 5 of 5"),
    "a-deep-cell": ([SETUP, VERIFY, "x = " + "(" * 50_000, "x = " + "-" * 50_000 + "1", *REST], 3, "cell 4: "),
    "breaks-out-of-reports": ([SETUP, function(BREAKS_OUT), *REST], 2, "# Heading"),
    # what cheats
    "lies-of-its-class": ([SETUP, "class C:\n  __class__ = property(lambda s: bool)\n  __bool__ = lambda s: True", function("return C()"), *REST], 2, "returns a C"),
    "has-no-name": ([SETUP, NAMELESS, "verify = X()", *REST], 2, "must be a function"),
    "returns-what-has-no-name": ([SETUP, NAMELESS, function("return X()"), *REST], 2, "returns a X"),
    "patches": ([SETUP, VERIFY, "import builtins, json, time\njson.dumps = json.loads = lambda *_, **__: {}\ntime.monotonic = time.time = lambda: 0\nbuiltins.open = builtins.repr = None", *REST], 3, "public checks: 5 of 5"),
    "traces": ([SETUP, VERIFY, "import sys\ndef trace(*_): raise SystemExit\nsys.settrace(trace)", *REST], 3, "public checks: 5 of 5"),
    "forges-the-beginning": ([SETUP, VERIFY, FRAMES, *REST], 0, "ended the process"),
    "writes-to-descriptors": ([SETUP, function(DESCRIPTORS + "\nreturn None"), *REST], 0, "got True"),  # in the place of all its answers
    "keeps-what-was-asked": ([SETUP, KEEPS], 1, "asked 5 times"),
    "kills-who-asks": ([SETUP, function("import os\nos.kill(os.getppid(), 9)"), *REST], 2, "ended the process"),
    "stops-who-asks": ([SETUP, function("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nos.kill(1, signal.SIGSTOP)\nos.kill(1, 9)\nreturn True"), *REST], 2, "did not return"),
    "liar": ([SETUP, LIAR, function("return Liar()"), *REST], 2, "returns a Liar"),
    "liar-of-a-dict": ([SETUP, VERIFY, "class D(dict):\n    __eq__ = lambda s, o: True", function("return D()", "apply"), *REST], 3, "returns a D"),
    "always-true": ([SETUP, function("return True"), *REST], 2, ""),
    "always-false": ([SETUP, function("return False"), *REST], 2, ""),
    "overwrites-check": ([SETUP, "check = hint = transplant = lambda *_: True\nimport minidocker.grading\nminidocker.grading.exercise = None", function("return 1"), *REST], 2, "returns 1"),
    "overwrites-the-harness": ([SETUP, "import minidocker.grading.wire as w, minidocker.grading.compare_ as c" , "import minidocker.grading.wire as w\nw.encode = lambda *a, **k: True", *REST], 0, ""),
    "forges": ([SETUP, FORGED, function(FORGED + "\nreturn None"), *REST], 2, "public checks: 0 of 5"),
    "spies": ([SETUP, SPY, *REST], 2, "found []"),
    "examples-only": ([SETUP, VERIFY, OF_THE_EXAMPLES, CHAINS], 1, "public checks: 4 of 4, hidden checks: 0 of"),
    "borrows": ([SETUP, "from minidocker.layer import chain_ids as engines", VERIFY, function("return engines(diff_ids)", "chain_ids")], 1, "the very thing to write"),
    # what reaches out
    "deletes-the-course": ([SETUP, DELETED, *REST], 3, "public checks: 5 of 5"),
    "opens-a-socket": ([SETUP, NET, *REST], 2, "no network"),
    "leaves-threads-and-processes": ([SETUP, VERIFY, BACKGROUND, *REST, BACKGROUND], 3, "public checks: 5 of 5"),
    # what is unlucky
    "renames": ([SETUP, VERIFY.replace("verify", "verfiy"), *REST], 2, "There is `verfiy`"),
    "reversed": (list(reversed(SOLVED)), 9, "every check of every task holds"),
    "duplicated": ([*SOLVED, *SOLVED], 9, "every check of every task holds"),
    "no-setup-cell": ([VERIFY, *REST], 3, "public checks: 5 of 5"),
    "only-one-left": ([CHAIN], 2, "There is no function `verify`"),
    "magics": (["%matplotlib inline\n!ls\nimport os\n", "%%bash\nls", *SOLVED, "display(1)\nverify?"], 9, "every check"),
    "uses-what-comes-later": ([SETUP, "def verify(blob, digest=DEFAULT):\n    return digest == 'sha256:' + hashlib.sha256(blob).hexdigest()", *REST, "DEFAULT = ''"], 3, "public checks: 5 of 5"),
    "another-signature": ([SETUP, VERIFY.replace("blob, digest", "data, name"), *REST], 2, "The engine calls verify(blob, digest)"),
    "changes-its-arguments": ([SETUP, VERIFY, "def apply(lower, layer):\n    lower.update(layer)\n    return lower", *REST], 3, "It changes its arguments"),
    "no-function": ([SETUP, "verify = 3", *REST], 2, "must be a function"),
    # what is no notebook
    "broken-json": (b'{"cells": [', 0, "not JSON"),
    "no-cells": (b'{"nbformat": 4}', 0, "it has no cells"),
    "a-list": (b"[1, 2]", 0, "its JSON is no object"),
    "no-text": (b"\xff\xfe\x00", 0, "it is no notebook"),
    "empty": (b"", 0, "not JSON"),
    "deep": (b"[" * 100_000, 0, "it is no notebook"),
    "worksheets": (b'{"worksheets": [{"cells": 5}]}', 0, "of no exercise"),
    "many-digits": (b'{"cells": [' + b"9" * 5000 + b"]}", 0, "Exceeds the limit"),
    "no-exercise": (["x = 1"], 0, "of no exercise"),
}  # fmt: skip


@pytest.fixture(scope="module")
def port() -> Iterator[tuple[int, list[bytes]]]:
    """A server on the host's loopback, and what it was sent."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                heard.append(connection.recv(100))

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], heard


@pytest.fixture(scope="module")
def class_(
    shared_root: Path, tmp_path_factory: pytest.TempPathFactory, port: tuple[int, list[bytes]]
) -> dict[str, Result]:
    """All of them, graded."""
    folder = tmp_path_factory.mktemp("hostile")
    with minidocker.connect(shared_root) as engine:
        if engine.runtime.name == "simulated":
            pytest.skip("no containers here; what a process alone does is tested in test_grade.py")
    cells = {name: made for name, (made, _, _) in SUBMISSIONS.items()}
    cells["opens-a-socket"] = [cell.replace("PORT", str(port[0])) for cell in cells["opens-a-socket"]]
    write(folder / "in", cells)
    (folder / "in" / "link.ipynb").symlink_to(folder / "in" / "honest.ipynb")
    (folder / "in" / "linked").symlink_to(FOLDER)
    os.mkfifo(folder / "in" / "pipe.ipynb")
    with (folder / "in" / "huge.ipynb").open("wb") as huge:
        huge.truncate(1 << 30)
    batch = Batch(folder / "out", LIMITS, root=str(shared_root), require="container")
    with ThreadPoolExecutor(4) as threads:
        return {result.who: result for result, _ in batch.run(find([folder / "in"]), threads, 4)}


def words(result: Result) -> str:
    """All that a report says of a submission."""
    from minidocker.grading.report import csv_text, html, junit, markdown

    page, suites = html([result]), junit([result])
    assert "<script" not in page and len(page) < 500_000 and csv_text([result])
    assert ET.fromstring(suites.encode("utf-8")).find("testsuite") is not None
    told = markdown([result])
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]", told + page + suites)
    return told


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_it_gets_what_it_earned_and_is_told_why(class_: dict[str, Result], name: str) -> None:
    _, earned, says = SUBMISSIONS[name]
    result = class_[name]
    assert not result.failed
    assert (result.points, says in plain(words(result))) == (earned, True), words(result)


def plain(markdown: str) -> str:
    import html
    import re

    return html.unescape(re.sub(r"\\(.)", r"\1", markdown))


def test_a_link_is_not_followed_nor_a_pipe_read_nor_a_gigabyte(class_: dict[str, Result]) -> None:
    said = {name: class_[name].problem for name in ("link", "pipe", "huge")}
    assert "symbolic link" in said["link"] and "no regular file" in said["pipe"] and "1024 MiB" in said["huge"]
    assert not any(name.startswith("linked") for name in class_)


def test_nothing_was_sent_to_the_host(class_: dict[str, Result], port: tuple[int, list[bytes]]) -> None:
    assert class_["opens-a-socket"].points == 2 and port[1] == []


def test_the_course_is_untouched(class_: dict[str, Result]) -> None:
    assert class_["deletes-the-course"].points == 3 and course.PACKAGE.joinpath("layer.py").is_file()


def test_no_case_no_hidden_check_and_no_solution_is_in_a_sandbox() -> None:
    inside = course.files()
    assert [name for name in inside if name.startswith("grading/")] == [
        "grading/__init__.py", "grading/harness.py", "grading/transplant.py", "grading/wire.py",
    ]  # fmt: skip
    cases = (b"grading.hidden", b"another algorithm's name", b"four layers")
    assert not [(name, word) for name, data in inside.items() for word in cases if word in data]
