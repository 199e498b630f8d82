"""Grading as a whole: what is written, what is graded again, on a cluster, without root, without containers; no leaks."""

# ruff: noqa: E501  (cells a line)

from __future__ import annotations

import csv
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import minidocker
from minidocker.cli import main
from minidocker.grading import MODULES, report
from minidocker.grading.grade import Batch, Job, grade_one
from minidocker.grading.sandbox import Limits
from minidocker.grading.score import Result
from minidocker.grading.submission import find, load, parse
from tests.grading.handed_in import FOLDER, cell_of, notebook, solution, write

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="grading forks processes")
SOLVED, SETUP, VERIFY, CHAIN = solution(), solution()[0], cell_of("verify"), cell_of("chain_ids")
CALLED = [name for name in MODULES if name != "capstone"]  # which has tests of its own
CLASS: dict[str, Any] = {
    "ada": [SETUP, VERIFY, CHAIN],
    "bob": [SETUP, "def verify(blob, digest):\n    return f'<b>{blob}</b>'", CHAIN],
    "=cmd()|<script>alert(1)</script>": [SETUP, CHAIN],
    "eve": b"{",
}

ODD = r"""
import os
def apply(lower, layer):
    raise ValueError(f"{object()} {lambda: 0} {set('one of many orders'.split())} {os.listdir('/proc') == 0} {sorted(os.environ.items())}")
def chain_ids(diff_ids):
    return object()
print(object(), apply)
1 / 0
"""  # what is another address, another order, another folder each time, unless somebody cares


@pytest.fixture
def root(shared_root: Path) -> Path:
    return shared_root


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    names = {name.replace("/", "_"): cells for name, cells in CLASS.items()}
    write(tmp_path / "in", names)
    return tmp_path / "in"


