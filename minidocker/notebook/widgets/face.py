"""What all widgets here have in common: a still face, for where there is no kernel to move them.

A notebook keeps several forms of one output, and every reader picks the best that it can show: JupyterLab the living
widget, an HTML export and a notebook just opened the drawing, a terminal or GitHub the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as W

from minidocker.notebook.pictures.svg import Figure

HINT = '<p style="font-size:.8em;opacity:.8;margin:.3em 0">A still picture: run this cell, and it moves.</p>'
ARROW = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'><path d='M5 7.5l4 4 4-4z' fill='%23888'/></svg>"
STYLE = f"""<style>.md-faced{{--jp-widgets-dropdown-arrow:url("data:image/svg+xml,{ARROW}")}}
.md-code textarea{{font-family:var(--jp-code-font-family,monospace);font-size:12px}}</style>"""


class Faced(W.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A box of controls and pictures that also has a still face.

    Whoever derives from it puts its controls into `children` and says in `face()` what a reader without a kernel sees:
    something true, and the same each time.
    """

    def __init__(self, children: Iterable[Any]) -> None:
        style = W.HTML(STYLE, layout={"display": "none"})  # the arrow of ipywidgets' own is nearly black in both themes
        super().__init__([*children, style])
        self.add_class("md-faced")

    def face(self) -> Figure:
        """The still picture."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        still = self.face()._repr_mimebundle_()
        still["text/html"] = still.get("text/html", "") + HINT
        return {**super()._repr_mimebundle_(), **still}

    def __str__(self) -> str:
        return self.face().twin


class Picture(W.HTML):  # type: ignore[misc]
    """A place for a figure inside a widget. Assign `figure`, and the browser shows it."""

    def __init__(self, figure: Figure | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        self._figure = figure
        if figure is not None:
            self.figure = figure

    @property
    def figure(self) -> Figure | None:
        """What is shown."""
        return self._figure

    @figure.setter
    def figure(self, figure: Figure) -> None:
        self._figure = figure
        self.value = figure.html()


def on_change(control: Any, react: Callable[[Any], None], trait: str = "value") -> None:
    """Call `react` with the new value whenever somebody moves a control."""
    control.observe(lambda change: react(change["new"]), trait)
