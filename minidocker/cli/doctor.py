"""`minidocker doctor`: what "run" means on this machine and why, what is there, and how to get more."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from minidocker import __version__
from minidocker.cli.flags import Call, command
from minidocker.errors import DockerException

Check = tuple[bool, str, str, str]  # whether it is there, what, what was found, how to get it


@command(
    """
doctor [OPTIONS]

Tell what this machine offers for running containers, and how to get more
""",
    needs_engine=False,
)
def doctor(call: Call) -> int:
    """Ours alone: docker has no such command. Exits with 1 when nothing can be run, or nothing kept."""
    from minidocker.engine import root_folder
    from minidocker.runtime import probe

    print(f"minidocker {__version__} on Python {platform.python_version()}, {platform.platform()}\n")
    folder = root_folder(call.top.root)
    chosen = call.top.runtime or probe.choose(folder)
    why = "because --runtime says so" if call.top.runtime else probe.reason(folder).partition(": ")[2]
    print(f"Runtime: {chosen}\n  {why}\n")
    report = probe.report(folder)
    print("Real containers")
    show((ability.ok, ability.name, ability.detail, ability.remedy) for ability in report.abilities)
    print("\nNetworks")
    show(network_checks(folder))
    print("\nEverything else")
    healthy = show(other_checks(folder))
    return 0 if healthy and (chosen == "simulated" or report.works) else 1


def show(checks: Iterator[Check]) -> bool:
    """Print checks; whether those without which nothing works (the first ones: folder and engine) are all there."""
    healthy = True
    for ok, name, found, remedy in checks:
        print(f"  {'ok ' if ok else '-- '} {name:<18} {found}".rstrip())
        if not ok:
            healthy = healthy and name != ROOT
            print(f"      {'':<18} {remedy}" if remedy else "", end="\n" if remedy else "")
    return healthy


ROOT = "root folder"


def other_checks(folder: Path) -> Iterator[Check]:
    """The root folder, and what the notebooks need."""
    yield root_check(folder)
    yield dot_check()
    for module, package in (("jupyterlab", "JupyterLab"), ("ipywidgets", "ipywidgets")):
        there = find_spec(module) is not None
        yield (
            there,
            package,
            "installed" if there else "not installed",
            "make setup, or pip install 'minidocker-course[course]'",
        )
    lesson = Path(__file__).parents[2] / "notebooks" / "00-start-here.ipynb"
    found = str(lesson) if lesson.exists() else "not beside this package"
    yield lesson.exists(), "first lesson", found, "The lessons are in the source: clone it, then make lab"


def network_checks(folder: Path) -> Iterator[Check]:
    """What connects containers with one another, and with the world."""
    from minidocker.runtime import plug, wayout

    why = "" if plug.codec() else "no pyroute2"
    why = why or plug.refused(str(folder / "networks"))
    remedy = f"{plug.NO_CODEC}. Without bridges a container has loopback alone, or the host's network"
    yield not why, "bridges", why or "containers reach each other, by name on networks of yours", remedy
    lacks = wayout.missing() if sys.platform.startswith("linux") else "this is no Linux"
    there = "slirp4netns or pasta, and nft or iptables, are there"
    yield (
        not lacks,
        "way out",
        lacks or there,
        "apt install slirp4netns (or passt) and nftables: else containers reach no internet",
    )


def root_check(folder: Path) -> Check:
    """Whether images and containers can be kept where they are to be."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    remedy = "Choose another folder with --root DIR or MINIDOCKER_ROOT"
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return False, ROOT, f"{folder} cannot be written", remedy
    free = shutil.disk_usage(nearest).free
    return True, ROOT, f"{folder} is writable, {free / 1e9:.0f} GB free", ""


def dot_check() -> Check:
    """Whether graphs can be drawn."""
    from minidocker.notebook.pictures.dot import find_dot

    try:
        return True, "dot", find_dot(), ""
    except DockerException as error:
        return False, "dot", "no Graphviz", f"{error} (into {sys.prefix})"
