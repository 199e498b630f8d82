"""`stepper(build)`: a build walked through line by line, forwards and backwards.

    _, build = engine.images.build(path=folder, tag="app")
    stepper(build)

The slider and the buttons choose one of the pictures of `trace(build)`; a step that was seen is not drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as W

from minidocker.errors import InvalidArgument
from minidocker.notebook.pictures.ledger import ledger
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.pictures.trace import trace
from minidocker.notebook.widgets.face import Faced, Picture, on_change
from minidocker.notebook.widgets.slider import Slider

if TYPE_CHECKING:
    from minidocker.build import Build

WIDE = {"width": "min(100%, 420px)"}
NARROW = {"width": "auto"}


class Stepper(Faced):
    """One step of a build at a time. `at` is the number of the step that is shown, 1 first."""

    def __init__(self, build: Build) -> None:
        self.trace = trace(build)
        last = len(self.trace)
        if not last:
            raise InvalidArgument(
                "this build has no steps to walk through: stepper() wants a Build that was built here"
            )
        self.slider = Slider(min=1, max=last, value=1, description="step", layout=WIDE)
        self.first = self._button("|◀ first", "to the first step", lambda: 1)
        self.back = self._button("◀ back", "one step back", lambda: self.at - 1)
        self.on = self._button("on ▶", "one step on", lambda: self.at + 1)
        self.last = self._button("last ▶|", "to the last step", lambda: last)
        self.picture = Picture()
        on_change(self.slider, self._show)
        self._show(1)
        buttons = W.HBox([self.first, self.back, self.on, self.last])
        super().__init__([W.HBox([self.slider, buttons], layout={"flex_flow": "row wrap"}), self.picture])

    @property
    def at(self) -> int:
        """The number of the step that is shown."""
        number: int = self.slider.value
        return number

    def face(self) -> Figure:
        """All steps at once: what became a layer, and what is metadata alone."""
        return ledger(self.trace.build)

    def _button(self, words: str, tip: str, where: Callable[[], int]) -> W.Button:
        button = W.Button(description=words, tooltip=tip, layout=NARROW)

        def go(_: object) -> None:
            self.slider.value = where()

        button.on_click(go)
        return button

    def _show(self, number: int) -> None:
        self.picture.figure = self.trace[number - 1]
        self.first.disabled = self.back.disabled = number == 1
        self.on.disabled = self.last.disabled = number == len(self.trace)


def stepper(build: Build) -> Stepper:
    """Walk through a build, forwards and backwards. Raises InvalidArgument where there are no steps."""
    return Stepper(build)
