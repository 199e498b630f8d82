"""A prediction and the truth, in one picture."""

from __future__ import annotations

from minidocker.notebook.pictures.guess import compare, questions


def test_a_prediction_beside_the_truth() -> None:
    twin = compare({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}).twin
    assert "a  you said 1; it is 1, as you said" in twin
    assert "b  you said 2; it is 3" in twin and "c  you said nothing; it is 4" in twin


def test_numbers_are_drawn_on_one_scale() -> None:
    def bars(guess: object, truth: object) -> int:
        return compare({"a": guess}, {"a": truth}).svg().count("<rect")

    assert bars(3, 5) == bars("three", 5) + 2
    assert bars(True, 1) == bars("yes", 1)


def test_questions_alone_tell_what_is_said() -> None:
    assert questions({"layers": 5}).twin == "before you look, you say\n  layers  5"
