"""A JupyterLab of its own, and a headless Chromium that sits before it.

    with jupyterlab(folder, {"notebooks": HOME / "notebooks"}) as address, chromium() as browser:
        Desk.at(browser, address).open("notebooks/00-start-here.ipynb").run_all()

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOME = Path(__file__).resolve().parents[2]
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
DISABLED = {"disabledExtensions": {"@jupyterlab/apputils-extension:splash": True}}  # it would lie over the picture
SERVER = """--no-browser --allow-root --ServerApp.ip=127.0.0.1 --ServerApp.port_retries=0
    --LabApp.expose_app_in_browser=True --LabApp.extension_manager=readonly
    --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"""
FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars"""


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
    written = {f"settings/@jupyterlab/{name}.jupyterlab-settings": value for name, value in SETTINGS.items()}
    for name, settings in {**written, "config/labconfig/page_config.json": DISABLED}.items():
        path = folder / name
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
        urllib.request.urlopen(stop, timeout=120).close()
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


def wait_for(address: str) -> None:
    end = time.monotonic() + 120  # on a busy machine it takes half a minute
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=2).close()
            return
        time.sleep(0.1)
    raise TimeoutError("JupyterLab does not answer")
