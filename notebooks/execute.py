"""Run lessons from top to bottom and store what they show: `make outputs`, or `notebooks/execute.py LESSON…`.

What is stored is the same on every machine, and on both runtimes: no times, no names of this computer, and of a widget
its still face alone (the living one needs a kernel, and is numbered at random).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
LIVE = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def execute(path: Path) -> float:
    """Run one notebook and write it back, if no cell failed; the seconds it took."""
    formats: Any = nbformat  # it has no types
    notebook = formats.read(path, as_version=4)
    began = time.monotonic()
    options: Any = {"record_timing": False, "store_widget_state": False, "coalesce_streams": True, "timeout": 120}
    NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}, **options).execute()
    seconds = time.monotonic() - began
    notebook.metadata = formats.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(LIVE, None)
            if "metadata" in output:
                output["metadata"].clear()
    formats.validate(notebook)
    temporary = path.with_suffix(".new")
    formats.write(notebook, temporary)
    temporary.replace(path)
    return seconds


def main(names: list[str]) -> None:
    """Execute the lessons named, or all of them."""
    for path in map(Path, names) if names else sorted(HERE.glob("*.ipynb")):
        seconds = execute(path.resolve())
        print(f"{path.name}: {seconds:.1f} s, {path.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
