"""Notebooks as learners hand them in: the solutions of exercise 01, with what somebody did to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "exercises"
NAME = "01-layers"


def solution(name: str = NAME) -> list[str]:
    """The code cells of a solved exercise, in order."""
    cells = json.loads((FOLDER / name / "source.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def cell_of(name: str) -> str:
    """The solved cell that defines a function."""
    return next(cell for cell in solution() if cell.startswith(f"def {name}("))


def notebook(*cells: str) -> bytes:
    """Cells as a notebook file."""
    made = [{"cell_type": "code", "metadata": {}, "source": cell, "outputs": []} for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()


def write(folder: Path, made: dict[str, Any]) -> None:
    """A folder of submissions: a list of cells each, or bytes as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, cells in made.items():
        (folder / f"{name}.ipynb").write_bytes(cells if isinstance(cells, bytes) else notebook(*cells))
