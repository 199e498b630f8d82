"""What a hand does to each widget in its lesson, and what the picture must then show.

Each function is called as the widget that it moves; `lesson.timed` moves one control and waits for the picture.
"""

from __future__ import annotations

from tests.browser.desk import Lesson


def predict(lesson: Lesson) -> None:
    """A number is typed into a field; `reveal` shows it beside what was measured, and closes the field."""
    question = "layers that 6 lines of Dockerfile add"
    field = lesson.run("guess = predict(").get_by_label(question)
    lesson.type(field, "4321")
    revealed = lesson.say(f"guess.reveal({{{question!r}: 3}})")
    assert "4321" in lesson.seen(revealed)
    assert field.is_disabled()


def hashlab(lesson: Lesson) -> None:
    """A comment changes no digest, a variable five stations; a button puts all back."""
    lab = lesson.output("hashlab()")
    comment, variable = lab.get_by_label("# comment"), lab.get_by_label("ENV GREETING")
    lesson.timed("# comment", lambda: lesson.type(comment, "x"), lab, "0 of 8 stations changed")
    lesson.timed("ENV", lambda: lesson.type(variable, "Servus"), lab, "Env GREETING=Servus")
    assert "5 of 8 stations changed" in lesson.seen(lab)
    lesson.timed("tag", lambda: lesson.type(lab.get_by_label("tag"), "app:9"), lab, "app:9")
    lesson.timed("for the CPU", lambda: lab.get_by_label("for the CPU").select_option("arm64"), lab, "arch arm64")
    lesson.timed("start again", lab.get_by_role("button", name="start again").click, lab, "Env GREETING=Hello")


def stepper(lesson: Lesson) -> None:
    """The slider by its keys, and the buttons, choose the step that is drawn."""
    walk = lesson.output("stepper(")
    press, slider = lesson.page.keyboard.press, walk.get_by_role("slider", name="step")
    slider.focus()
    lesson.timed("slider, arrow", lambda: press("ArrowRight"), walk, "step 2 of")
    lesson.timed("slider, end", lambda: press("End"), walk, f"step {(last := slider.get_attribute('max'))} of {last}")
    assert walk.get_by_role("button", name="on ▶").is_disabled()
    lesson.timed("◀ back", walk.get_by_role("button", name="◀ back").click, walk, f"step {int(last or 0) - 1} of")
    lesson.timed("|◀ first", walk.get_by_role("button", name="first").click, walk, "step 1 of")


def life_lab(lesson: Lesson) -> None:
    """Buttons lead the container through its life; what Docker refuses is told in its words."""
    bench = lesson.run("life_lab(")
    for verb, state in (("start", "running"), ("pause", "paused"), ("unpause", "running"), ("kill", "exited")):
        lesson.timed(verb, bench.get_by_role("button", name=verb, exact=True).click, bench, f"▸ {state}")
    assert bench.get_by_role("button", name="pause", exact=True).is_disabled()
    bench.get_by_label("let me press what Docker will refuse").check()
    lesson.timed("pause, refused", bench.get_by_role("button", name="pause", exact=True).click, bench, "is not running")
    lesson.timed("remove", bench.get_by_role("button", name="remove").click, bench, "▸ removed")


def explorer(lesson: Lesson) -> None:
    """Typing filters the list; a row chosen with the keyboard draws the path's ray and what it holds."""
    place = lesson.output("explorer(")
    grid, filtered = place.get_by_role("grid"), place.get_by_label("filter")
    lesson.timed("filter", lambda: lesson.type(filtered, "/bin/s"), place, "/bin/sh", inside=".md-body")
    assert all("/bin/s" in row for row in grid.locator(".md-body .md-row").all_text_contents())
    grid.focus()
    lesson.timed("row, end", lambda: lesson.page.keyboard.press("End"), place, "/bin/s")


MOVES = {  # lesson -> what is done in it, in turn
    "00-start-here": [predict],
    "02-images": [hashlab],
    "03-stacking": [explorer],
    "04-containers": [life_lab],
    "06-dockerfile": [stepper],
}
