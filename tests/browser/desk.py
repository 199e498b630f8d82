"""Whoever sits before the browser: opens notebooks, runs cells, types, and looks at what is shown."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.lab import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

WIDE, TALL = 1200, 900
OPEN = """async path => {
  const panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await panel.context.ready; await panel.revealed; await panel.sessionContext.ready;
}"""
PANEL = "const panel = jupyterapp.shell.currentWidget, cells = [...panel.content.widgets];"
IDLE = "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
RUN = """([command, index]) => {
  window.ran = null;
  if (index !== null) jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  jupyterapp.commands.execute(command).then(() => { window.ran = true; });
}"""
DRAWN = (
    "() => ![...document.querySelectorAll('.jp-OutputArea')].some(area => area.innerText.includes('Loading widget'))"
)
FIND = f"""wanted => {{ {PANEL}
  return cells.findIndex(({{model}}) => model.type === 'code' && model.sharedModel.getSource().includes(wanted)); }}"""
OUTPUTS = f"""() => {{ {PANEL}
  return cells.filter(cell => cell.model.type === 'code').map(cell => ({{
    source: cell.model.sharedModel.getSource(), outputs: cell.model.outputs.toJSON(),
    living: cell.node.querySelectorAll('.jp-OutputArea-output .jupyter-widgets').length,
    said: cell.node.querySelector('.jp-OutputArea')?.innerText ?? ''}})); }}"""
SAY = f"""code => {{ {PANEL}
  panel.content.activeCellIndex = cells.length - 1;
  jupyterapp.commands.execute('notebook:insert-cell-below');
  panel.content.activeCell.model.sharedModel.setSource(code); }}"""
CLOSE = """async () => {
  const panel = jupyterapp.shell.currentWidget;
  await panel.sessionContext.shutdown(); panel.dispose(); }"""
FIGURE = ".md-fig"
SHOWS = """([place, inside, words]) =>
  [...place.querySelectorAll(inside)].some(picture => picture.textContent.includes(words))"""
HEIGHT = f"""() => {{ {PANEL}
  panel.content.deselectAll(); panel.content.activeCellIndex = 0; panel.content.outerNode.scrollTop = 0;
  const [first, last] = [cells[0], cells.at(-1)].map(cell => cell.node.getBoundingClientRect());
  return Math.ceil(last.bottom - first.top); }}"""


@dataclass
class Desk:
    """A page with JupyterLab in it: notebooks are opened in it one after another."""

    page: Page
    browser: Browser
    outside: list[str] = field(default_factory=list)  # requests that went to another machine
    broken: list[str] = field(default_factory=list)  # exceptions that nobody caught, in the page

    @classmethod
    def at(cls, browser: Browser, address: str, height: int = TALL) -> Desk:
        """Open JupyterLab, once it answers."""
        desk = cls(browser.new_page(viewport={"width": WIDE, "height": height}), browser)
        desk.page.set_default_timeout(10_000)
        desk.page.on("request", lambda request: desk._note(request.url))
        desk.page.on("pageerror", lambda error: desk.broken.append(str(error)))
        wait_for(address)
        desk.page.goto(address)
        desk.page.wait_for_function("() => window.jupyterapp")
        desk.page.evaluate("async () => { await jupyterapp.restored; jupyterapp.shell.collapseLeft(); }")
        return desk

    def _note(self, address: str) -> None:
        if not address.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.outside.append(address)

    def open(self, path: str) -> Lesson:
        """Open a notebook, and wait for its kernel."""
        self.page.evaluate(OPEN, path)
        self.page.wait_for_function(IDLE)
        return Lesson(self.page, Path(path).stem)


@dataclass
class Lesson:
    """An open notebook, with the hands and eyes of whoever sits before it."""

    page: Page
    name: str
    holding: str = ""  # the widget that is being moved
    milliseconds: dict[str, float] = field(default_factory=dict)  # from a control to its picture, as seen

    def run_all(self) -> None:
        """Run every cell, and wait until the last widget is drawn."""
        self._run("notebook:run-all-cells", None)

    def run(self, source: str) -> Locator:
        """Run the cell with this in its source; gives its output."""
        self._run("notebook:run-cell", self._find(source))
        return self.output(source)

    def say(self, code: str) -> Locator:
        """Write code into a new cell at the end, and run it; gives its output."""
        self.page.evaluate(SAY, code)
        self._run("notebook:run-cell", None)
        return self.page.locator(".jp-Notebook .jp-Cell").last.locator(".jp-OutputArea")

    def write(self, field: Locator, words: str, place: Locator, shows: str, inside: str = FIGURE) -> None:
        """Type into a field, in place of what is there, and wait for the picture; the last key's way there is noted."""
        press = self.page.keyboard
        field.focus()
        press.press("Control+a")
        press.type(words[:-1])
        self.timed(f"key {words[-1]!r}", lambda: press.type(words[-1]), place, shows, inside)

    def output(self, source: str) -> Locator:
        """What stands below the cell with this in its source."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self._find(source)).locator(".jp-OutputArea")

    def cells(self) -> list[dict[str, Any]]:
        """All code cells: source, outputs, how many widgets live in them, and what their output says."""
        found: list[dict[str, Any]] = self.page.evaluate(OUTPUTS)
        return found

    def timed(self, what: str, move: Callable[[], object], place: Locator, shows: str, inside: str = FIGURE) -> None:
        """Move a control, and wait until a picture in this place shows this; how long it took is noted."""
        from playwright.sync_api import TimeoutError as TooSlow

        begun, element = time.perf_counter(), place.element_handle()
        move()
        with contextlib.suppress(TooSlow):
            self.page.wait_for_function(SHOWS, arg=[element, inside, shows], timeout=60_000)
        self.milliseconds[f"{self.holding}: {what}"] = round(1000 * (time.perf_counter() - begun), 1)
        assert shows in self.seen(place, inside), f"{what}: the picture does not show {shows!r}"

    def seen(self, place: Locator, inside: str = FIGURE) -> str:
        """What the pictures in a place say, those for the eye alone: not their twins in text."""
        return " ".join(place.locator(inside).all_text_contents())

    def theme(self, name: str) -> None:
        """Change JupyterLab's theme: `Light` or `Dark`."""
        self.page.evaluate(
            "name => { jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab ' + name}); }", name
        )
        wanted = str(name == "Light").lower()
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{wanted}'")

    def violations(self) -> str:
        """What axe-core holds against the outputs, as text; JupyterLab's own buttons and menus are not ours."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, {"include": [[".jp-OutputArea-output"]]})
        return str(found.generate_report()) if found.violations_count else ""

    def scroll_to(self, source: str) -> None:
        """Put the text before the cell with this in its source on top."""
        self.page.locator(".jp-Notebook .jp-Cell").nth(self._find(source) - 1).evaluate("cell => cell.scrollIntoView()")

    def photograph(self, path: Path) -> None:
        """The whole notebook, from top to bottom."""
        path.parent.mkdir(parents=True, exist_ok=True)
        height = self.page.evaluate(HEIGHT)
        self.page.set_viewport_size({"width": WIDE, "height": min(height + 150, 16_000)})
        self.page.screenshot(path=path)

    def close(self) -> None:
        """Close the notebook and end its kernel, without saving."""
        self.page.evaluate(CLOSE)

    def _find(self, source: str) -> int:
        index: int = self.page.evaluate(FIND, source)
        assert index >= 0, f"{self.name} has no cell with {source!r}"
        return index

    def _run(self, command: str, index: int | None) -> None:
        self.page.evaluate(RUN, [command, index])
        self.page.wait_for_function("() => window.ran", timeout=120_000)
        self.page.wait_for_function(IDLE)
        self.page.wait_for_function(DRAWN)