@pytest.fixture
def grade(root: Path, tmp_path: Path, capsys: Any) -> Callable[..., tuple[int, str]]:
    """`minidocker grade`, its exit code, and what it said under way."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["--root", str(root), "grade", "-o", str(tmp_path / "out"), *map(str, words)])
        return code, capsys.readouterr().err

    return run


def graded(folder: Path, root: Path, executor: Executor, jobs: int = 2, **options: Any) -> dict[str, Result]:
    batch = Batch(folder / "out", root=str(root), **options)
    return {result.who: result for result, _ in batch.run(find([folder / "in"]), executor, jobs)}


# What is written


def test_the_same_submissions_get_the_same_reports_but_for_the_times(
    grade: Callable[..., tuple[int, str]], handed_in: Path, tmp_path: Path
) -> None:
    def reports() -> dict[str, str]:
        return {path.name: path.read_text() for path in (tmp_path / "out").iterdir() if path.is_file()}

    def without_times(reports: dict[str, str]) -> dict[str, str]:
        times = r"""("graded_at": "|"seconds": |time=')[^",']+"""
        timed = {name: re.sub(times, r"\1", reports[name]) for name in ("grades.json", "junit.xml")}
        return reports | timed

    write(handed_in, {"odd": [SETUP, VERIFY, ODD]})
    code, told = grade("--jobs", 2, handed_in)
    first = without_times(reports())
    assert code == 3 and "[5/5]" in told and "(as before)" not in told
    code, told = grade("--force", "--jobs", 1, handed_in)
    assert (code, without_times(reports())) == (3, first) and "(as before)" not in told
    assert sorted(first) == ["grades.csv", "grades.json", "junit.xml", "report.html", "report.md"]


def test_the_reports_say_the_scope_and_are_harmless(
    grade: Callable[..., tuple[int, str]], handed_in: Path, tmp_path: Path
) -> None:
    grade("-q", handed_in)
    out = tmp_path / "out"
    suites = {suite.get("name"): suite for suite in ET.parse(out / "junit.xml").getroot()}
    assert len(suites) == 4 and suites["eve"].find("testcase/error") is not None
    ada = {case.get("name"): case.find("failure") for case in suites["ada"].iter("testcase")}
    assert ada["1.1 verify"] is None and ada["1.2 apply"] is not None
    rows = (out / "grades.csv").read_text().splitlines()
    assert (
        rows[0] == "submission,exercise,points,of,passed,1.1,1.2,1.3,1.4,problem"
        and "ada,01-layers,3,9,no,1,0,0,2," in rows
    )
    assert not any(row.startswith("=") for row in rows)
    markdown, page = (out / "report.md").read_text(), (out / "report.html").read_text()
    assert "public checks: 5 of 5, hidden checks: 6 of 6" in markdown
    prose = "\n".join(line for line in markdown.split("\n") if not line.startswith("    "))  # what is no code block
    for text in (prose, page):
        assert "<script" not in text and "<b>b'hello'" not in text
    assert page.count("<svg") > 3 and "Content-Security-Policy" in page
    found = json.loads((out / "grades.json").read_text())["submissions"]
    assert [(one["who"], one["points"]) for one in found][1:] == [("ada", 3), ("bob", 2), ("eve", 0)]


NAMES = [
    "new\nline", "comma,", "=cmd()", "+1", "\t=tab", "＝wide", "\x1b[2J\x07", "\u202ertl", "..", "-rf", " space ", "quote\"'`",
    "<b>|x|", "\udcff\udcfe", "a" * 240,
]  # fmt: skip


def test_whatever_a_file_is_called_the_reports_are_of_it_and_harmless(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.ipynb").write_bytes(b"")
    results = [Result("", "", "", problem=f"of {who}", who=who) for who, _ in find([tmp_path])]
    assert sorted(result.who for result in results) == sorted(NAMES)
    paths = {path.name: path.read_text("utf-8") for path in report.write(tmp_path / "out", results)}
    assert len(json.loads(paths.pop("grades.json"))["submissions"]) == len(NAMES)
    assert not any(re.search("[\0-\x09\x0b-\x1f\x7f\u202e]", text) for text in paths.values())
    assert not any("<b>" in text for name, text in paths.items() if name != "grades.csv")
    assert not re.search(r"^\s*[=+@＝-]", paths["grades.csv"], re.M)
    assert [len(row) for row in csv.reader(paths["grades.csv"].splitlines())] == [6] * (len(NAMES) + 1)
    assert len(ET.fromstring(paths["junit.xml"].encode())) == len(NAMES)
    table = paths["report.md"].split("\n## ")[0].splitlines()[4:]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in table if row] == [5] * (len(NAMES) + 2)


def test_a_folder_that_cannot_be_read_is_not_overlooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"ada": [SETUP]})
    (tmp_path / "bob").mkdir()
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "bob":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = dict(find([tmp_path]))
    assert list(found) == ["ada", "bob"] and "it cannot be read" in load("bob", found["bob"]).problem


def test_of_hidden_checks_only_the_rule_is_told(root: Path) -> None:
    """…or a function could return its arguments, and the report would give them away."""
    cells = [SETUP, VERIFY, CHAIN.replace("return chain", "return chain if len(chain) < 4 else repr(diff_ids)")]
    chain = graded_cells(root, cells).tasks[3]
    assert (chain.public.passed, chain.hidden.passed < chain.hidden.of) == (4, True)
    assert "- four layers" in chain.said and not any("sha256" in line for line in chain.said)


def graded_cells(root: Path, cells: list[str], name: str = "01-layers", **options: Any) -> Result:
    found = parse("x", notebook(*cells))
    return grade_one(Job(name, found.digest, found.cells, root=str(root), **options))


