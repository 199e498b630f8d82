"""What a lesson stands on: an engine of its own in a temporary root, times that repeat, and a prediction to check."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import DockerException
from minidocker.notebook.svg import Figure, Markup, group, rect, text

if TYPE_CHECKING:
    from minidocker.engine import Engine

EPOCH = "1735689600"  # 2025-01-01: every time that goes into a digest, so that a learner's digests are the notebook's
WIDTH = 620
_open: dict[str, tuple[Engine, Path]] = {}


def open_lesson(name: str) -> tuple[Engine, Path]:
    """Make a fresh engine and an empty folder for the lesson `name`, and close those it had before."""
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
    import minidocker

    for home in Path(tempfile.gettempdir()).glob("minidocker-*-*-*"):
        pid = home.name.split("-")[-2]
        with contextlib.suppress(DockerException, OSError):
            mine = home.lstat().st_uid == os.getuid() and not home.is_symlink() if hasattr(os, "getuid") else False
            if mine and pid.isdigit() and not _runs(int(pid)):
                _clear(minidocker.connect(root=home / "engine"), home)


def _clear(engine: Engine, home: Path) -> None:
    with contextlib.suppress(DockerException, OSError):
        for container in engine.containers.list(all=True):
            container.remove(force=True)
        engine.close()
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


def compare(guesses: dict[str, Any], measured: dict[str, Any]) -> Figure:
    """Predictions beside what was measured, one line for each thing that was measured.

    >>> print(compare({"layers": 5}, {"layers": 3, "kernels": 1}))
    what you said, and what it is
      layers   you said 5; it is 3
      kernels  you said nothing; it is 1
    """
    title, wide = "what you said, and what it is", max(map(len, measured))
    drawn = [text(0, 16, title, "md-h"), text(400, 16, "you said", "md-dim"), text(500, 16, "it is", "md-dim")]
    lines = [title]
    for index, (name, truth) in enumerate(measured.items()):
        guess = guesses.get(name, "nothing")
        drawn.append(group(_guess(name, str(guess), str(truth)), 0, 26.0 + index * 32))
        lines.append(f"  {name:<{wide}}  you said {guess}; it is {truth}{', as you said' if guess == truth else ''}")
    return Figure(title, ". ".join(lines), "".join(drawn), WIDTH, 30.0 + 32 * len(measured), "\n".join(lines))


def _guess(name: str, guess: str, truth: str) -> list[Markup]:
    right = guess == truth
    return [
        rect(0, 0, WIDTH, 28, "md-a" if right else "md-box"),
        text(12, 18, name),
        text(400, 18, guess, "md-c", "" if right else "md-gone", width=95),
        text(500, 18, truth, "md-c", font_weight="bold", width=80),
        text(WIDTH - 16, 19, "✓" if right else "≠", text_anchor="middle", font_weight="bold"),
    ]
