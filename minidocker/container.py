"""A container: an image plus one writable layer, and a program that may run in it.

    create -> created -> start -> running -> (pause <-> unpause) -> exited -> start … -> remove

A container is a folder, `containers/<id>/`: `config.json` says what it is and never changes but for its name; the
runtime keeps `state.json`, `log.jsonl` and the writable layer there. Whoever opens the store finds it as it is: engines
come and go, a container lives with its own monitor process.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from minidocker import logs, spec
from minidocker.content import FileLock, Store, read_json, temp_path, write_json
from minidocker.errors import APIError, Conflict, ContainerError, InvalidArgument, NotFound, StartError
from minidocker.image import Image, Images
from minidocker.layer import Changeset, view
from minidocker.logs import now
from minidocker.runtime import NO_STDIO, Bind, Box, Process, Runtime, Stdio
from minidocker.tree import Tree

NEVER = "0001-01-01T00:00:00Z"
LIVE = ("running", "paused", "restarting")
TICK = 0.02  # seconds between two looks, where the system has nothing to wait on
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


class ExecResult(NamedTuple):
    """What `exec_run` returns, as from Docker's SDK."""

    exit_code: int | None
    output: Any


class Container:
    """One container. Attributes and methods are those of Docker's SDK for Python."""

    def __init__(self, containers: Containers, config: dict[str, Any]) -> None:
        self.containers, self._config = containers, config
        self.id: str = config["Id"]
        self.path: Path = containers.folder / self.id

    # What it is

    @property
    def short_id(self) -> str:
        """The first twelve digits of the id."""
        return self.id[:12]

    @property
    def name(self) -> str:
        """Its name, without the slash that the API puts before it."""
        return str(self._config["Name"])

    @property
    def image(self) -> Image:
        """The image that it was made from, found by what it is and not by its tag."""
        return Image(self.containers.images, self._config["Manifest"])

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the image and of its own."""
        return self._config["Config"].get("Labels") or {}

    @property
    def status(self) -> str:
        """created, running, paused, restarting, exited or dead."""
        return str(self.state()["Status"])

    def state(self) -> dict[str, Any]:
        """The `State` of `docker inspect`. A container whose monitor was killed died with it: it is set right here."""
        try:
            state: dict[str, Any] = FRESH | read_json(self.path / "state.json")
        except FileNotFoundError:
            if not (self.path / "config.json").exists():
                raise NotFound(f"No such container: {self.id[:12]}") from None
            return dict(FRESH)
        if state["Status"] in LIVE and not self._monitored():
            state = FRESH | read_json(self.path / "state.json")
            if state["Status"] in LIVE:
                dead = {"Status": "exited", "Running": False, "Paused": False, "Restarting": False, "Pid": 0}
                state |= dead | {"ExitCode": 137, "FinishedAt": now()}
                write_json(self.path / "state.json", state)
        return state

    @property
    def attrs(self) -> dict[str, Any]:
        """What `docker inspect` prints."""
        config, state = self._config, self.state()
        shown = {key: state[key] for key in FRESH}
        mounts = [
            {"Type": "bind", "Source": b.source, "Destination": b.target, "Mode": "ro" if b.read_only else "",
             "RW": not b.read_only, "Propagation": "rprivate"}
            for b in self._binds()
        ]  # fmt: skip
        return {
            "Id": self.id,
            "Created": config["Created"],
            "Path": config["Path"],
            "Args": config["Args"],
            "State": shown,
            "Image": config["Image"],
            "LogPath": str(self.path / "log.jsonl"),
            "HostnamePath": str(self.path / "hostname"),
            "Name": "/" + self.name,
            "RestartCount": state.get("RestartCount", 0),
            "Driver": "overlay2",
            "Platform": "linux",
            "HostConfig": config["HostConfig"],
            "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": str(self.path / "upper")}},
            "Mounts": mounts,
            "Config": config["Config"],
            "NetworkSettings": {"Networks": {config["HostConfig"]["NetworkMode"]: {}}, "Ports": {}, "IPAddress": ""},
        }

    def summary(self, size: bool = False) -> dict[str, Any]:
        """What `docker ps` has of it (the API's `GET /containers/json`)."""
        config = self._config
        row = {
            "Id": self.id,
            "Names": ["/" + self.name],
            "Image": config["Config"]["Image"],
            "ImageID": config["Image"],
            "Command": " ".join([config["Path"], *config["Args"]]),
            "Created": timestamp(config["Created"]),
            "Ports": [],
            "Labels": self.labels,
            "State": self.status,
            "Status": describe(self.state()),
            "HostConfig": {"NetworkMode": config["HostConfig"]["NetworkMode"]},
            "NetworkSettings": {"Networks": {config["HostConfig"]["NetworkMode"]: {}}},
            "Mounts": self.attrs["Mounts"],
        }
        return row | ({"SizeRw": self.changes().size, "SizeRootFs": self.tree_size()} if size else {})

    def reload(self) -> None:
        """Read its configuration again. (Its state is never remembered.)"""
        self._config = self.containers.read(self.id)

    # Its life

    def start(self, stdio: Stdio = NO_STDIO) -> None:
        """Run its program. Nothing happens when it runs already. Raises StartError (exit code 127, 126 or 125)."""
        with FileLock(self.path / "start.lock"):
            state = self.state()
            if state["Paused"]:
                raise Conflict("cannot start a paused container, try unpause instead")
            if state["Running"]:
                return
            (self.path / "stopped").unlink(missing_ok=True)
            for bind in self._binds():
                if not Path(bind.source).exists():
                    Path(bind.source).mkdir(parents=True)
            try:
                self.containers.runtime.start(self._box(), stdio)
            except StartError as error:
                failed = {"Status": "created", "ExitCode": error.exit_code, "Error": error.explanation}
                write_json(self.path / "state.json", FRESH | failed)
                raise

    def stop(self, timeout: float | None = None) -> None:
        """Ask it to end (its stop signal), and kill it where it has not after `timeout` seconds (10)."""
        state = self.state()
        if state["Status"] not in LIVE:
            return
        (self.path / "stopped").touch()
        if state["Paused"]:
            self.containers.runtime.unpause(self._box())
        self._signal(self._stop_signal())
        if not self._gone(self._stop_timeout() if timeout is None else timeout):
            self._signal(9)
            self._gone(None)

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal, SIGKILL where none is named. Raises Conflict when it does not run."""
        number = spec.signal_number(signal if signal is not None else "SIGKILL")
        state = self.state()
        if state["Status"] not in ("running", "paused"):
            raise Conflict(f"Cannot kill container: {self.name}: Container {self.id} is not running")
        if number == 9:
            (self.path / "stopped").touch()
            if state["Paused"]:
                self.containers.runtime.unpause(self._box())
        self._signal(number)
        if number == 9:
            self._gone(None)

    def restart(self, timeout: float | None = None) -> None:
        """Stop it and start it again; what it wrote stays."""
        self.stop(timeout)
        self.start()

    def pause(self) -> None:
        """Freeze all its processes."""
        state = self.state()
        if state["Status"] != "running":
            raise Conflict(f"Container {self.id} is {'already paused' if state['Paused'] else 'not running'}")
        self.containers.runtime.pause(self._box())

    def unpause(self) -> None:
        """Let them go on."""
        if not self.state()["Paused"]:
            raise Conflict(f"Container {self.id} is not paused")
        self.containers.runtime.unpause(self._box())

    def wait(self, timeout: float | None = None, condition: str = "not-running") -> dict[str, Any]:
        """Wait until it no longer runs: `{"StatusCode": 0, "Error": None}`. Raises APIError after `timeout` seconds."""
        if condition not in ("not-running", "next-exit", "removed"):
            raise InvalidArgument(f"invalid condition: {condition!r}; use not-running, next-exit or removed")
        end = None if timeout is None else time.monotonic() + timeout
        state = self.state()
        while condition == "next-exit" and state["Status"] not in LIVE and not _late(end):
            time.sleep(TICK)
            state = self.state()
        if not self._gone(None if end is None else max(0, end - time.monotonic())):
            raise APIError(f"container {self.name} still runs after {timeout} seconds")
        state = self.state()
        while condition == "removed" and self.path.exists() and not _late(end):
            time.sleep(TICK)
        return {"StatusCode": state["ExitCode"], "Error": None}

    def rename(self, name: str) -> None:
        """Give it another name. Raises Conflict when that is taken."""
        self.containers.rename(self, name)
        self.reload()

    def remove(self, v: bool = False, link: bool = False, force: bool = False) -> None:
        """Delete it, its writable layer and its logs. Raises Conflict while it runs, unless `force`."""
        status = self.status
        if status in LIVE and not force:
            how = "Unpause and then stop" if status == "paused" else "Stop"
            raise Conflict(
                f"You cannot remove a {status} container {self.id}. {how} the container before attempting removal or "
                "force remove"
            )
        if status in LIVE:
            (self.path / "stopped").touch()
            if status == "paused":
                self.containers.runtime.unpause(self._box())
            self._signal(9)
            self._gone(None)
        self.containers.delete(self)

    # What it says and holds

    def logs(
        self,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool = False,
        timestamps: bool = False,
        tail: str | int = "all",
        since: Any = None,
        follow: bool | None = None,
        until: Any = None,
    ) -> Any:
        """What it printed: bytes, or with `stream` an iterator that (with `follow`) goes on while it runs."""
        wanted = {name for name, on in (("stdout", stdout), ("stderr", stderr)) if on}
        if not wanted:
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        going = (lambda: self.status in LIVE) if (stream if follow is None else follow) else None
        lines = logs.read(self.path / "log.jsonl", wanted, tail, since, until, going)
        out = (f"{line['time']} ".encode() * timestamps + logs.text(line) for line in lines)
        return out if stream else b"".join(out)

    def records(self, follow: bool = False, **options: Any) -> Iterator[dict[str, Any]]:
        """The log's records, for those who must tell stdout from stderr: `{"log", "stream", "time"}`."""
        going = (lambda: self.status in LIVE) if follow else None
        return logs.read(self.path / "log.jsonl", {"stdout", "stderr"}, going=going, **options)

    def attach(
        self, stdout: bool = True, stderr: bool = True, stream: bool = False, logs: bool = False, demux: bool = False
    ) -> Any:
        """Its output from now on (`stream`), or what it has printed until now (`logs`)."""
        if demux:
            raise InvalidArgument("attach(demux=True) is not there: use records(), which tells stdout from stderr")
        if not stream:
            return self.logs(stdout, stderr) if logs else b""
        return self.logs(stdout, stderr, stream=True, tail="all" if logs else 0)

    def exec_run(
        self,
        cmd: str | list[str],
        stdout: bool = True,
        stderr: bool = True,
        stdin: bool = False,
        tty: bool = False,
        privileged: bool = False,
        user: str = "",
        detach: bool = False,
        stream: bool = False,
        socket: bool = False,
        environment: Mapping[str, str] | list[str] | None = None,
        workdir: str | None = None,
        demux: bool = False,
    ) -> ExecResult:
        """Run one more program in it: `(exit_code, output)`; with `demux`, output is (stdout, stderr)."""
        options = {"stdin": stdin, "tty": tty, "privileged": privileged, "detach": detach, "stream": stream}
        spec.refuse(f"exec_run({name}=True)" for name, on in {**options, "socket": socket}.items() if on)
        import tempfile

        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            error_to = err if demux else out
            try:
                code = self.exec(cmd, Stdio(None, out.fileno(), error_to.fileno()), user, environment, workdir)
            except StartError as error:
                out.write(f"OCI runtime exec failed: {error.explanation}\r\n".encode())
                out.flush()
                code = error.exit_code
            texts = [_all(file) if on else None for file, on in ((out, stdout), (err, stderr))]
        return ExecResult(code, tuple(text or None for text in texts) if demux else texts[0] or b"")

    def exec(
        self,
        cmd: str | list[str],
        stdio: Stdio = NO_STDIO,
        user: str = "",
        environment: Mapping[str, str] | list[str] | None = None,
        workdir: str | None = None,
    ) -> int:
        """Run one more program in it, connected to file descriptors; its exit code. Raises Conflict, StartError."""
        state = self.state()
        if state["Status"] != "running":
            if state["Paused"]:
                raise Conflict(f"Container {self.id} is paused, unpause the container before exec")
            raise Conflict(f"Container {self.id} is not running")
        config = self._config["Config"]
        process = Process(
            tuple(spec.words(cmd)),
            tuple(spec.merge_env(self._env(), spec.env_list(environment))),
            workdir or config.get("WorkingDir") or "/",
            user or config.get("User") or "",
        )
        if not process.args:
            raise InvalidArgument("No exec command specified")
        return self.containers.runtime.exec(self._box(), process, stdio)

    def top(self, ps_args: str | None = None) -> dict[str, Any]:
        """Its processes, as `docker top`."""
        if ps_args:
            raise InvalidArgument("top takes no ps options here: it always lists UID, PID, PPID and CMD")
        if self.state()["Status"] not in LIVE:
            raise Conflict(f"Container {self.id} is not running")
        rows = self.containers.runtime.top(self._box())
        titles = ("UID", "PID", "PPID", "CMD")
        keys = ("user", "pid", "ppid", "command")
        return {"Titles": list(titles), "Processes": [[str(row.get(key, "")) for key in keys] for row in rows]}

    # Its files

    def changes(self) -> Changeset:
        """Its writable layer as a value: what `commit` would record."""
        return self.containers.runtime.changes(self._box())

    def tree(self) -> Tree:
        """What it sees: its image's layers with its own on top."""
        return view((*self._lower(), self.changes()))

    def tree_size(self) -> int:
        """Bytes of all the files that it sees."""
        return sum(entry.size for path, entry in self.tree().items() if entry.link in ("", path))

    def diff(self) -> list[dict[str, Any]]:
        """What it changed: `[{"Path": "/etc", "Kind": 0}]`; 0 modified, 1 added, 2 deleted."""
        lower = view(self._lower())
        kinds = (
            (path, 2 if entry.kind == "whiteout" else 0 if path in lower else 1)
            for path, entry in self.changes().items()
        )
        return [{"Path": path, "Kind": kind} for path, kind in kinds if path != "/"]

    def commit(
        self,
        repository: str | None = None,
        tag: str | None = None,
        message: str = "",
        author: str = "",
        pause: bool = True,
        changes: str | list[str] | None = None,
        conf: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> Image:
        """Make an image of it: its image's layers, and its writable layer as one more."""
        from minidocker.commit import commit

        stop = pause and self.status == "running"
        if stop:
            self.pause()
        try:
            image = commit(self, message, author, spec.lines(changes), conf or {})
        finally:
            if stop:
                self.unpause()
        if repository:
            self.containers.images.tag(image, f"{repository}:{tag}" if tag else repository)
        return image

    def export(self, chunk_size: int = 1 << 21) -> Iterator[bytes]:
        """Its whole file system as a tar, piece by piece."""
        from minidocker import layertar

        return layertar.chunks(Changeset({path: entry for path, entry in self.tree().items() if path != "/"}))

    def get_archive(
        self, path: str, chunk_size: int = 1 << 21, encode_stream: bool = False
    ) -> tuple[Iterator[bytes], Any]:
        """A file or folder of it as a tar, and its stat: what `docker cp` from a container asks for."""
        from minidocker import cp

        return cp.get(self, path)

    def put_archive(self, path: str, data: Any) -> bool:
        """Unpack a tar into a folder of it: what `docker cp` to a container does."""
        from minidocker import cp

        return cp.put(self, path, data)

    # The bookkeeping under it

    def box(self) -> Box:
        """How a runtime sees it."""
        return self._box()

    def _box(self) -> Box:
        config, host = self._config["Config"], self._config["HostConfig"]
        process = Process(
            (self._config["Path"], *self._config["Args"]),
            tuple(self._env()),
            config.get("WorkingDir") or "/",
            config.get("User") or "",
        )
        policy = host["RestartPolicy"]
        return Box(
            self.path,
            self.image.layers,
            process,
            config["Hostname"],
            self._binds(),
            host["ReadonlyRootfs"],
            "host" if host["NetworkMode"] == "host" else "none",
            (policy["Name"], policy["MaximumRetryCount"]),
        )

    def _env(self) -> list[str]:
        """Docker's own variables, and over them those of the image and the user."""
        config = self._config["Config"]
        return spec.merge_env([spec.PATH, f"HOSTNAME={config['Hostname']}"], config.get("Env") or [])

    def _lower(self) -> tuple[Changeset, ...]:
        return tuple(layer.changes for layer in self.image.layers)

    def _binds(self) -> tuple[Bind, ...]:
        return tuple(spec.bind(text) for text in self._config["HostConfig"]["Binds"] or [])

    def _stop_signal(self) -> int:
        return spec.signal_number(self._config["Config"].get("StopSignal") or "SIGTERM")

    def _stop_timeout(self) -> float:
        return float(self._config["Config"].get("StopTimeout") or 10)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
            self.containers.runtime.signal(self._box(), number)

    def _monitored(self) -> bool:
        lock = FileLock(self.path / "monitor.lock", shared=True)
        if lock.acquire(blocking=False):
            lock.release()
            return False
        return True

    def _gone(self, timeout: float | None) -> bool:
        """Wait until its monitor is gone; False when it is still there after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.path.exists() and self._monitored():
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._doze(left)
        return True

    def _doze(self, longest: float | None) -> None:
        """Sleep until the monitor ends, where the system can tell; else for a moment."""
        try:
            import select

            monitor = os.pidfd_open(int(read_json(self.path / "state.json")["Monitor"]))  # type: ignore[attr-defined,unused-ignore]
        except (AttributeError, ImportError, OSError, KeyError, ValueError):
            time.sleep(TICK if longest is None else min(TICK, longest))
            return
        try:
            # The process may be another one by now: then its lock is free, and the caller looks at that first.
            select.select([monitor], [], [], min(1.0, longest) if longest is not None else 1.0)
        finally:
            os.close(monitor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Container: {self.short_id}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from minidocker.notebook import mimebundle

        return mimebundle(self)

    def __str__(self) -> str:
        from minidocker.notebook import text

        return text(self)


class Containers:
    """The containers of one store."""

    def __init__(self, store: Store, images: Images, runtime: Runtime) -> None:
        self.store, self.images, self.runtime = store, images, runtime
        self.folder = store.root / "containers"
        self._names = self.folder / "names"
        self._names.mkdir(parents=True, exist_ok=True)

    def create(self, image: str | Image, command: str | list[str] | None = None, **options: Any) -> Container:
        """Make a container, not running yet. Options are those of Docker's SDK; what is not done is refused by name."""
        with self.store.keep():
            name = image if isinstance(image, str) else (image.tags or [image.id])[0]
            image = self.images.get(image) if isinstance(image, str) else image
            config = spec.container_config(image, name, command, options)
            self._enter(config)
        return Container(self, config)

    def run(
        self,
        image: str | Image,
        command: str | list[str] | None = None,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        **options: Any,
    ) -> Any:
        """Create and start; return its output, or with `detach=True` the container. Raises ContainerError."""
        stream, detach = options.pop("stream", False), options.pop("detach", False)
        if remove and detach:
            options["auto_remove"] = True
        container = self.create(image, command, **options)
        try:
            container.start()
        except BaseException:
            if remove:
                container.remove(force=True)
            raise
        if detach:
            return container
        if stream:
            return self._stream(container, stdout, stderr, remove)
        return self._finish(container, stdout, stderr, remove)

    def _stream(self, container: Container, stdout: bool, stderr: bool, remove: bool) -> Iterator[bytes]:
        yield from container.logs(stdout, stderr, stream=True, follow=True)
        self._finish(container, False, True, remove)

    def _finish(self, container: Container, stdout: bool, stderr: bool, remove: bool) -> bytes:
        try:
            status = container.wait()["StatusCode"]
            output: bytes = container.logs(stdout, stderr) if stdout or stderr else b""
            if status:
                said = container.logs(stdout=False, stderr=True)
                command = container._config["Config"]["Cmd"]
                raise ContainerError(container, status, command, container._config["Config"]["Image"], said)
        finally:
            if remove or container._config["HostConfig"]["AutoRemove"]:
                container.remove(force=True)
        return output

    def get(self, name: str) -> Container:
        """The container of a name, an id, or the start of an id. Raises NotFound."""
        known = self._names / name.lstrip("/")
        if spec.is_name(name.lstrip("/")) and known.exists() and (found := self._read(known.read_text())):
            return Container(self, found)
        ids = [path.name for path in self._folders() if re.fullmatch("[0-9a-f]+", name) and path.name.startswith(name)]
        if len(ids) > 1:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {name}")
        if ids and (found := self._read(ids[0])):
            return Container(self, found)
        raise NotFound(f"No such container: {name}")

    def list(
        self,
        all: bool = False,
        before: str | None = None,
        limit: int = -1,
        since: str | None = None,
        filters: Mapping[str, Any] | None = None,
        sparse: bool = False,
        ignore_removed: bool = False,
    ) -> list[Container]:
        """Containers, newest first: those that run, or `all`. Filters: name, id, status, label, ancestor, exited…"""
        from minidocker.filters import container_filter

        every = self._every()
        every.sort(key=lambda container: container._config["Created"], reverse=True)
        conditions = {key: spec.lines(value) for key, value in (filters or {}).items()}
        conditions |= {key: [value] for key, value in (("before", before), ("since", since)) if value}
        if not (all or limit > 0 or {"status", "exited"} & conditions.keys()):
            every = [container for container in every if container.status in LIVE]
        for key, wanted in conditions.items():
            test = container_filter(self, key, wanted)
            every = [container for container in every if test(container)]
        return every[:limit] if limit > 0 else every

    def prune(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove all that do not run: `{"ContainersDeleted": […], "SpaceReclaimed": bytes}`."""
        gone, freed = [], 0
        for container in self.list(all=True, filters=filters):
            if container.status not in LIVE:
                freed += container.changes().size
                container.remove()
                gone.append(container.id)
        return {"ContainersDeleted": gone or None, "SpaceReclaimed": freed}

    def in_use(self) -> dict[str, tuple[str, bool]]:
        """Container id -> (image id, whether it runs)."""
        return {c.id: (c._config["Image"], c.status in LIVE) for c in self._every()}

    # The bookkeeping under it

    def read(self, id: str) -> dict[str, Any]:
        """The `config.json` of an id. Raises NotFound."""
        found = self._read(id)
        if found is None:
            raise NotFound(f"No such container: {id[:12]}")
        return found

    def _read(self, id: str) -> dict[str, Any] | None:
        try:
            config: dict[str, Any] = read_json(self.folder / id / "config.json")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return config

    def _folders(self) -> Iterable[Path]:
        return (path for path in self.folder.iterdir() if re.fullmatch("[0-9a-f]{64}", path.name))

    def _every(self) -> Any:
        found = [Container(self, config) for path in self._folders() if (config := self._read(path.name))]
        return [container for container in found if not self._reap(container)]

    def _reap(self, container: Container) -> bool:
        """A `--rm` container whose engine was not there when it ended is removed by the next one that looks."""
        if not container._config["HostConfig"]["AutoRemove"]:
            return False
        try:
            if container.status != "exited" or time.time() - timestamp(container.state()["FinishedAt"]) < 1:
                return False
            container.remove()
        except (NotFound, FileNotFoundError):
            pass
        return True

    def _enter(self, config: dict[str, Any]) -> None:
        """Make the folder: the name is taken, and the container is there as a whole, or not at all."""
        id = config["Id"]
        with self.store.lock():
            if not config["Name"]:
                config["Name"] = next(name for name in spec.random_names() if self._owner(name) is None)
            self._check_name(config["Name"])
            folder = temp_path(self.store.root / "tmp" / id)
            folder.mkdir()
            try:
                write_json(folder / "config.json", config)
                folder.rename(self.folder / id)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (self._names / config["Name"]).write_text(id)

    def _owner(self, name: str) -> str | None:
        try:
            id = (self._names / name).read_text()
        except FileNotFoundError:
            return None
        return id if (self.folder / id / "config.json").exists() and id else None

    def _check_name(self, name: str) -> None:
        if (owner := self._owner(name)) is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}". You have to remove '
                "(or rename) that container to be able to reuse that name."
            )

    def rename(self, container: Container, name: str) -> None:
        """Move a container to another name."""
        name = spec.check_name(name.lstrip("/"))
        with self.store.lock():
            if name == container.name:
                raise InvalidArgument("Renaming a container with the same name as its current name")
            self._check_name(name)
            config = self.read(container.id)
            (self._names / name).write_text(container.id)
            write_json(container.path / "config.json", config | {"Name": name})
            (self._names / config["Name"]).unlink(missing_ok=True)

    def delete(self, container: Container) -> None:
        """Take a container that does not run out of sight at once, then delete its files."""
        gone = temp_path(self.store.root / "tmp" / container.id)
        box = container.box()
        with self.store.lock():
            try:
                container.path.rename(gone)
            except FileNotFoundError:
                raise NotFound(f"No such container: {container.id[:12]}") from None
            if self._owner(container.name) is None:
                (self._names / container.name).unlink(missing_ok=True)
        self.runtime.remove(Box(gone, box.layers, box.process))
        shutil.rmtree(gone, ignore_errors=True)


def timestamp(text: str) -> int:
    """Seconds since 1970 of such a moment."""
    from minidocker.image import unix_time

    return unix_time(text)


def describe(state: Mapping[str, Any]) -> str:
    """The state in the words of `docker ps`: `Up 3 seconds (Paused)`, `Exited (2) 1 second ago`."""
    status = state["Status"]
    if status in ("running", "paused"):
        return f"Up {human(_age(state['StartedAt']))}" + (" (Paused)" if status == "paused" else "")
    if status == "restarting":
        return f"Restarting ({state['ExitCode']}) {human(_age(state['FinishedAt']))} ago"
    if status == "exited":
        return f"Exited ({state['ExitCode']}) {human(_age(state['FinishedAt']))} ago"
    return str(status).capitalize()


def human(span: timedelta) -> str:
    """A length of time as Docker says it.

    >>> human(timedelta(seconds=1)), human(timedelta(seconds=75)), human(timedelta(days=3))
    ('1 second', 'About a minute', '3 days')
    """
    seconds = int(span.total_seconds())
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes, hours = seconds // 60, int(seconds / 3600 + 0.5)
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    for limit, unit, name in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if days < limit:
            return f"{days // unit} {name}"
    return f"{days // 365} years"


def _age(moment: str) -> timedelta:
    return timedelta(seconds=max(0, time.time() - timestamp(moment)))


def _late(end: float | None) -> bool:
    return end is not None and time.monotonic() > end


def _all(file: Any) -> bytes:
    file.seek(0)
    data: bytes = file.read()
    return data
