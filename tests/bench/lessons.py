"""(f) The course: how long a lesson takes to start, to run from top to bottom, and to follow a hand on its controls.

A lesson is run twice: in a kernel of its own, as its reader does, and here, where each control of its widgets is then
moved a few times. What the browser adds to a move, the tests in `tests/browser` note.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from minidocker.grading.release import read, source
from minidocker.notebook import lessons
from tests.bench.measure import Report, command, seconds
from tests.bench.rivals import Rivals

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
START = "from minidocker.notebook import lesson, predict; lesson('bench')"


def measure(report: Report, _: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    from notebooks.execute import execute

    start, nothing = (command(sys.executable, "-c", code) for code in (START, "pass"))
    contenders = {"a lesson": start, "Python that does nothing": nothing}
    report.side_by_side("as a process: to start", contenders, 3 if quick else 7)
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        copy = Path(shutil.copy(path, work))
        try:
            report.sections.append((f"{path.stem}, top to bottom", {"in a kernel": [execute(copy)]}))
            for widget, times in controls(path).items():
                report.sections.append((f"{path.stem}, moves of controls", {widget: times}))
        except Exception as error:
            report.notes.append(f"{path.stem} broken off: {type(error).__name__}")


def controls(path: Path) -> dict[str, list[float]]:
    """Run a lesson here, and move each control of each of its widgets: widget -> seconds."""
    from IPython.core.interactiveshell import InteractiveShell
    from ipywidgets.widgets.widget import _instances

    from minidocker.notebook.widgets.face import Faced

    shell: Any = InteractiveShell.instance()
    known = set(_instances)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(path.parent):
        for cell in read(path)["cells"]:
            if cell["cell_type"] == "code":
                shell.run_cell(source(cell)).raise_error()
        made = [widget for name, widget in _instances.items() if name not in known and isinstance(widget, Faced)]
        times = {type(widget).__name__: [*moved(widget)] for widget in made}
    shell.reset()
    lessons.close_lesson(path.stem[:2])
    return {name: values for name, values in times.items() if values}


def moved(widget: Any) -> list[float]:
    """Move every control below a widget as a hand could, three times; the seconds that each move took."""
    import ipywidgets as W

    if children := getattr(widget, "children", ()):
        return [time for child in children for time in moved(child)]
    if getattr(widget, "disabled", False):
        return []
    if isinstance(widget, W.Button):
        return [seconds(widget.click) for _ in range(3) if not widget.disabled]
    times = []
    for _ in range(3):
        value = other(widget)
        if value is not None:
            times.append(seconds(partial(setattr, widget, "value", value)))
    return times


def other(control: Any) -> Any:
    """A value that a control does not have now; None for what is no control."""
    import ipywidgets as W

    if hasattr(control, "value") and hasattr(control, "max"):
        return control.value + 1 if control.value < control.max else control.min
    if isinstance(control, W.Checkbox | W.ToggleButton):
        return not control.value
    if isinstance(control, W.IntText):
        return control.value + 1
    if isinstance(control, W.Text | W.Textarea):
        return control.value + " "
    values = [value for _, value in getattr(control, "_options_full", ())]
    return values[(values.index(control.value) + 1) % len(values)] if values else None
