"""The state of a container: the `State` of `docker inspect`, as its monitor writes it into `state.json`.

created -> running <-> paused
             |  ^
             v  |
restarting, exited, dead
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minidocker.content import FileLock, glance, write_json
from minidocker.errors import NotFound
from minidocker.runtime import monitor
from minidocker.times import NEVER, age, now

LIVE = ("running", "paused", "restarting")
FRESH: dict[str, Any] = {
    "Status": "created",
    "Running": False,
    "Paused": False,
    "Restarting": False,
    "OOMKilled": False,
    "Dead": False,
    "Pid": 0,
    "ExitCode": 0,
    "Error": "",
    "StartedAt": NEVER,
    "FinishedAt": NEVER,
}
DEAD = {"Status": "exited", "Running": False, "Paused": False, "Restarting": False, "Pid": 0}
KILLED, LOST = 137, 255  # as Docker: of one that was killed, and one of whose end nobody knows anything
Bury = Callable[[dict[str, Any]], None]


def read(folder: Path, bury: Bury = lambda state: None) -> dict[str, Any]:  # noqa: ARG005
    """The state of the container in a folder. One whose monitor was killed died with it: that is set right here.

    So is what a crash of the machine left running. `bury` is called once for each of them, with its state.
    Raises NotFound where there is no container.
    """
    state = _load(folder)
    while state["Status"] in LIVE and not monitor.lives(folder):
        lock = FileLock(folder / "monitor.lock")  # nobody starts it while we write
        try:
            free = lock.acquire(blocking=False)
        except FileNotFoundError:  # it has `--rm`, and went of itself after we looked
            raise NotFound(f"No such container: {folder.name}") from None
        if free:
            try:
                state = _load(folder)  # the monitor's last words may have come meanwhile
                if state["Status"] in LIVE:
                    state = dead(state)
                    with contextlib.suppress(OSError):  # of a full disk: the next one will see the same
                        write_json(folder / "state.json", state)
                    bury(state)
            finally:
                lock.release()
        else:
            time.sleep(0.001)  # somebody else looks just now
            state = _load(folder)
    return state


def dead(state: Mapping[str, Any]) -> dict[str, Any]:
    """What has become of one that ran when its monitor was killed, or the machine stopped: that was another boot."""
    code = LOST if state.get("Boot", "") != monitor.boot_id() else KILLED
    health = {"Health": state["Health"] | {"Status": "unhealthy"}} if "Health" in state else {}
    return {**state, **DEAD, **health, "ExitCode": code, "FinishedAt": now()}


def write_failed(folder: Path, exit_code: int, reason: str) -> None:
    """Write down that the program of a container could not be started; Docker leaves it as it was before."""
    state = _load(folder)
    write_json(folder / "state.json", state | {"ExitCode": exit_code, "Error": reason})


def describe(state: Mapping[str, Any]) -> str:
    """The state in the words of `docker ps`.

    >>> describe(FRESH), describe(FRESH | {"Status": "exited", "ExitCode": 2, "FinishedAt": now()})
    ('Created', 'Exited (2) Less than a second ago')
    """
    status, code = state["Status"], state["ExitCode"]
    if status in ("running", "paused"):
        found = state.get("Health", {}).get("Status", "")
        health = f" ({'health: ' * (found == 'starting')}{found})" if found else ""
        return f"Up {age(state['StartedAt'])}" + (" (Paused)" if status == "paused" else health)
    if status in ("restarting", "exited"):
        return f"{status.capitalize()} ({code}) {age(state['FinishedAt'])} ago"
    return str(status).capitalize()


def _load(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = FRESH | glance(f"{folder}/state.json")
    except FileNotFoundError:
        if not os.path.exists(f"{folder}/config.json"):  # noqa: PTH110  (a listing asks for hundreds)
            raise NotFound(f"No such container: {folder.name}") from None
        return dict(FRESH)
    except ValueError:  # cut short by a crash of the machine, so it had been started
        return FRESH | DEAD | {"ExitCode": LOST, "Error": "its state was lost when the machine stopped"}
    return state
