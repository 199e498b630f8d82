"""What a hand does to each widget in its lesson, and what the picture must then show.

Each function is called as the widget that it moves; `lesson.timed` moves one control and waits for the picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.browser.desk import Lesson

if TYPE_CHECKING:
    from playwright.sync_api import Locator


def predict(lesson: Lesson) -> None:
    """A number is typed into a field; `reveal` shows it beside what was measured, and closes the field."""
    question = "layers that 6 lines of Dockerfile add"
    field = lesson.run("guess = predict(").get_by_label(question)
    field.fill("4321")
    revealed = lesson.say(f"guess.reveal({{{question!r}: 3}})")
    assert "4321" in lesson.seen(revealed)
    assert field.is_disabled()


def tar_lab(lesson: Lesson) -> None:
    """Each edit is in the tar, and in its digest; a button brings the first digest back."""
    lab = lesson.output("tar_lab(")
    first = digests(lesson, lab)
    lesson.write(lab.get_by_label("content"), "Servus", lab, "Servus")
    second = digests(lesson, lab)
    lab.get_by_label("saved later").focus()
    lesson.timed("saved later", lambda: lesson.page.keyboard.press("ArrowRight"), lab, "00:00:01")
    assert len({*first, *second, *digests(lesson, lab)}) == 3
    lesson.timed("deletes it", lambda: lab.get_by_label("the layer").select_option("deletes it"), lab, ".wh.")
    lesson.timed("as it was", lab.get_by_role("button", name="as it was").click, lab, first[0])


def digests(lesson: Lesson, place: Locator) -> list[str]:
    return re.findall(r"sha256:[0-9a-f]{64}", lesson.seen(place))[:1]


def hashlab(lesson: Lesson) -> None:
    """A comment changes no digest, a variable five stations; a button puts all back."""
    lab = lesson.output("hashlab()")
    lesson.write(lab.get_by_label("# comment"), "greets", lab, "0 of 8 stations changed")
    lesson.write(lab.get_by_label("ENV GREETING"), "Servus", lab, "Env GREETING=Servus")
    assert "5 of 8 stations changed" in lesson.seen(lab)
    lesson.write(lab.get_by_label("tag"), "app:9", lab, "app:9")
    lesson.timed("for the CPU", lambda: lab.get_by_label("for the CPU").select_option("arm64"), lab, "arch arm64")
    lesson.timed("start again", lab.get_by_role("button", name="start again").click, lab, "Env GREETING=Hello")


def copy_lab(lesson: Lesson) -> None:
    """What is written in one container is copied up there, and in no other."""
    lab = lesson.output("copy_lab(")
    do = lab.get_by_role("button", name="do it")
    lab.get_by_label("container", exact=True).select_option("copy-lab-2")
    lab.get_by_label("what").select_option("chmod")
    path = lab.get_by_label("file").input_value()
    lesson.timed("chmod", do.click, lab, f"copy-lab-2: chmod {path}: copied up")
    assert lesson.seen(lab).count("nothing of its own yet") == 2
    lab.get_by_label("what").select_option("rm")
    lesson.timed("rm", do.click, lab, f"copy-lab-2: rm {path}: copied up 0 bytes")
    lesson.timed("start again", lab.get_by_role("button", name="start again").click, lab, "choose a container")


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


def lens(lesson: Lesson) -> None:
    """A switch that is off makes both sides equal, where there are real containers; else there is none to move."""
    glass = lesson.run("lens(")
    switch = glass.get_by_label("host name (uts)")
    if switch.is_disabled():
        assert "No switches here" in lesson.seen(glass)
        return
    lesson.timed("host name, shared", switch.uncheck, glass, "--uts=host")
    lesson.timed("host name, its own", switch.check, glass, "docker run -d minidocker/base")


def limits_lab(lesson: Lesson) -> None:
    """A limit that is chosen is in the kernel's file."""
    lab = lesson.run("limits_lab(")
    memory = lab.get_by_label("--memory")
    if memory.is_disabled():
        assert "Not limited here" in lesson.seen(lab)
        return
    lesson.timed("--memory", lambda: memory.select_option("128m"), lab, "128 MiB")


def starts(lesson: Lesson) -> None:
    """A button measures again."""
    bench = lesson.run("starts(")
    lesson.timed("measure again", bench.get_by_role("button", name="measure again").click, bench, "measured here")


def explorer(lesson: Lesson) -> None:
    """Typing filters the list; a row chosen with the keyboard draws the path's ray and what it holds."""
    place = lesson.output("explorer(")
    grid, filtered = place.get_by_role("grid"), place.get_by_label("filter")
    lesson.write(filtered, "/bin/s", place, "/bin/sh", inside=".md-body")
    assert all("/bin/s" in row for row in grid.locator(".md-body .md-row").all_text_contents())
    grid.focus()
    lesson.timed("row, end", lambda: lesson.page.keyboard.press("End"), place, "/bin/s")


