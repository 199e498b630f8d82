"""(g) The layer-stack explorer over 100,000 files in three layers: what the kernel does for each move in the browser.

Wanted: made in some milliseconds, every answer within 100 ms. The first page is shown apart: it reads the layers.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from minidocker.layer import WHITEOUT, Changeset, directory, file
from minidocker.notebook.widgets.explorer import Explorer, explorer
from minidocker.notebook.widgets.inventory import PAGE, SEEN
from tests.bench.measure import Action, Report
from tests.bench.rivals import Rivals

FILES, JUMP = 100_000, 77_777


def measure(report: Report, _: Rivals, __: Path, quick: bool) -> None:
    """Fill in the report."""
    layers, rounds = stack(), 3 if quick else 9
    report.side_by_side("made", {"nothing is read": lambda: explorer(layers)}, rounds)
    made = explorer(layers)
    report.side_by_side("the first page", {"all layers are read": page(made, 0)}, 1)
    rows = itertools.cycle([JUMP, 5, 50_000, 31_415])
    words = itertools.cycle(["f077", "d012", "", "7"])
    places = itertools.cycle(["layer 1", "layer 2", "layer 3", SEEN])
    for place in list(made.inventory.places):  # each layer is listed once before: the first time is what is said above
        made.place.value = place
    moves: dict[str, Action] = {
        "a jump to a far row": lambda: page(made, next(rows) // PAGE)(),
        "a row is selected": lambda: setattr(made.list, "selected", next(rows)),
        "the filter changes": lambda: setattr(made.search, "value", next(words)),
        "another layer": lambda: setattr(made.place, "value", next(places)),
    }
    for name, move in moves.items():
        report.side_by_side(name, {"the kernel's answer": move}, rounds)


def page(made: Explorer, number: int) -> Action:
    """Ask for a page, as the browser does."""
    return lambda: made.list.answer({"ask": number, "version": made.list.version})


def stack() -> list[Changeset]:
    """A hundred thousand files; a third of them changed, a tenth deleted."""
    names = [f"/usr/share/d{number % 400:03}/f{number:06}" for number in range(FILES)]
    folders = {f"/usr/share/d{number:03}": directory() for number in range(400)}
    first = Changeset({**folders, **{name: file(b"old") for name in names}})
    changed = {name: file(b"newer") for name in names[::3]}
    return [first, Changeset(changed), Changeset(dict.fromkeys(names[::10], WHITEOUT))]
