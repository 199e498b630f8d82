"""Make `start-here.png` anew: the first lesson, run in JupyterLab, in a headless Chromium.

.venv/bin/pip install playwright && .venv/bin/python notebooks/images/screenshot.py    (with Debian's chromium)
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
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
LESSON = HERE.parent / "00-start-here.ipynb"
SHOWN = "ann.start()"  # the cell that is on top of the picture's middle
FOLDERS = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR", "LAB_SETTINGS_DIR", "LAB_WORKSPACES_DIR")
READY = """async () => {
  await jupyterapp.restored;
  while (!jupyterapp.shell.currentWidget?.context) await new Promise(r => setTimeout(r, 100));
  const notebook = jupyterapp.shell.currentWidget;
  await notebook.context.ready; await notebook.sessionContext.ready;
}"""
IDLE = "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
RAN = """() => jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === 'code').every(cell => cell.model.executionCount !== null)"""
SCROLL = """async wanted => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const at = notebook.widgets.findIndex(cell => cell.model.sharedModel.getSource().includes(wanted)) - 1;
  await notebook.scrollToItem(at, 'start', 0);
  notebook.widgets[at].node.scrollIntoView({block: 'start'});
}"""


@contextlib.contextmanager
def jupyterlab() -> Iterator[str]:
    """A JupyterLab of its own on a copy of the lesson; yields the lesson's address."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port, token = free.getsockname()[1], secrets.token_hex(12)
        free.close()
        env = os.environ | {f"JUPYTER{name if 'LAB' in name else '_' + name}": f"{folder}/{name}" for name in FOLDERS}
        news = Path(folder, "LAB_SETTINGS_DIR/@jupyterlab/apputils-extension/notification.jupyterlab-settings")
        news.parent.mkdir(parents=True)
        news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}))
        root = Path(folder, "root")
        root.mkdir()
        shutil.copy(LESSON, root)
        options = f"""--no-browser --allow-root --ServerApp.ip=127.0.0.1 --port={port} --ServerApp.port_retries=0
            --IdentityProvider.token={token} --ServerApp.root_dir={root} --LabApp.expose_app_in_browser=True
            --LabApp.extension_manager=readonly"""
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options.split()], env=env)
        base = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{base}/api?token={token}")
            yield f"{base}/lab/tree/{LESSON.name}?token={token}"
            urllib.request.urlopen(urllib.request.Request(f"{base}/api/shutdown?token={token}", method="POST"))
            server.wait(15)
        finally:
            server.kill()
            server.wait()


def wait_for(address: str) -> None:
    """Wait until the server answers."""
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=2).close()
            return
        time.sleep(0.2)
    raise SystemExit("JupyterLab does not answer")


def main() -> None:
    """Run every cell, scroll to the walk, and take the picture."""
    from playwright.sync_api import sync_playwright  # no dependency of the course: only whoever makes this needs it

    with jupyterlab() as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 860})
        page.goto(address)
        page.wait_for_function("() => window.jupyterapp")
        page.evaluate(READY)
        page.wait_for_function(IDLE)
        page.evaluate("() => { jupyterapp.commands.execute('application:toggle-left-area') }")
        page.evaluate("() => { jupyterapp.commands.execute('runmenu:run-all') }")
        page.wait_for_function(RAN, timeout=120_000)
        page.wait_for_function(IDLE)
        for _ in range(4):  # cells above are drawn when they are first seen, and push what is below
            page.evaluate(SCROLL, SHOWN)
            time.sleep(0.5)
        page.screenshot(path=HERE / "start-here.png")
        browser.close()


if __name__ == "__main__":
    main()