def cache_lab(lesson: Lesson) -> None:
    """What is typed is forecast before it is built; a build stands beside its forecast; all can be put back."""
    lab = lesson.output("cache_lab(")
    recipe = lab.get_by_label("Dockerfile")
    steps = re.search(r"nothing is built yet.*?(\d+ steps)", lesson.seen(lab))
    assert steps
    recipe.fill(recipe.input_value().rstrip() + "\nENV MOVED=")
    recipe.press("Control+End")
    lesson.timed("Dockerfile, a key", lambda: lesson.page.keyboard.type("1"), lab, "ENV MOVED=1")
    lesson.timed("build", lab.get_by_role("button", name="build").click, lab, "the forecast")
    lab.get_by_label("file", exact=True).select_option("app.sh")
    lesson.write(lab.get_by_label("its content"), "new", lab, "app.sh changed")
    lesson.timed("start again", lab.get_by_role("button", name="start again").click, lab, steps[1])
    assert "ENV MOVED=1" not in lesson.seen(lab)


def registry_lab(lesson: Lesson) -> None:
    """A second version moves only what is new; on a slow wire its requests are drawn while they go."""
    lab = lesson.output("registry_lab()")

    def button(name: str) -> Locator:
        return lab.get_by_role("button", name=name, exact=True)

    lesson.timed("push app:1", button("push app:1").click, lab, "1MB of blobs moved")
    lesson.timed("push app:2", button("push app:2").click, lab, "1MB of layers were there already")
    lab.get_by_label("a slow wire").check()
    lesson.timed("pull app:2, its first request", button("pull app:2").click, lab, "GET /v2/")
    lesson.timed("pull app:2, its last one", lambda: None, lab, "1MB received")
    lesson.timed("start again", button("start again").click, lab, "nothing has been pushed yet")


def daemon_lab(lesson: Lesson) -> None:
    """A command is really given, and the buttons lead through what crossed; what is refused is told in its words."""
    lab = lesson.run("daemon_lab(")

    def button(name: str) -> Locator:
        return lab.get_by_role("button", name=name)

    lesson.timed("◀ back", button("back").click, lab, "size=0&trunc_cmd=0 HTTP/1.1")
    lesson.timed("on ▶", button("on").click, lab, '"State": "running"')
    command = lab.get_by_label("command", exact=True)
    lesson.timed("docker cp", lambda: command.select_option("docker cp note lab:/"), lab, "a tar: note")
    lesson.timed("docker inspect", lambda: command.select_option("docker inspect nobody"), lab, "404 Not Found")
    lab.get_by_label("a slow wire").check()
    lesson.timed("docker ps, slowly", lambda: command.select_option("docker ps"), lab, "GET /v1.41/containers/json")


def volume_lab(lesson: Lesson) -> None:
    """What is written is left where it is kept; the next container finds it again, but for its own layer."""
    lab = lesson.run("volume_lab(")

    def button(name: str) -> Locator:
        return lab.get_by_role("button", name=name, exact=True)

    lesson.timed("write", button("write").click, lab, "note-1")
    lesson.timed("docker rm -f", button("docker rm -f").click, lab, "the container is gone")
    choice = lab.get_by_label("/fourth is")
    lesson.timed("/fourth is", lambda: choice.select_option("nothing"), lab, "the next container has none")
    lesson.timed("docker run", button("docker run").click, lab, "seen from inside")
    lesson.timed("docker volume prune", button("docker volume prune").click, lab, "1 volume removed")


def tracer(lesson: Lesson) -> None:
    """Another question is followed at once; a network that is connected is the piece that was missing."""
    lab = lesson.output("tracer(")
    start, target = lab.get_by_label("from", exact=True), lab.get_by_label("to", exact=True)
    lesson.timed("to", lambda: target.select_option("localhost"), lab, "localhost is whoever asks: web itself")
    lesson.timed("from", lambda: start.select_option("the world"), lab, "some computer out there")
    lesson.timed("from, back", lambda: start.select_option("web"), lab, "It arrives")
    target.select_option("safe")
    lab.get_by_label("container", exact=True).select_option("web")
    lab.get_by_label("network", exact=True).select_option("vault")
    lesson.timed("connect", lab.get_by_role("button", name="connect", exact=True).click, lab, "both are on vault")
    lesson.timed("try it", lab.get_by_role("button", name="try it for real").click, lab, "somebody answers")
    lesson.timed("disconnect", lab.get_by_role("button", name="disconnect").click, lab, "nobody on bridge, shop")


MOVES = {  # lesson -> what is done in it, in turn
    "00-start-here": [predict],
    "01-layers": [tar_lab],
    "02-images": [hashlab],
    "03-stacking": [explorer, copy_lab],
    "04-containers": [life_lab],
    "05-isolation": [lens, limits_lab, starts],
    "06-dockerfile": [stepper],
    "07-build-cache": [cache_lab],
    "08-registries": [registry_lab],
    "09-client-and-daemon": [daemon_lab],
    "10-volumes-and-plugins": [volume_lab],
    "11-networks": [tracer],
}
