"""What a lesson stands on: an engine of its own in a temporary root, and times that repeat."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from minidocker.errors import DockerException

if TYPE_CHECKING:
    from minidocker.engine import Engine

EPOCH = "1735689600"  # 2025-01-01: every time that goes into a digest, so that a learner's digests are the notebook's
T = TypeVar("T")
_open: dict[str, tuple[Engine, Path]] = {}


def lesson(name: str) -> tuple[Engine, Path]:
    """A clean engine and an empty folder for the lesson `name`; those that it had before are closed.

    Both vanish with the kernel.
    """
    import minidocker

    close_lesson(name)
    sweep()
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    home = Path(tempfile.mkdtemp(prefix=f"minidocker-{name}-{os.getpid()}-"))
    folder = home / "folder"
    folder.mkdir()
    engine = minidocker.connect(root=home / "engine")
    if not _open:
        atexit.register(_close_all)
    _open[name] = (engine, home)
    return engine, folder


def close_lesson(name: str) -> None:
    """Remove a lesson's containers, engine and folder; nothing happens where it is not open."""
    if name not in _open:
        return
    engine, home = _open.pop(name)
    _clear(engine, home)


def sweep() -> None:
    """Clear away what lessons left whose notebook was killed: this user's folders that name a process that is gone."""
    for home in Path(tempfile.gettempdir()).glob("minidocker-*-*-*"):
        pid = home.name.split("-")[-2]
        with contextlib.suppress(DockerException, OSError):
            mine = home.lstat().st_uid == os.getuid() and not home.is_symlink() if hasattr(os, "getuid") else False
            if mine and pid.isdigit() and not _runs(int(pid)):
                clear(home)


def clear(home: Path) -> None:
    """Remove a folder with an engine in it, and its containers, whoever left them."""
    import minidocker
    from minidocker.runtime import probe

    runtime = "namespaces" if probe.report(home).works else "simulated"  # the real one can end both kinds
    _clear(minidocker.connect(home / "engine", runtime), home)


def on_linux(engine: Engine, measure: Callable[[], T], recorded: T, needs: str = "") -> T:
    """What only Linux's own containers can show: measured where they are to be had, else what was recorded there.

    `needs` is a limit that has to be one here (`PidsLimit`: see `Runtime.supports`). The notebook is checked on both
    runtimes against one stored output, so the record cannot be wrong for long.
    """
    real = engine.runtime.name == "namespaces" and (not needs or needs in engine.runtime.supports())
    return measure() if real else recorded


def _clear(engine: Engine, home: Path) -> None:
    for name in ("hub", "desk"):
        if open_ones := sys.modules.get(f"minidocker.notebook.{name}"):  # else no registry or daemon can be open
            open_ones.close_below(home)
    with contextlib.suppress(DockerException, OSError):
        for container in engine.containers.list(all=True):
            container.remove(force=True)
        engine.close()
    if programs := sys.modules.get("minidocker.notebook.programs"):
        programs.close_all()
    shutil.rmtree(home, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _close_all() -> None:
    for name in list(_open):
        close_lesson(name)
