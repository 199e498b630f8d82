"""`minidocker daemon`: Docker's Engine API over the engine, for Docker's own clients; dockerd's options."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from minidocker.cli.flags import Call, Exit, command


@command("""
daemon [OPTIONS]

Serve Docker's Engine API: docker, its SDK and Compose can drive this engine

Stop it with `kill $(cat PIDFILE)`; containers run on, and the next daemon finds them again. SIGHUP lets it read
daemon.json again.

      --config-file string             Daemon configuration file (default: daemon.json in the engine's folder)
  -D, --debug                          Enable debug mode
      --detach                         Run in the background; returns when the daemon answers
  -G, --group string                   Group for the unix socket
  -H, --host list                      Daemon socket(s) to connect to: unix://PATH or tcp://HOST:PORT
      --insecure-registry list         Enable insecure registry communication
      --label list                     Set key=value labels to the daemon
      --max-concurrent-downloads int   Set the max concurrent downloads (default 3)
      --max-concurrent-uploads int     Set the max concurrent uploads (default 5)
      --max-download-attempts int      Set the max download attempts for each pull (default 5)
      --openapi                        Print the OpenAPI document of what is served, and exit
  -p, --pidfile string                 Path to use for daemon PID file (default: daemon.pid in the engine's folder)
      --registry-mirror list           Preferred registry mirror
      --data-root string               Folder of images and containers; the same as --root before the command
      --shutdown-timeout int           Set the shutdown timeout (default 15)
      --tls                            Use TLS; implied by --tlsverify
      --tlscacert string               Trust certs signed only by this CA (default: ~/.docker/ca.pem)
      --tlscert string                 Path to TLS certificate file (default: ~/.docker/cert.pem)
      --tlskey string                  Path to TLS key file (default: ~/.docker/key.pem)
      --tlsverify                      Use TLS and verify the remote
      --validate                       Validate daemon configuration and exit
""", needs_engine=False)  # fmt: skip
def daemon(call: Call) -> int:
    """Serve until a signal comes."""
    from minidocker.daemon.settings import Settings, settings
    from minidocker.engine import root_folder

    root = root_folder(call.data_root or call.top.root or None)
    given = {name: call.options[name] for name in call.given}
    given |= {name: str(Path(value).expanduser()) for name, value in given.items() if name.startswith("tlsc")}

    def read() -> Settings:
        return settings(root, given, call.config_file)

    if call.openapi:
        import json

        from minidocker.daemon.openapi import document
        from minidocker.daemon.table import TABLE

        print(json.dumps(document(TABLE), indent=2))
        return 0
    if call.validate:
        read()
        print("configuration OK")
        return 0
    return detach(root) if call.detach else serve(call, root, read)


def serve(call: Call, root: Path, read: Any) -> int:
    """In the foreground."""
    from minidocker import connect
    from minidocker.daemon.serving import Daemon, alone, log
    from minidocker.errors import APIError

    options, asked = read(), Signals()
    call.engine = connect(root, call.top.runtime or None)
    with alone(root, options["pidfile"]):
        running = Daemon(call.engine, options)
        try:
            running.open()
            _say_ready()
            log("info", "Daemon has completed initialization")
            while asked.next() == getattr(signal, "SIGHUP", 0):
                try:
                    running.reload(read())
                except APIError as error:
                    log("error", f"cannot reload: {error.explanation}")
            log("info", "Processing signal: the daemon stops, containers run on")
        finally:
            running.close()
    return 0


class Signals:
    """The signals that are for a daemon, one after the other; the third that says "stop" does it at once."""

    def __init__(self) -> None:
        self._news: SimpleQueue[int] = SimpleQueue()  # made for being filled by signal handlers
        self._stops = 0
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._note)

    def _note(self, number: int, _frame: object) -> None:
        self._news.put(number)
        self._stops += number in (signal.SIGTERM, signal.SIGINT)
        if self._stops >= 3:
            os._exit(130)

    def next(self) -> int:
        """The next one; waits for it."""
        while True:
            with suppress(Empty):
                return self._news.get(timeout=3600)  # in slices: on Windows a signal does not end a wait


READY = "MINIDOCKER_READY_FD"


def detach(root: Path) -> int:
    """Start another process with the same options in the background, and wait until it answers."""
    if sys.platform == "win32":
        raise Exit(1, "minidocker daemon --detach: not on Windows; let it run in a terminal of its own")
    words = [word for word in sys.argv[1:] if not word.startswith("--detach")]
    root.mkdir(parents=True, exist_ok=True)
    ours, theirs = os.pipe()
    log_file = root / "daemon.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "minidocker", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[theirs],
            env={**os.environ, READY: str(theirs)},
            start_new_session=True,
        )
    os.close(theirs)
    with os.fdopen(ours, "rb") as ready:
        if ready.read(1):
            print(process.pid)
            return 0
    last = log_file.read_text(errors="replace").strip().splitlines()[-1:]
    raise Exit(process.wait() or 1, f"the daemon does not start: {' '.join(last)} (all of its log: {log_file})")


def _say_ready() -> None:
    if text := os.environ.pop(READY, ""):
        os.write(int(text), b".")
        os.close(int(text))
