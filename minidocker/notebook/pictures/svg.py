"""Figures: small SVG drawings that follow the notebook's theme, each with its twin in plain text.

A `Figure` is a value: a title, a description for those who cannot see it, a drawing, and the same facts as text.
JupyterLab shows the drawing (as HTML, since only inline SVG sees the theme's colours), a terminal or a log the text.

    >>> figure = Figure("a box", "one box", el("rect", width=10, height=5), 10, 5, "[]")
    >>> print(figure)
    []
    >>> el("text", "a < b", class_="md-c", x=1.50)
    "<text class='md-c' x='1.5'>a &lt; b</text>"
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from minidocker.drawn import printable as printable  # a figure's text too

MONO = 0.602  # width of one character of a code font, in ems; so that text in it can be measured without a browser
SANS = 0.53  # the same for a proportional font, on average

INK, PALE, EDGE = (
    "var(--jp-ui-font-color1,CanvasText)",
    "var(--jp-ui-font-color2,GrayText)",
    "var(--jp-border-color0,#888)",
)
RULES = {  # class -> how it looks; a figure brings only those that it uses
    "c": "font-family:var(--jp-code-font-family,'DejaVu Sans Mono',monospace);font-size:11px",
    "h": "font-weight:600;font-size:13px",
    "s": "font-size:10.5px",
    "b": "font-weight:600",
    "dim": "fill-opacity:.7",  # of text: on every colour of a box it has the contrast of WCAG's AA
    "box": f"fill:var(--jp-layout-color1,Canvas);stroke:{EDGE}",
    "slab": f"fill:var(--jp-layout-color2,#8882);stroke:{EDGE}",
    "thin": f"fill:none;stroke:{EDGE}",
    "ink": f"fill:none;stroke:{PALE};stroke-width:1.3",
    "tip": f"fill:{PALE}",
    "a": "fill:#009e7338;stroke:#009e73",
    "m": "fill:#4a90d938;stroke:#4a90d9",
    "d": "stroke:#d55e00;stroke-dasharray:4 2",
    "go": f"stroke:{INK};stroke-width:2",
    "on": "fill:#e69f0040;stroke:#e69f00;stroke-width:2",
    "dash": "stroke-dasharray:5 3",
    "gone": "text-decoration:line-through",
}
TEXT = (  # the font is the whole figure's, so that a text may say that it is bold
    f".md-fig{{font:12px var(--jp-ui-font-family,Arial,sans-serif)}}.md-fig text{{fill:{INK}}}"
)
SWITCH = ".md-live{display:block!important}.md-twin{display:none}"

Spot = tuple[float, float]


class Markup(str):
    """Text that is SVG already; whatever is not, `el` escapes."""

    __slots__ = ()


def el(tag: str, *children: str, **attributes: Any) -> Markup:
    """Make one element. `class_` stands for `class`, `stroke_width` for `stroke-width`; None leaves one out.

    Single quotes, since a notebook is JSON, where each double one costs a backslash.
    """
    named = "".join(
        f" {name.rstrip('_').replace('_', '-')}='{escape(_value(value))}'"
        for name, value in attributes.items()
        if value is not None
    )
    inner = "".join(child if isinstance(child, Markup) else escape(printable(child), quote=False) for child in children)
    return Markup(f"<{tag}{named}>{inner}</{tag}>" if inner else f"<{tag}{named}/>")


def group(parts: Iterable[str], x: float = 0, y: float = 0, **attributes: Any) -> Markup:
    """Elements that move together."""
    move = f"translate({_value(x)} {_value(y)})" if x or y else None
    return el("g", *parts, transform=move, **attributes)


def text(x: float, y: float, words: str, *classes: str, width: float = 0, **attributes: Any) -> Markup:
    """A line of text; with `width` it is cut to fit, and the whole of it shows under the mouse."""
    size = 11 * MONO if "md-c" in classes else 12 * SANS
    shown = clip(words, int(width / size)) if width else words
    tip = [el("title", words)] if shown != words else []
    look = " ".join(filter(None, classes)) or None
    return el("text", *tip, shown, class_=look, x=x, y=y, **attributes) if words else Markup()


def rect(x: float, y: float, width: float, height: float, *classes: str, rx: float = 4, **attributes: Any) -> Markup:
    """A box with round corners."""
    look = " ".join(classes)
    return el("rect", class_=look, x=x or None, y=y or None, width=width, height=height, rx=rx or None, **attributes)


def arrow(x1: float, y1: float, x2: float, y2: float, *classes: str) -> Markup:
    """A line with a tip: it bends softly from left to right, and runs straight where it goes up, down or back."""
    start, end = (x1, y1), (x2, y2)
    return Markup(lines([start], end, *classes) + tip(start, end))


def lines(starts: Iterable[Spot], end: Spot, *classes: str) -> Markup:
    """The lines of arrows to one end, as one path: where they run into each other, they are not darker."""
    return el("path", d="".join(_line(start, end) for start in starts), class_=" ".join(["md-ink", *classes]))


def _line(start: Spot, end: Spot) -> str:
    (x1, y1), (x2, y2), (cos, sin) = start, end, _way(start, end)
    middle = (x1 + x2) / 2
    curve = f"C{_value(middle)} {_value(y1)} {_value(middle)} {_value(y2)} " if x2 > x1 and y1 != y2 else "L"
    return f"M{_value(x1)} {_value(y1)}{curve}{_value(x2 - 5 * cos)} {_value(y2 - 5 * sin)}"


def tip(start: Spot, end: Spot) -> Markup:
    """The tip of an arrow."""
    (x, y), (cos, sin) = end, _way(start, end)
    corners = [(x, y), *((x - 7 * cos - side * sin, y - 7 * sin + side * cos) for side in (4, -4))]
    points = " ".join(f"{_value(float(x))},{_value(float(y))}" for x, y in corners)
    return el("polygon", points=points, class_="md-tip")


def _way(start: Spot, end: Spot) -> Spot:
    """In what direction an arrow arrives, as cosine and sine: horizontally, where it comes from the left."""
    (x1, y1), (x2, y2) = start, end
    away = 0.0 if x2 > x1 else math.atan2(y2 - y1, x2 - x1)
    return math.cos(away), math.sin(away)


def clip(words: str, length: int) -> str:
    """Cut text to `length` characters. `clip("COPY app.py .", 8)` -> `COPY ap…`."""
    words = printable(words)
    return words if len(words) <= length else words[: max(length - 1, 0)] + "…"


def middle(words: str, length: int) -> str:
    """Cut text in the middle, so that a path's end shows: `middle("/usr/share/doc/x.txt", 12)` -> `/usr…c/x.txt`."""
    words, head = printable(words), length // 3
    return words if len(words) <= length else f"{words[:head]}…{words[len(words) - length + head + 1 :]}"


