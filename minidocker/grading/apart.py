"""A trial apart: in a process and a folder of its own, with limits, whatever a Dockerfile does there.

It may not end, fork, fill the disk or the memory, print for ever, or ask the network: whoever measures goes on, and has
words for why. RUN has the limits of a container beside those of the process. Where there are no cgroups for that
(without root), it has those of the process, its time and its disk.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minidocker.content import write_json
from minidocker.errors import DockerException
from minidocker.grading.operation import environment
from minidocker.grading.project import Project
from minidocker.grading.trial import Trial, runtime, tried
from minidocker.notebook.lessons import EPOCH, clear, sweep

LOOK = 0.1  # seconds between two looks at the clock and the disk
GRACE = 10.0  # seconds to end what goes on, once told to
TURN = threading.Lock()  # one at a time, since seconds are measured
PASSED_ON = ("PATH", "LANG", "SYSTEMROOT", "MINIDOCKER_RUNTIME")  # of the environment: no credentials, no home


@dataclass(frozen=True)
class Bounds:
    """What a trial may take: seconds (the given one's takes ten), bytes and files on disk, memory and processes."""

    seconds: float = 120
    disk: int = 2 << 30
    files: int = 50_000
    memory: int = 512 << 20
    processes: int = 64

    def options(self) -> dict[str, Any]:
        """The limits of a container, as `docker run` knows them."""
        return {"mem_limit": self.memory, "memswap_limit": self.memory, "pids_limit": self.processes}

    @property
    def overflow(self) -> str:
        """What is said of too much on the disk."""
        return f"It took more than {self.disk >> 20} MiB of disk, or {self.files} files, and was ended."


BOUNDS = Bounds()


def attempt(dockerfile: str, dockerignore: str, project: Project, name: str) -> Trial | str:
    """Try it; in words what went wrong, where it cannot be built or started at all."""
    sweep()
    home = Path(tempfile.mkdtemp(prefix=f"minidocker-capstone-{os.getpid()}-"))
    words = (dockerfile, dockerignore, asdict(project), name)
    try:
        if sys.platform == "emscripten":  # a browser has no processes, and nobody else's either
            with environment(SOURCE_DATE_EPOCH=EPOCH, MINIDOCKER_RUNTIME=runtime()):
                return tried(home, dockerignore=dockerignore, dockerfile=dockerfile, project=project, name=name)
        with TURN:
            return _elsewhere(home, {"words": words, "bounds": asdict(BOUNDS)})
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _elsewhere(home: Path, request: dict[str, Any]) -> Trial | str:
    """The trial in a process, and its result; or why there is none."""
    write_json(home / "request.json", request)
    variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    variables |= {"HOME": str(home), "TMPDIR": str(home), "SOURCE_DATE_EPOCH": EPOCH}
    variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    if kind := runtime():
        variables["MINIDOCKER_RUNTIME"] = kind
    with _started([sys.executable, "-P", "-m", __name__, str(home)], home, variables) as process:
        why = _watched(process, home)
    try:
        result = json.loads((home / "result.json").read_bytes())
    except (OSError, ValueError):
        clear(home)
        return why or "The trial broke down, and nothing could be measured."
    return result if isinstance(result, str) else Trial.read(result)


@contextmanager
def _started(command: list[str], home: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with us, at the latest."""
    quiet = subprocess.DEVNULL
    with (home / "errors").open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=errors, env=variables, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        process.kill()
        process.wait()
        assert process.stdin
        process.stdin.close()


def _watched(process: subprocess.Popen[bytes], home: Path) -> str:
    """Wait for its end; why it cannot be waited for any longer."""
    end, spare = time.monotonic() + BOUNDS.seconds, shutil.disk_usage(home).free // 2
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK)
            return ""
        if time.monotonic() > end:
            return f"It took more than {BOUNDS.seconds:g} seconds to build and run it twice, and was ended."
        if _overflows(home) or shutil.disk_usage(home).free < spare:
            return BOUNDS.overflow


def _overflows(home: Path) -> bool:
    """Whether what lies below a folder is more than a trial may leave there, while it is on the way."""
    size = files = 0
    for folder, _, names in os.walk(home):
        for name in names:
            with suppress(OSError):
                found = os.lstat(os.path.join(folder, name))  # noqa: PTH118  (for each of thousands)
                size += getattr(found, "st_blocks", 0) * 512 or found.st_size
        files += len(names) + 1
        if size > BOUNDS.disk or files > BOUNDS.files:
            return True
    return False


# The process


def main(home: Path) -> None:
    """Do what the request says, within its bounds, and leave the result beside it."""
    signal.signal(signal.SIGTERM, _ended)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    request = json.loads((home / "request.json").read_bytes())
    bounds, (dockerfile, dockerignore, project, name) = Bounds(**request["bounds"]), request["words"]
    _limit(bounds)
    sys.addaudithook(_no_network)
    result = tried(
        home,
        dockerfile=dockerfile,
        dockerignore=dockerignore,
        project=Project(**project),
        name=name,
        options=bounds.options(),
    )
    if isinstance(result, str) and os.strerror(errno.EFBIG) in result:  # a layer, written faster than anybody looks
        result = bounds.overflow
    write_json(home / "result.json", result if isinstance(result, str) else asdict(result))


def _ended(*_: object) -> None:
    raise SystemExit(1)


def _end_with_parent() -> None:
    """Its end of the pipe closes with it, however it ends."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _limit(bounds: Bounds) -> None:
    """What each process may take, also those in containers: where there is no cgroup, that is all."""
    with suppress(ImportError):
        import resource

        for name, most in {"CORE": 0, "FSIZE": bounds.disk, "AS": 4 * bounds.memory}.items():
            with suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def _no_network(event: str, arguments: tuple[Any, ...]) -> None:
    """FROM and ADD cannot fetch either: a grader's network is not the learner's."""
    import socket

    outside = event in ("socket.getaddrinfo", "socket.gethostbyname") or (
        event in ("socket.connect", "socket.sendto") and arguments[0].family in (socket.AF_INET, socket.AF_INET6)
    )
    if outside or (event == "subprocess.Popen" and Path(str(arguments[0])).name.startswith("git")):
        raise DockerException("a trial has no network: it has the project's files, minidocker/base, and nothing else")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
