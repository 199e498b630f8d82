"""A JupyterLab of its own, and a headless Chromium that sits before it.

    with jupyterlab(folder, {"notebooks": HOME / "notebooks"}) as address, chromium() as browser:
        lesson = Desk(browser, address).open("notebooks/00-start-here.ipynb")
        lesson.run_all()

The notebooks are copies, the server keeps nothing in anybody's home, and nothing is asked of any other machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

HOME = Path(__file__).resolve().parents[2]
WIDE, TALL = 1200, 900
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
    "MINIDOCKER_ROOT": "minidocker",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},  # else only what is on screen is drawn, and checked
    "docmanager-extension/plugin": {"autosave": False},
}
SERVER = """--no-browser --allow-root --ServerApp.ip=127.0.0.1 --ServerApp.port_retries=0
    --LabApp.expose_app_in_browser=True --LabApp.extension_manager=readonly
    --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"""
FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars"""
OPEN = """async path => {
  await jupyterapp.restored;
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
FIND = f"wanted => {{ {PANEL} return cells.findIndex(cell => cell.model.sharedModel.getSource().includes(wanted)); }}"
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


def missing() -> str:
    """What this machine lacks for a browser to be driven; nothing where all is there."""
    import importlib.util

    for package in ("jupyterlab", "playwright", "axe_playwright_python"):
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed"
    return "" if shutil.which("chromium") else "there is no chromium on this machine"


@contextlib.contextmanager
def jupyterlab(folder: Path, shown: Mapping[str, Path]) -> Iterator[str]:
    """A JupyterLab that has only `folder`, with copies of the folders shown; yields its address, token and all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, settings in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    root, token = folder / "root", secrets.token_hex(12)
    for name, original in shown.items():
        shutil.copytree(original, root / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    own = [f"--ServerApp.port={port}", f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}"]
    env = os.environ | {name: str(folder / place) for name, place in FOLDERS.items()}
    with (folder / "log").open("wb") as log:
        words = [sys.executable, "-m", "jupyterlab", *SERVER.split(), *own]
        server = subprocess.Popen(words, env=env, cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}/lab?token={token}"
        stop = urllib.request.Request(f"http://127.0.0.1:{port}/api/shutdown?token={token}", method="POST")
        urllib.request.urlopen(stop, timeout=5).close()
        server.wait(15)
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a screen; names of other machines mean nothing to it."""
    from playwright.sync_api import sync_playwright

    flags = [*FLAGS.split(), "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        yield browser
        browser.close()


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
        desk.page.on("request", lambda request: desk._note(request.url))
        desk.page.on("pageerror", lambda error: desk.broken.append(str(error)))
        _wait_for(address)
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

    def type(self, field: Locator, words: str) -> None:
        """Write into a field in place of what is there, with the keyboard, and leave it."""
        field.focus()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(words)
        self.page.keyboard.press("Tab")

    def output(self, source: str) -> Locator:
        """What stands below the cell with this in its source."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self._find(source)).locator(".jp-OutputArea")

    def cells(self) -> list[dict[str, Any]]:
        """All code cells: source, outputs, how many widgets live in them, and what their output says."""
        found: list[dict[str, Any]] = self.page.evaluate(OUTPUTS)
        return found

    def timed(self, what: str, move: Callable[[], object], place: Locator, shows: str, inside: str = FIGURE) -> None:
        """Move a control, and wait until a picture (what is `inside`) in this place shows this; note the time it took."""
        from playwright.sync_api import TimeoutError as TooSlow

        begun, element = time.perf_counter(), place.element_handle()
        move()
        with contextlib.suppress(TooSlow):
            self.page.wait_for_function(SHOWS, arg=[element, inside, shows], timeout=5000)
        self.milliseconds[what] = round(1000 * (time.perf_counter() - begun), 1)
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


def _wait_for(address: str) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=2).close()
            return
        time.sleep(0.1)
    raise TimeoutError("JupyterLab does not answer")
