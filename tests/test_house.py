"""The house is as CONTRIBUTING.md draws it: rooms look only upwards, the core is light, both package lists agree."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
PACKAGE = HOME / "minidocker"
LINUX_ONLY = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "curses", "spwd"}
LINUX_PROGRAMS = {
    f"runtime/{name}.py" for name in ("launcher", "launching", "running", "namespaces", "bundles", "switch")
}  # of namespaces
LATER_PYTHON = {"compression"}  # 3.14
CORE_ENDS_AT = "cli"
WIRES = {
    "web": {"h11"},
    "runtime": {"pyroute2"},
    "daemon": {"docker", "urllib3"},
}  # HTTP, netlink, the SDK in this process


def rooms() -> list[str]:
    """The rooms in CONTRIBUTING.md's picture, ground floor first."""
    text = (HOME / "CONTRIBUTING.md").read_text()
    picture = text.split("    minidocker/\n", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^      (\w+)(?:\.py|/)", picture, re.MULTILINE)


SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def here(path: Path) -> str:
    """The room that a source is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def room_of(module: str) -> str:
    """`minidocker.build.cache` -> `build`."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path, top_only: bool = False) -> set[str]:
    """The modules that a source imports; with `top_only`, just by being imported itself."""
    package = ("minidocker", *path.relative_to(PACKAGE).parts[:-1])
    return set(_imports(tree_of(path), package, top_only))


_LATER = ast.FunctionDef | ast.AsyncFunctionDef  # what happens when it is called


def _imports(tree: ast.AST, package: tuple[str, ...], top_only: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            if module == "minidocker":
                yield from (f"minidocker.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif not (
            isinstance(node, ast.expr) or (top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        ):
            yield from _imports(node, package, top_only)


def test_a_room_imports_only_from_rooms_above_it() -> None:
    order = rooms()
    assert {here(path) for path in SOURCES} - {"__init__"} <= set(order), (
        "not in CONTRIBUTING.md's picture of the house"
    )
    wrong = [
        f"{name_of(path)} imports {module}, which lies below it"
        for path in SOURCES
        if here(path) != "__init__"
        for module in imports(path, top_only=True)
        if module.startswith("minidocker.") and room_of(module) in order[order.index(here(path)) + 1 :]
    ]
    assert wrong == []


def test_nothing_linux_only_is_imported_at_the_top() -> None:
    """…but in the programs of the Linux runtime, which nothing else imports at its top either."""
    forbidden = LINUX_ONLY | {"minidocker." + name.removesuffix(".py").replace("/", ".") for name in LINUX_PROGRAMS}
    others = [path for path in SOURCES if name_of(path) not in LINUX_PROGRAMS]
    assert {name_of(path): found for path in others if (found := imports(path, top_only=True) & forbidden)} == {}


def test_the_core_needs_nothing_but_python() -> None:
    order = ["__init__", *rooms()]
    known = sys.stdlib_module_names | LATER_PYTHON | {"minidocker"}
    core = [path for path in SOURCES if order.index(here(path)) < order.index(CORE_ENDS_AT)]
    asked = {path: {module.split(".")[0] for module in imports(path)} - known for path in core}
    assert {name_of(path): more for path, more in asked.items() if not more <= WIRES.get(here(path), set())} == {}


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=HOME,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


HEAVY = {"asyncio", "http", "argparse", "logging", "multiprocessing"}
ONLY_WHERE_USED = {"urllib", "tarfile", "tempfile", "subprocess", "shutil"}
FOREIGN = {"IPython", "jupyter_client", "nbformat", "graphviz", "ipywidgets", "pytest", "hypothesis"}


def test_importing_minidocker_brings_nothing_heavy() -> None:
    assert not loaded_by("import minidocker") & (HEAVY | ONLY_WHERE_USED | FOREIGN)


def test_the_version_command_brings_nothing_heavy() -> None:
    quietly = "with contextlib.redirect_stdout(io.StringIO()): minidocker.cli.main(['version'])"
    assert not loaded_by(f"import io, contextlib, minidocker.cli\n{quietly}") & (HEAVY | FOREIGN)


# --- the two lists of packages --------------------------------------------------------------------------------------

CONDA_NAMES = {
    "graphviz": "python-graphviz",
    "isal": "python-isal",
    "docker": "docker-py",
}  # conda's own graphviz is the program
ONLY_PIP = {"graphviz-pure", "axe-playwright-python"}  # conda has its own graphviz; without axe its tests skip
ONLY_CONDA = {"python", "pip", "graphviz"}


def pip_packages() -> dict[str, str]:
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["course"], *extras["test"]]
    return {match[1]: match[2] for line in asked if (match := re.fullmatch(r"([\w-]+)(.*)", line.partition(";")[0]))}


def conda_packages() -> dict[str, str]:
    lines = (HOME / "environment.yml").read_text().split("dependencies:\n")[1].splitlines()
    asked = [re.match(r"  - ([\w-]+)(?: ([^#]*))?(?: *#.*)?$", line) for line in lines]
    return {match[1]: (match[2] or "").strip() for match in asked if match}


def test_conda_and_pip_ask_for_the_same_packages() -> None:
    pip, conda = pip_packages(), conda_packages()
    assert {CONDA_NAMES.get(name, name) for name in set(pip) - ONLY_PIP} == set(conda) - ONLY_CONDA
    assert set(conda) >= ONLY_CONDA


def test_conda_and_pip_ask_for_the_same_versions() -> None:
    conda = conda_packages()
    for name, versions in pip_packages().items():
        if name not in ONLY_PIP:
            assert conda[CONDA_NAMES.get(name, name)] == versions, name


def test_conda_has_the_python_that_we_need_and_installs_us() -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    assert conda_packages()["python"] == project["requires-python"]
    assert (HOME / "environment.yml").read_text().rstrip().endswith("- pip:\n      - -e .")


# --- set-up ---------------------------------------------------------------------------------------------------------


PRETENDER = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *"-m pip install"*) [ ! -f {offline} ] ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with nothing but what set-up needs, and a Python that pretends."""
    project = tmp_path / "project"
    (project / ".ci").mkdir(parents=True)
    (project / ".ci/setup").write_text((HOME / ".ci/setup").read_text())
    (project / "pyproject.toml").write_text("")
    pretender(tmp_path, PRETENDER.format(log=tmp_path / "log", offline=tmp_path / "offline"))
    return project


def pretender(folder: Path, script: str) -> None:
    (folder / "python3").write_text(script)
    (folder / "python3").chmod(0o755)


def set_up(project: Path, extras: str = "course") -> subprocess.CompletedProcess[str]:
    env = {"PYTHON": str(project.parent / "python3"), "PATH": "/usr/bin:/bin"}
    words = ["/bin/sh", ".ci/setup", extras]
    return subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, timeout=120)


def asked(project: Path) -> list[str]:
    """What was asked of the pretending Python since the last time: `venv`, `pip install`…"""
    log = project.parent / "log"
    words = log.read_text() if log.exists() else ""
    log.write_text("")
    return re.findall(r"-m (venv|pip install)", words)


posix = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell script")


@posix
def test_set_up_happens_once(project: Path) -> None:
    assert set_up(project).returncode == 0
    assert asked(project) == ["venv", "pip install"]
    assert set_up(project).returncode == 0
    assert asked(project) == []
    assert set_up(project, "course,test").returncode == 0
    assert asked(project) == ["pip install"]


@posix
def test_set_up_goes_on_when_pyproject_changes(project: Path) -> None:
    set_up(project)
    asked(project)
    later = time.time() + 10
    os.utime(project / "pyproject.toml", (later, later))
    assert set_up(project).returncode == 0
    assert asked(project) == ["pip install"]


@posix
def test_set_up_that_was_interrupted_starts_again_from_nothing(project: Path) -> None:
    (project.parent / "offline").touch()
    assert set_up(project).returncode != 0
    (project / ".venv/left-over").touch()
    (project.parent / "offline").unlink()
    asked(project)
    assert set_up(project).returncode == 0
    assert asked(project) == ["venv", "pip install"]
    assert not (project / ".venv/left-over").exists()


@posix
def test_a_venv_whose_python_is_gone_is_made_again(project: Path) -> None:
    set_up(project)
    asked(project)
    (project / ".venv/bin/python").unlink()
    assert set_up(project).returncode == 0
    assert asked(project) == ["venv", "pip install"]


@posix
@pytest.mark.parametrize(
    ("fake", "says"),
    [
        ('echo "Python 3.8.1"; case "$2" in *version_info*) exit 1;; esac', "needs Python 3.11 or newer"),
        ('case "$2" in *ensurepip*) exit 1;; esac; echo "Python 3.12.1"', "sudo apt install python3-venv"),
    ],
)
def test_set_up_tells_what_to_do_about_a_python_that_will_not_do(project: Path, fake: str, says: str) -> None:
    pretender(project.parent, f"#!/bin/sh\n{fake}\n")
    done = set_up(project)
    assert done.returncode == 1
    assert says in done.stderr
    assert not (project / ".venv").exists()


@posix
def test_set_up_without_any_python_says_so(project: Path) -> None:
    (project.parent / "python3").unlink()
    done = set_up(project)
    assert (done.returncode, "Install Python 3.11 or newer" in done.stderr) == (1, True)
