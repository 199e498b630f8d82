"""A volume plugin, as short as one can be: a folder for each volume, served over a UNIX socket.

python plugin.py SOCKET FOLDER
"""

import http.server
import json
import os
import pathlib
import shutil
import socketserver
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

FOLDER = pathlib.Path(sys.argv[-1])


class Plugin(http.server.BaseHTTPRequestHandler):
    """One request: a method of Docker's plugin protocol, its arguments in JSON."""

    def do_POST(self) -> None:
        """Answer it."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        there = FOLDER / "volumes" / asked.get("Name", "")
        with (FOLDER / "asked").open("a") as log:
            print(self.path[1:], there.name, file=log)
        if there.name == "die" and self.path.endswith(".Mount"):
            os._exit(1)
        known = {"Volume": {"Name": there.name}} if there.is_dir() else {"Err": "no such volume"}
        answers: dict[str, Callable[[], Any]] = {
            "/Plugin.Activate": lambda: {"Implements": ["VolumeDriver"]},
            "/VolumeDriver.Capabilities": lambda: {"Capabilities": {"Scope": "global"}},
            "/VolumeDriver.Create": partial(there.mkdir, parents=True),
            "/VolumeDriver.Remove": partial(shutil.rmtree, there),
            "/VolumeDriver.Mount": lambda: {"Mountpoint": str(there)},
            "/VolumeDriver.Unmount": dict,
            "/VolumeDriver.Get": lambda: known,
            "/VolumeDriver.List": lambda: {"Volumes": [{"Name": each.name} for each in there.parent.glob("volumes/*")]},
        }
        try:
            said, status = answers[self.path]() or {}, 200
        except OSError as error:
            said, status = {"Err": str(error.strerror)}, 500
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    socketserver.UnixStreamServer(sys.argv[1], Plugin).serve_forever()
