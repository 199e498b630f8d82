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
from minidocker.notebook.svg import Figure, Markup, el, group, rect, text

if TYPE_CHECKING:
    from minidocker.engine import Engine

EPOCH = "1735689600"  # 2025-01-01: every time that goes into a digest, so that a learner's digests are the notebook's
_open: dict[str, tuple[Engine, Path]] = {}


def open_lesson(name: str) -> tuple[Engine, Path]:
    """Make a fresh engine and an empty folder for the lesson `name`, and close those it had before."""
    import minidocker

    close_lesson(name)
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    home = Path(tempfile.mkdtemp(prefix=f"minidocker-{name}-"))
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
    with contextlib.suppress(DockerException, OSError):
        for container in engine.containers.list(all=True):
            container.remove(force=True)
        engine.close()
    shutil.rmtree(home, ignore_errors=True)


def _close_all() -> None:
    for name in list(_open):
        close_lesson(name)


def compare(guesses: dict[str, Any], measured: dict[str, Any]) -> Figure:
    """Predictions beside what was measured, one line for each thing that was measured.

    >>> print(compare({"layers": 5}, {"layers": 3, "kernels": 1}))
    what you said, what it is
      layers    you: 5    measured: 3    another than you thought
      kernels   you: —    measured: 1    no guess
    """
    title, wide = "what you said, what it is", 560
    drawn = [text(0, 16, title, "md-h"), text(250, 16, "you", "md-dim"), text(360, 16, "measured", "md-dim")]
    lines = [title]
    for index, (name, truth) in enumerate(measured.items()):
        guess = guesses.get(name, "—")
        verdict = "no guess" if name not in guesses else "as you said" if guess == truth else "another than you thought"
        drawn.append(group(_guess(name, str(guess), str(truth), verdict, wide), 0, 26.0 + index * 30))
        lines.append(f"  {name:<9} you: {guess!s:<4} measured: {truth!s:<4} {verdict}")
    return Figure(title, " ".join(lines), "".join(drawn), wide, 30.0 + 30 * len(measured), "\n".join(lines))


def _guess(name: str, guess: str, truth: str, verdict: str, wide: float) -> list[Markup]:
    right = verdict == "as you said"
    sign = {"no guess": "·", "as you said": "✓"}.get(verdict, "≠")
    return [
        rect(0, 0, wide, 26, "md-a" if right else "md-box"),
        text(10, 17, name),
        text(250, 17, guess, "md-c"),
        text(360, 17, truth, "md-c", font_weight="bold"),
        el("g", el("title", verdict), text(wide - 18, 18, sign, text_anchor="middle", font_weight="bold")),
    ]
