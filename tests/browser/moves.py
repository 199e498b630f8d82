"""What a hand does to each widget in its lesson, and what the picture must then show."""

from __future__ import annotations

from tests.browser.lab import Lesson


def predict(lesson: Lesson) -> None:
    """A number is typed into a field; `reveal` shows it beside what was measured, and closes the field."""
    question = "layers that 6 lines of Dockerfile add"
    field = lesson.run("guess = predict(").get_by_label(question)
    lesson.type(field, "4321")
    revealed = lesson.say(f"guess.reveal({{{question!r}: 3}})")
    assert "4321" in revealed.locator(".md-fig").inner_html()
    assert field.is_disabled()


MOVES = {"00-start-here": [predict]}  # lesson -> what is done in it, in turn