def bytes_text(size: int) -> str:
    """A size as Docker writes it: powers of 1000. `bytes_text(1234)` -> `1.23kB`.

    >>> bytes_text(0), bytes_text(999), bytes_text(1234), bytes_text(999_999)
    ('0B', '999B', '1.23kB', '1MB')
    """
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:  # what would round to 1000 is one of the next unit
        value, units = value / 1000, units[1:]
    return f"{value:.3g}{units[0]}"


def _value(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def style(svg: str) -> str:
    """The rules for the classes that a drawing uses."""
    used = set(re.findall(r"\bmd-([a-z]+)", svg))
    return TEXT + "".join(f".md-fig .md-{name}{{{rule}}}" for name, rule in RULES.items() if name in used)


@dataclass(frozen=True)
class Figure:
    """A picture and its text twin. In a notebook it draws itself; `print(figure)` gives the twin.

    `body` is SVG in a box of `width` by `height`; what it calls `HATCH` becomes this figure's own hatching, whose
    id depends on the drawing alone, so that equal figures are equal bytes and different ones never share an id.
    """

    title: str
    description: str
    body: str
    width: float
    height: float
    twin: str

    def __post_init__(self) -> None:
        shown = "\n".join(map(printable, self.twin.split("\n")))  # a stranger's file name must not drive a terminal
        object.__setattr__(self, "twin", shown)

    def __str__(self) -> str:
        return self.twin

    def __repr__(self) -> str:
        return self.twin

    def svg(self) -> str:
        """The drawing as one `<svg>` element, with a title and a description for screen readers."""
        name = "md" + hashlib.sha256(self.body.encode()).hexdigest()[:8]
        hatch = Markup(
            f'<defs><pattern id="{name}h" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)">'
            '<path d="M0 0V6" stroke="#d55e00" stroke-width="2" stroke-opacity=".55"/></pattern></defs>'
        )
        return el(
            "svg",
            el("title", self.title),
            el("desc", self.description),
            hatch if "HATCH" in self.body else "",
            Markup(self.body.replace("HATCH", f"url(#{name}h)")),
            xmlns="http://www.w3.org/2000/svg",
            class_="md-fig",
            role="img",
            viewBox=f"-2 0 {_value(self.width + 4.0)} {_value(float(self.height))}",
            style=f"width:100%;max-width:{_value(float(self.width))}px;height:auto",
        )

    def html(self) -> str:
        """The drawing with its style. Where style and SVG are filtered out (a notebook not trusted), the twin shows."""
        twin = f'<pre class="md-twin">{escape(self.twin, quote=False)}</pre>'
        svg = self.svg()
        return f'<style>{style(svg)}{SWITCH}</style>{twin}<div class="md-live" style="display:none">{svg}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.twin, "text/html": self.html()}


def stacked(title: str, figures: Iterable[Figure]) -> Figure:
    """Several figures as one, below each other."""
    figures, y, parts = list(figures), 0.0, []
    for figure in figures:
        parts.append(group([Markup(figure.body)], 0, y))
        y += figure.height + 12
    return Figure(
        title,
        " ".join(figure.description for figure in figures),
        "".join(parts),
        max(figure.width for figure in figures),
        y,
        "\n\n".join(figure.twin for figure in figures),
    )
