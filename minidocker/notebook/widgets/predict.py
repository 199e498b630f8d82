"""`predict(…)`, then `reveal(…)`: what somebody expects, said before it is measured.

    guess = predict({"layers that RUN adds": 0, "what grows": ("nothing", "the image", "the container")})
    guess                       fields to change; a pair or more of texts is a choice
    guess.reveal({"layers that RUN adds": 1, "what grows": "the image"})

>>> print(predict({"layers": 3}).reveal({"layers": 2}))
what you said, and what it is
  layers  you said 3; it is 2
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as W

from minidocker.errors import InvalidArgument
from minidocker.notebook.pictures.guess import compare, questions
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.widgets.face import Faced

WIDE = {"description_width": "360px"}
LAYOUT = {"width": "min(100%, 620px)"}


class Prediction(Faced):
    """Fields, one for each question. Reading `guess["layers"]` gives what stands there now."""

    def __init__(self, questions: Mapping[str, Any]) -> None:
        if not questions:
            raise InvalidArgument('predict() wants a question at least: predict({"how many layers": 3})')
        self.fields = {name: field(name, value) for name, value in questions.items()}
        super().__init__(list(self.fields.values()))

    def __getitem__(self, name: str) -> Any:
        return self.fields[name].value

    @property
    def answers(self) -> dict[str, Any]:
        """What is predicted now: question -> value."""
        return {name: control.value for name, control in self.fields.items()}

    def face(self) -> Figure:
        """The questions with what stands in the fields."""
        return questions(self.answers)

    def reveal(self, measured: Mapping[str, Any]) -> Figure:
        """What was predicted beside what was measured; from now on nothing can be changed any more.

        Raises InvalidArgument for something that was never asked.
        """
        if unknown := measured.keys() - self.fields.keys():
            raise InvalidArgument(f"nobody asked for {min(unknown)!r}; the questions are: {', '.join(self.fields)}")
        for name in measured:
            self.fields[name].disabled = True
        return compare(self.answers, measured)


def predict(questions: Mapping[str, Any] | None = None, **more: Any) -> Prediction:
    """Ask before looking. A number is a field for numbers, True or False is yes or no, several texts are a choice.

    The value that is given is what stands there first: of a choice, the first one. Raises InvalidArgument.
    """
    return Prediction({**(questions or {}), **more})


def field(name: str, value: Any) -> Any:
    """The control for one question."""
    look = {"description": name, "style": WIDE, "layout": LAYOUT}
    if isinstance(value, bool):
        return W.Dropdown(options=[("no", False), ("yes", True)], value=value, **look)
    if isinstance(value, int):
        return W.IntText(value=value, **look)
    if isinstance(value, float):
        return W.FloatText(value=value, **look)
    if isinstance(value, str):
        return W.Text(value=value, **look)
    if isinstance(value, tuple | list) and value and all(isinstance(one, str) for one in value):
        return W.Dropdown(options=list(value), value=value[0], **look)
    raise InvalidArgument(f"{name!r}: predict() asks for a number, a text, yes or no, or one of several texts")
