"""`predict`, then `reveal`: fields that can be changed until the truth is told."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ipywidgets")

from minidocker.errors import InvalidArgument
from minidocker.notebook.widgets.predict import predict


def test_what_stands_in_the_fields_counts_not_what_stood_there_first() -> None:
    guess = predict({"layers": 3, "what grows": ("nothing", "the image")})
    guess.fields["layers"].value = 2
    guess.fields["what grows"].value = "the image"
    assert guess.answers == {"layers": 2, "what grows": "the image"} and guess["layers"] == 2
    assert "layers      2" in guess.face().twin
    assert "you said the image; it is the image, as you said" in guess.reveal({"what grows": "the image"}).twin


@pytest.mark.parametrize(
    ("value", "control"),
    [(3, "IntText"), (0.5, "FloatText"), (True, "Dropdown"), ("free text", "Text"), (("a", "b"), "Dropdown")],
)
def test_each_kind_of_value_has_its_field(value: Any, control: str) -> None:
    assert type(predict({"q": value}).fields["q"]).__name__ == control


def test_after_the_truth_is_told_nothing_can_be_changed() -> None:
    guess = predict(layers=3, size=1)
    guess.reveal({"layers": 1})
    assert [field.disabled for field in guess.fields.values()] == [True, False]


def test_what_nobody_asked_for_is_not_revealed() -> None:
    with pytest.raises(InvalidArgument, match="nobody asked for 'size'; the questions are: layers"):
        predict(layers=3).reveal({"size": 1})


@pytest.mark.parametrize("questions", [{}, {"q": None}, {"q": ()}, {"q": (1, 2)}])
def test_what_cannot_be_asked_is_refused(questions: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="predict"):
        predict(questions)


def test_there_is_something_to_see_with_and_without_a_kernel() -> None:
    bundle = predict(layers=3)._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} == set(bundle)
    assert bundle["text/plain"] == "before you look, you say\n  layers  3"
    assert "<svg" in bundle["text/html"] and "run this cell" in bundle["text/html"]