@pytest.fixture(scope="module")
def every(shared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """All exercises, solved and untouched, in one batch."""
    folder = tmp_path_factory.mktemp("every")
    for name in CALLED:
        given = (FOLDER / name / f"{name.partition('-')[2]}.ipynb").read_bytes()
        write(folder / "in" / name, {"solved": solution(name), "untouched": given})
    with ThreadPoolExecutor(4) as threads:
        return graded(folder, shared_root, threads, 4)


@pytest.mark.parametrize("name", CALLED)
def test_every_exercise_can_be_graded(every: dict[str, Result], name: str) -> None:
    """…those too that lend a registry or a wait() to a function: the solution earns all, untouched it earns nothing."""
    result = every[f"{name}/untouched"]
    assert every[f"{name}/solved"].passed and result.exercise == name
    assert result.points == 0 and all("Nothing is written yet" in task.said[1] for task in result.tasks)


# Exit codes


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "give notebooks"),
        (("/nowhere",), 2, "there is nothing at /nowhere"),
        (("--exercise", "99-x", "."), 2, "no exercise '99-x'"),
        (("--memory", "1", "."), 2, "64m at least"),
        (("--check-timeout", "soon", "."), 2, "soon"),
        (("--sandbox", "cloud", "."), 2, "container or process"),
        (("--scheduler", "tcp://127.0.0.1:1", str(FOLDER / "01-layers" / "layers.ipynb")), 2, "127.0.0.1:1"),
        (("--nonsense", "."), 125, "unknown flag"),
    ],
)
def test_what_makes_no_sense(
    grade: Callable[..., tuple[int, str]], words: Any, code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minidocker.cli.grading.PATIENCE", 0.5)
    done, told = grade(*words)
    assert done == code and says in told


def test_all_passed_is_0_and_not_all_is_1(grade: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    write(tmp_path / "in", {"ada": SOLVED})
    assert grade(tmp_path / "in")[0] == 0
    write(tmp_path / "in", {"bob": [SETUP]})
    assert grade(tmp_path / "in")[0] == 1


# What was graded before


def test_what_has_not_changed_is_not_graded_again(grade: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    write(tmp_path / "in", {"ada": [SETUP, VERIFY], "same": [SETUP, VERIFY], "bob": [SETUP]})
    grade(tmp_path / "in")
    kept = sorted((tmp_path / "out" / "results").iterdir())
    assert len(kept) == 2, "two that are the same are graded once"
    kept[0].write_text("{ damaged")
    write(tmp_path / "in", {"new": [SETUP, CHAIN]})
    told = grade(tmp_path / "in")[1]
    assert told.count("(as before)") in (1, 2) and len(list((tmp_path / "out" / "results").iterdir())) == 3
    assert grade(tmp_path / "in")[1].count("(as before)") == 4
    assert grade("--check-timeout", 4, tmp_path / "in")[1].count("(as before)") == 0, "other limits are another grading"


def test_a_run_that_is_killed_goes_on_where_it_was(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "in", {f"n{number}": [SETUP, VERIFY, f"# {number}"] for number in range(4)})
    words = ["--root", root, "grade", "--jobs", 1, "-o", tmp_path / "out", tmp_path / "in"]
    command = [sys.executable, "-m", "minidocker", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
        assert run.stderr and "[1/4]" in run.stderr.readline()
        run.kill()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and 1 <= done.stderr.count("(as before)") < 4
    with minidocker.connect(root) as engine:
        gone(engine)


def gone(engine: Any) -> None:
    """Who grades was killed: its sandbox ends by itself, or was not started yet (and goes before the next batch)."""
    for container in engine.containers.list(all=True):
        assert container.labels == {"minidocker.grading.sandbox": ""}
        if container.status == "created":
            container.remove()
        else:
            container.wait(timeout=60, condition="removed")


# Between submissions

LEAVES = r"""
import os, socket, subprocess, sys, threading, time, hashlib, builtins
for folder in ("/tmp", "/dev/shm", "/var/tmp", "/course", "/", "/etc", "/run", "/dev", "/dev/mqueue"):
    try: open(folder + "/left-behind", "w").write("x")
    except OSError: pass
os.environ["LEFT"] = "1"
hashlib.left = builtins.left = True
import minidocker.layer; minidocker.layer.left = True
server = socket.socket(socket.AF_UNIX); server.bind("\0left"); server.listen()
inet = socket.create_server(("127.0.0.1", 45454))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
def verify(blob, digest):
    open("/tmp/left-behind", "w").write("x"); time.sleep(0.2); return True
"""
LOOKS = r"""
import os, socket, time
def traces():
    import hashlib, builtins, minidocker.layer as layer
    found = [f"{folder}/{name}" for folder in ("/tmp", "/dev/shm", "/var/tmp", "/course", "/", "/run", "/dev/mqueue") for name in os.listdir(folder) if "left" in name]
    found += [name for name in os.environ if name == "LEFT"]
    found += [module.__name__ for module in (hashlib, builtins, layer) if hasattr(module, "left")]
    for kind, address in ((socket.AF_UNIX, "\0left"), (socket.AF_INET, ("127.0.0.1", 45454))):
        with socket.socket(kind) as one:
            if one.connect_ex(address) == 0: found.append(str(address))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: words = open(f"/proc/{pid}/cmdline").read()
        except OSError: words = ""
        if "sleep(99)" in words: found.append(words)
    return found
def verify(blob, digest):
    time.sleep(0.05)
    raise ValueError(f"traces: {traces()}")
"""  # fmt: skip


def containers(root: Path) -> None:
    with minidocker.connect(root) as engine:
        if engine.runtime.name == "simulated":
            pytest.skip("no containers here")


def test_nothing_leaks_from_one_submission_into_another(root: Path, tmp_path: Path) -> None:
    """One leaves files, variables, patches, servers and processes; another looks for them, beside it and after it."""
    containers(root)
    write(tmp_path / "in", {"a-leaves": [SETUP, LEAVES, CHAIN], "b-looks": [SETUP, LOOKS]})
    write(tmp_path / "in", {"c-looks-later": [SETUP, LOOKS, CHAIN], "d-itself": [SETUP, LEAVES, LOOKS, "found = traces()", "def verify(blob, digest):\n    raise ValueError(found)"]})  # fmt: skip
    with ThreadPoolExecutor(2) as threads:
        found = graded(tmp_path, root, threads, limits=Limits(check_seconds=10))
    assert "left-behind" in found["d-itself"].tasks[0].said[1], "whoever left them finds them"
    for name in ("b-looks", "c-looks-later"):
        assert "traces: []" in found[name].tasks[0].said[1], found[name].tasks[0].said


def test_nothing_of_a_call_is_left_for_the_next(root: Path) -> None:
    cells = [
        SETUP,
        "calls = []\ndef verify(blob, digest):\n    calls.append(1)\n    raise ValueError(f'call {len(calls)}')",
    ]
    assert "call 1" in graded_cells(root, cells).tasks[0].said[1]


# Where there are no containers


def test_without_a_container_it_is_a_process_with_limits_and_says_so(root: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "in",
        {
            "ada": SOLVED,
            "loops": [SETUP, "def verify(blob, digest):\n    while True: pass", CHAIN],
            "exits": [SETUP, "import os\nos._exit(0)", VERIFY, CHAIN],
            "allocates": [SETUP, "def verify(blob, digest):\n    return bytes(10 << 30)", CHAIN],
            "leaves": [
                SETUP,
                VERIFY,
                "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(99)",
                CHAIN,
            ],
        },
    )
    with ThreadPoolExecutor(2) as threads:
        found = graded(tmp_path, root, threads, limits=Limits(check_seconds=1), require="process")
    assert {name: result.points for name, result in found.items()} == {
        "ada": 9, "loops": 2, "exits": 3, "allocates": 2, "leaves": 3,
    }  # fmt: skip
    assert found["ada"].sandbox.startswith(
        "NOT in a container (asked for): a process with limits, which nothing keeps from files, network and other"
    )


def test_the_simulated_runtime_grades_in_a_process_says_so_and_container_alone_refuses(
    tmp_path: Path, capsys: Any
) -> None:
    write(tmp_path / "in", {"ada": [SETUP, VERIFY]})
    base = ["--root", str(tmp_path / "root"), "--runtime", "simulated", "grade", "-o", str(tmp_path / "out")]
    assert main([*base, "-q", str(tmp_path / "in")]) == 1
    said = (
        "NOT in a container (there are no containers here (minidocker doctor says why)): a process with limits, which"
    )
    assert f"{said} nothing keeps from files, network and other processes. Grade so what" in capsys.readouterr().err
    assert "there are no containers here" in (tmp_path / "out" / "report.md").read_text()
    assert main([*base, "-q", "--sandbox", "process", str(tmp_path / "in")]) == 1 and not capsys.readouterr().err
    assert main([*base, "--sandbox", "container", str(tmp_path / "in")]) == 3


@pytest.mark.skipif(
    os.name != "posix" or os.getuid() != 0 or not shutil.which("setpriv"), reason="for root, to be nobody"
)
def test_without_root() -> None:
    python = next((p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(p).exists()), "")
    version = (
        python
        and subprocess.run([python, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True).stdout
    )
    if version != b"True\n":
        pytest.skip("no Python that others may run")
    home = Path("/tmp") / f"minidocker-nobody-{os.getpid()}"
    try:
        shutil.copytree(Path(minidocker.__file__).parent, home / "code" / "minidocker")
        shutil.copytree(FOLDER / "01-layers", home / "code" / "exercises" / "01-layers")
        write(home / "in", {"ada": SOLVED, "bomb": [SETUP, "import os\ndef verify(blob, digest):\n    while True:\n        try: os.fork()\n        except OSError: pass", CHAIN]})  # fmt: skip
        for path in (home, *home.rglob("*")):
            os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        words = ["-m", "minidocker", "grade", "--check-timeout", "1", "-o", str(home / "out"), str(home / "in")]
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(home / "code")}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=home
        )
        assert done.returncode == 1, done.stderr
        found = {one["who"]: one for one in json.loads((home / "out" / "grades.json").read_text())["submissions"]}
        assert {name: one["points"] for name, one in found.items()} == {"ada": 9, "bomb": 2}
    finally:
        shutil.rmtree(home, ignore_errors=True)


# A cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """A Dask cluster of two workers, started as an instructor starts one: its parts are programs of their own."""
    distributed = pytest.importorskip("distributed")
    file = str(tmp_path / "scheduler.json")
    address = ["--scheduler-file", file, "--host", "127.0.0.1", "--no-dashboard"]
    alone = ["--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path / "dask"), "--death-timeout", "300"]
    with ExitStack() as programs, (tmp_path / "dask.log").open("wb") as log:
        for name, words in ("scheduler", ["--port", "0"]), ("worker", alone), ("worker", alone):
            line = [sys.executable, "-m", f"distributed.cli.dask_{name}", *address, *words]
            process = programs.enter_context(subprocess.Popen(line, stdout=log, stderr=log))
            programs.callback(process.kill)
        with distributed.Client(scheduler_file=file, timeout=300, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=300)
            yield client


def kill_who_works(client: Any, pids: dict[str, int]) -> bool:
    """Kill the first worker of a cluster that has something to do; False: none ever had."""
    for _ in range(30_000):
        if busy := [worker for worker, keys in client.processing().items() if keys]:
            os.kill(pids[busy[0]], signal.SIGKILL)
            return True
        time.sleep(0.01)
    return False


def test_a_cluster_grades_the_same_though_a_worker_is_killed(cluster: Any, root: Path, tmp_path: Path) -> None:
    write(tmp_path / "in", {f"n{number}": [SETUP, VERIFY, CHAIN, f"# {number}"] for number in range(5)} | {"eve": b""})
    with ThreadPoolExecutor(1) as beside:
        killed = beside.submit(kill_who_works, cluster, cluster.run(os.getpid))
        found = graded(tmp_path, root, cluster.get_executor(pure=False, retries=2))
    assert killed.result(), "one worker was killed while it had something to do"
    assert {name: result.points for name, result in found.items() if name != "eve"} == {f"n{n}": 3 for n in range(5)}
    assert not any(result.failed for result in found.values())
    with ThreadPoolExecutor(1) as threads:
        again = [known for _, known in Batch(tmp_path / "out", root=str(root)).run(find([tmp_path / "in"]), threads, 1)]
    assert again.count(True) == 5, "what a cluster graded is known here"
    with minidocker.connect(root) as engine:
        gone(engine)


def test_the_reports_of_nobody_can_be_written(tmp_path: Path) -> None:
    assert all(path.stat().st_size for path in report.write(tmp_path, []))
