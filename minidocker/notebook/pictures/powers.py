"""What the power of root is made of, and how much of it somebody has: a grid of capabilities, those held lit.

>>> print(powers(["CAP_CHOWN", "CAP_KILL"]).twin.splitlines()[0])
root in a container: 2 of root's 41 powers
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from minidocker.notebook.pictures.svg import Figure, Markup, rect, text
from minidocker.runtime.capabilities import ALL

WIDTH, COLUMNS, CHIP, TOP = 800, 5, 24, 48


def powers(held: Collection[str], who: str = "root in a container") -> Figure:
    """Draw all capabilities; those that are held with a tick."""
    names = [name.removeprefix("CAP_") for name in ALL]
    own = [name for name in names if f"CAP_{name}" in held]
    rest = [name for name in names if name not in own]
    title = f"{who}: {len(own)} of root's {len(ALL)} powers"
    said = "✓ is what it has, and only over what is the container's own; the rest nobody inside has"
    drawn = [text(0, 16, title, "md-h"), text(0, 34, said, "md-dim", "md-s", width=WIDTH), *_chips(names, {*own})]
    height = TOP + CHIP * -(-len(names) // COLUMNS)
    twin = "\n".join([title, f"  has   {' '.join(own)}", f"  lacks {' '.join(rest)}"])
    return Figure(title, f"It has {', '.join(own)}. It lacks {', '.join(rest)}.", "".join(drawn), WIDTH, height, twin)


def _chips(names: list[str], own: set[str]) -> Iterator[Markup]:
    rows, wide = -(-len(names) // COLUMNS), WIDTH / COLUMNS
    for index, name in enumerate(names):
        x, y = index // rows * wide, TOP + index % rows * CHIP
        if name in own:
            yield rect(x, y, wide - 6, CHIP - 4, "md-a")
        yield text(x + 8, y + 14, f"✓ {name}" if name in own else name, "md-c", "" if name in own else "md-dim")
