"""One container: what it is, its life, what it says and holds."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from socket import SocketIO
from typing import TYPE_CHECKING, Any

from minidocker.container import inspection, life, links, logs, mountpoints, networking, spec
from minidocker.container import state as states
from minidocker.container.attaching import attach_socket, connect, guests, joined, need_attachable, pieces
from minidocker.container.execution import Command, Environment, ExecResult, Execution, create
from minidocker.container.options import TOPICS, limits, logging, mounts, restart, sharing
from minidocker.container.options.terminal import of_process
from minidocker.container.state import LIVE
from minidocker.container.waiting import STARTED, Waiting
from minidocker.content import FileLock
from minidocker.drawn import Drawn
from minidocker.errors import APIError, Conflict, InvalidArgument, NotFound, StartError, Unsupported
from minidocker.filters import texts
from minidocker.image import Image
from minidocker.layer import Changeset, view
from minidocker.plugin.releasing import release, volumes_of
from minidocker.runtime import NO_STDIO, Box, Mount, Process, Runtime, Stdio, Usage, Wire, monitor
from minidocker.tree import Tree

if TYPE_CHECKING:
    import socket

    from minidocker.container.containers import Containers
    from minidocker.network import Network

KILL = 9
DEATH = 10.0  # seconds in which one that is killed has to be dead
FAREWELL = 30.0  # seconds in which a monitor that has written its last state ends, and lets go of its lock


class Container(Drawn):
    """One container. Attributes and methods are those of Docker's SDK for Python."""

    def __init__(self, containers: Containers, config: dict[str, Any]) -> None:
        self.containers, self.config = containers, config  # which others may look at: replaced, never changed
        self.id: str = config["Id"]
        self.path: Path = containers.folder / self.id
        self.warnings: list[str] = []  # what Docker says when it is made: limits that cannot be enforced here
        self.throwaway: bool = config["HostConfig"]["AutoRemove"]  # nothing of it need survive a power cut

    # What it is

    @property
    def short_id(self) -> str:
        """The first twelve digits of the id."""
        return self.id[:12]

    @property
    def name(self) -> str:
        """Its name, without the slash that the API puts before it."""
        return str(self.config["Name"])

    @cached_property
    def image(self) -> Image:
        """The image that it was made from, found by what it is and not by its tag."""
        return Image(self.containers.images, self.config["Manifest"])

    @property
    def runtime(self) -> Runtime:
        """What runs it: the engine's, or the one that was asked for (`--runtime`)."""
        return self.containers.runtime_of(self.config["HostConfig"].get("Runtime") or "")

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the image and of its own."""
        return dict(self.config["Config"].get("Labels") or {})

    @property
    def status(self) -> str:
        """created, running, paused, restarting, exited or dead."""
        return str(self.state()["Status"])

    @property
    def health(self) -> str:
        """starting, healthy, unhealthy; or `unknown`, where there is no health check."""
        return str(self.state().get("Health", {}).get("Status", "unknown"))

    @property
    def ports(self) -> dict[str, Any]:
        """Its ports, as `docker inspect` has them: `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}`."""
        state = self.state()
        return networking.ports(self, state) if state["Status"] in LIVE else {}

    def state(self) -> dict[str, Any]:
        """The `State` of `docker inspect`, as it is now."""
        return states.read(self.path, self._bury)

    def _bury(self, state: Mapping[str, Any]) -> None:
        """Its monitor was killed, so nobody else told that it died, and tidied up."""
        self.tell("die", exitCode=str(state["ExitCode"]))
        release(str(self.containers.store.root), self.config)
        with contextlib.suppress(APIError, OSError):
            self.runtime.bury(self.box())
            networking.leave(self, networking.now(self))

    @property
    def attrs(self) -> dict[str, Any]:
        """What `docker inspect` prints, as it is now: the caller's own, whatever becomes of it."""
        return deepcopy(inspection.attrs(self))

    def summary(self, size: bool = False) -> dict[str, Any]:
        """What `docker ps` has of it (the API's `GET /containers/json`)."""
        return inspection.summary(self, size)

    def reload(self) -> None:
        """Read its configuration again. (Its state is never remembered.)"""
        self.config = self.containers.read(self.id)

    # Its life

    def start(self, stdio: Stdio = NO_STDIO) -> None:
        """Run its program. Nothing happens when it runs already. Raises StartError (exit code 127, 126 or 125)."""
        if self._runs():  # asked before and after the door: a start may take as long as the program
            return
        with self._deciding():
            if self._runs() or not self._rests():
                return
            sharing.check(self)
            links.check(self)
            (self.path / "stopped").unlink(missing_ok=True)
            mounts.check_sources(self.config["HostConfig"])
            for point in self.config["Mounts"]:
                if point["Type"] == "bind" and not Path(point["Source"]).exists():
                    Path(point["Source"]).mkdir(parents=True)
            try:
                logging.check(self.config)
                self._mount()
                with self._released_on_failure():
                    networking.settle(self)
                    try:
                        self._launch(stdio)
                    except StartError:
                        if not networking.settle(self):
                            raise
                        self._launch(stdio)
            except StartError as error:
                states.write_failed(self.path, error.exit_code, error.explanation)
                raise

    def _launch(self, stdio: Stdio) -> None:
        """Start it on its networks; where that fails, it is on none of them."""
        wires = networking.join(self)
        try:
            links.follow(self)
            with guests(self.path) as clients:
                self.runtime.start(self.box(wires), replace(stdio, clients=(*stdio.clients, *clients)))
            with STARTED:
                STARTED.notify_all()
        except BaseException:
            networking.leave(self, wires)
            raise

    def _mount(self) -> None:
        """Have its volumes mounted; where a plugin has one in another place by now, that is written down."""
        if volumes_of(self.config):
            points = mountpoints.mount(self, self.containers.volumes)
            if points != self.config["Mounts"]:
                self.containers.change(self, Mounts=points)

    @contextlib.contextmanager
    def _released_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            release(str(self.containers.store.root), self.config)
            raise

    def tell(self, action: str, **attributes: str) -> None:
        """Write down what happened to it, for those who follow `docker events`."""
        self.containers.tell(self.config, action, attributes)

    def _runs(self) -> bool:
        state, then = self._led("start")
        return then == str(state["Status"])

    def _rests(self) -> bool:
        """Whether it does not run, and has no monitor; one may still write its last words, or be about to start it."""
        end = time.monotonic() + FAREWELL
        while self.status not in LIVE:
            if monitor.await_end(self.path, monitor.TICK):
                return self.status not in LIVE
            if time.monotonic() > end:
                raise Conflict(f"Container {self.id} is neither started nor stopped: somebody is at it; try again")
        return False

    def _led(self, verb: str) -> tuple[dict[str, Any], str]:
        """Its state, and the one that a verb leads to. Raises Conflict where the verb does not belong to the state."""
        state = self.state()
        return state, life.lead(verb, state["Status"], self.name, self.id)

    def stop(self, timeout: float | None = None, signal: str | int | None = None) -> None:
        """Ask it to end (by `signal`, or its own stop signal), and kill it where it has not after `timeout` seconds.

        Without one it has as long as it was made with, or 10 seconds; with a negative one, as long as it likes.
        """
        with self.watching():
            self._stop(timeout, signal)
        self.containers.reap(self)

    def _stop(self, timeout: float | None, signal: str | int | None) -> None:
        state, then = self._led("stop")
        if then == state["Status"]:
            return
        self._by_hand(state)
        patience = self._stop_timeout() if timeout is None else timeout
        self._signal(self._stop_signal() if signal is None else spec.signal_number(signal))
        if not monitor.await_end(self.path, None if patience < 0 else patience):
            self._slay()
        self.tell("stop")

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal, SIGKILL where none is named. Raises Conflict when it does not run."""
        number = spec.signal_number(signal if signal is not None else KILL)
        state, _ = self._led("kill")
        if number in (KILL, self._stop_signal()) or not self.config["Config"].get("StopSignal"):
            self._by_hand(state)
        if number == KILL:
            self._slay()
        else:
            self._signal(number)

    def restart(self, timeout: float | None = None, signal: str | int | None = None) -> None:
        """Stop it and start it again; what it wrote stays."""
        with self.watching():  # one with --rm stays, this time
            self._stop(timeout, signal)
            self.start()
        self.tell("restart")

    def pause(self) -> None:
        """Freeze all its processes."""
        self._led("pause")
        self.runtime.pause(self.box())
        self.tell("pause")

    def unpause(self) -> None:
        """Let them go on. Raises APIError (status 500, as Docker's) where it is not paused."""
        self._led("unpause")
        self.runtime.unpause(self.box())
        self.tell("unpause")

    def wait(self, timeout: float | None = None, condition: str = "not-running") -> dict[str, Any]:
        """Wait until it no longer runs: `{"StatusCode": 0, "Error": None}`. Raises APIError after `timeout` seconds.

        `condition` is `not-running`, `next-exit` or `removed`. A container that was removed by force had status 137.
        """
        with contextlib.closing(Waiting(self, condition)) as waiting:
            found = waiting.result(math.inf if timeout is None else timeout)
        if found is None:
            raise APIError(f"the time to wait for container {self.name} is over: it is {self.status}")
        return found

    def connect_to(self, network: Network, asked: dict[str, Any]) -> None:
        """Connect it to one more network: what `Network.connect` does."""
        self.reload()
        networking.connect(self, network, asked)

    def disconnect_from(self, network: Network, force: bool = False) -> None:
        """Take it off a network: what `Network.disconnect` does."""
        self.reload()
        networking.disconnect(self, network, force)

    def rename(self, name: str) -> None:
        """Give it another name. Raises Conflict when that is taken."""
        self.containers.rename(self, name)
        self.reload()

    def remove(self, v: bool = False, link: bool = False, force: bool = False) -> None:
        """Delete it, its writable layer and its logs, with `v` its anonymous volumes. Raises Conflict while it runs,
        unless `force`.
        """
        if link:
            raise Conflict("Conflict, cannot remove the default link name of the container")  # `containers.unlink`
        while True:
            state = self.state() if force else self._led("remove")[0]
            ends = state["Status"] in LIVE
            try:
                if ends:
                    self._end(state)
                with self._deciding():
                    if self._rests():
                        self.containers.delete(self)
                        break
            except NotFound:
                if not ends:
                    raise
                break  # one with `--rm` may have gone of itself, now that it has ended
        if v:
            self.containers.volumes.remove_anonymous(self.config["Mounts"])

    def _end(self, state: Mapping[str, Any]) -> None:
        self._by_hand(state)
        self._slay()

    # What it says

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
        follow = stream if follow is None else follow
        records = self.records(follow, tail=tail, since=since, until=until)
        out = (logs.text(record, timestamps) for record in records if record["stream"] in wanted)
        return out if stream else b"".join(out)

    def records(
        self, follow: bool = False, gone: Callable[[], bool] = lambda: False, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """The log's records, for those who must tell stdout from stderr: `{"log", "stream", "time"}`.

        With `follow` also those to come, until it ends or nobody reads them any more (`gone`).
        """
        self.state()
        if self.config["HostConfig"]["LogConfig"]["Type"] == "none":
            raise Unsupported("configured logging driver does not support reading")
        found = self._records((lambda: not gone() and self._goes_on()) if follow else None, options)
        next(found)  # the log is open: docker-py reads it after it has removed the container; what is past is known
        return found

    def _records(self, going: Callable[[], bool] | None, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with self.watching(), contextlib.closing(logs.Files(self.path / "log.jsonl")) as files:
            found = logs.read(files, going=going, **options)
            yield {}
            yield from found

    def attach(
        self, stdout: bool = True, stderr: bool = True, stream: bool = False, logs: bool = False, demux: bool = False
    ) -> Any:
        """Its output from now on (`stream`), or what it has printed until now (`logs`); `demux`: (stdout, stderr)."""
        if stream and self.runtime.attachable and self.status not in ("exited", "dead"):
            wants = {"stdout": stdout, "stderr": stderr, "stream": True, "logs": logs}
            found = pieces(attach_socket(self, wants), self.tty)
            return found if demux else (out or err for out, err in found)
        self.tell("attach")
        if demux:
            return self._demuxed(stream, logs)
        if not stream:
            return self.logs(stdout, stderr) if logs else b""
        return self.logs(stdout, stderr, stream=True, tail="all" if logs else 0)

    def _demuxed(self, stream: bool, past: bool) -> Any:
        records = self.records(follow=stream, tail="all" if past else 0)
        pairs = ((logs.text(record), record["stream"] == "stdout") for record in records)
        found = ((text, None) if out else (None, text) for text, out in pairs)
        return found if stream else joined(iter(found), demux=True)

    def attach_socket(self, params: Mapping[str, Any] | None = None, ws: bool = False) -> SocketIO:
        """A connection with its streams, as the SDK's: `params` are those of the API (stdin, stdout, stderr, stream…).

        With a terminal, bytes as they are; else what comes has Docker's headers of 8 bytes. Its `_sock` is the socket;
        half of it closed ends the program's input. A container that does not run yet may be attached to as well.
        """
        if ws:
            raise Unsupported("minidocker does not speak websockets: leave out ws=True")
        wants = {"stdout": 1, "stderr": 1, "stream": 1} if params is None else params
        return SocketIO(attach_socket(self, wants), "rwb")

    def connect(self, stdin: bool = False, stdout: bool = True, stderr: bool = True) -> socket.socket:
        """`attach_socket`, as a plain socket."""
        return connect(self, stdin, stdout, stderr)

    def resize(self, height: int, width: int) -> None:
        """Tell its terminal its size. Raises Conflict where it does not run."""
        need_attachable(self)
        if not self._goes_on():
            raise Conflict(f"Container {self.id} is not running")
        if not self.tty:
            raise Conflict(f"cannot resize container {self.id}: it has no terminal")
        self.runtime.resize(self.box(), "", height, width)
        self.tell("resize", height=str(height), width=str(width))

    @property
    def tty(self) -> bool:
        """Whether its program has a terminal."""
        return bool(self.config["Config"]["Tty"])

    # More programs in it

    def exec_run(
        self,
        cmd: Command,
        stdout: bool = True,
        stderr: bool = True,
        stdin: bool = False,
        tty: bool = False,
        privileged: bool = False,
        user: str = "",
        detach: bool = False,
        stream: bool = False,
        socket: bool = False,
        environment: Environment = None,
        workdir: str | None = None,
        demux: bool = False,
    ) -> ExecResult:
        """Run one more program in it: `(exit_code, output)`.

        With `demux` the output is (stdout, stderr); with `stream` it is an iterator and the exit code None; with
        `socket` it is a connection as of `attach_socket`; with `detach` nothing is waited for. Raises Conflict where
        the container does not run.
        """
        options = {"stdout": stdout, "stderr": stderr, "stdin": stdin, "tty": tty, "privileged": privileged}
        if tty or socket:
            need_attachable(self)
        execution = Execution(
            self, create(self, cmd, user=user, environment=environment, workdir=workdir or "", **options)
        )
        if detach:
            return execution.detach()
        if socket:
            return ExecResult(None, SocketIO(execution.save().connect(), "rwb"))
        return (execution.stream if stream else execution.collect)(stdout, stderr, demux)

    def exec_create(self, cmd: Command, **options: Any) -> Execution:
        """A program to be run in it: an `Execution`, which any engine finds again by its id (`containers.execution`).

        Options as in the SDK: stdout, stderr, stdin, tty, privileged, user, environment…
        """
        return Execution(self, create(self, cmd, **{"stdout": True, "stderr": True, **options})).save()

    def exec(
        self,
        cmd: Command,
        stdio: Stdio = NO_STDIO,
        user: str = "",
        environment: Environment = None,
        workdir: str | None = None,
        privileged: bool = False,
    ) -> int:
        """Run one more program in it, connected to file descriptors; its exit code. Raises Conflict, StartError."""
        options = {"user": user, "environment": environment, "workdir": workdir, "privileged": privileged}
        return Execution(self, create(self, cmd, **options)).run(stdio)

    def top(self, ps_args: str | None = None) -> dict[str, Any]:
        """Its processes, as `docker top`: `{"Titles": ["UID", …], "Processes": [["root", …]]}`."""
        from minidocker.container import top

        if self.state()["Status"] not in ("running", "paused"):
            raise Conflict(f"Container {self.id} is not running")
        rows, args = self.runtime.top(self.box()), ps_args or top.DEFAULT
        real = self.runtime.name != "simulated" and top.there_is_ps()
        found = top.by_ps([row["pid"] for row in rows], args) if real else top.by_hand(rows, args)
        self.tell("top")
        return found

    # What it uses, and may use

    def usage(self) -> Usage:
        """What it uses now. Raises Conflict where it does not run, Unsupported where that cannot be measured."""
        return self.runtime.usage(self.box())

    def cgroup_files(self) -> dict[str, str]:
        """The kernel's files about its limits, as they are seen inside: `{"pids.max": "20"}`; none where it has none.

        What `free` and `nproc` show in a container is of the machine; this is what holds. Raises Conflict.
        """
        return self.containers.runtime.cgroup_files(self.box())

    def stats(self, decode: bool | None = None, stream: bool = True, one_shot: bool | None = None) -> Any:
        """What it uses, as the API has it: with `stream` a sample a second, as JSON or with `decode` as dicts; else one
        dict, of two samples a second apart (`one_shot`: of one).
        """
        from minidocker.container import stats

        if not stream:
            if decode:
                raise InvalidArgument("decode is only available in conjunction with stream=True")
            return stats.sample(self, None) if one_shot else stats.twice(self)
        self.state()
        samples = stats.stream(self)
        return samples if decode else (f"{json.dumps(each)}\n".encode() for each in samples)

    def update(self, **options: Any) -> dict[str, Any]:
        """Change its limits and its restart policy, whether it runs or not: `{"Warnings": None}`."""
        given = {key: value for key, value in options.items() if value is not None}
        if more := given.keys() - limits.UPDATABLE - {"restart_policy"}:
            raise TypeError(f"update() got an unexpected keyword argument {min(more)!r}")
        new = limits.changed(self.id, limits.DEFAULTS | self.config["HostConfig"], given)
        host = restart.changed(self.id, {**limits.DEFAULTS, **self.config["HostConfig"], **new}, given)
        warnings = limits.discard(host, lambda: self.runtime.supports())
        new = {key: host[key] for key in new if key in host and key in limits.LIMITS}
        if new and self.status in ("running", "paused"):
            try:
                self.runtime.update(self.box(), _with_swap(new, host))
            except InvalidArgument as error:
                raise APIError(f"Cannot update container {self.id}: {error.explanation}") from None
        if (host["PidsLimit"] or 0) < 0:
            host["PidsLimit"] = 0  # as Docker shows it, where a limit was taken away
        self.containers.change(self, HostConfig=host)
        self.tell("update")
        return {"Warnings": warnings or None}

    # Its files

    def changes(self) -> Changeset:
        """Its writable layer as a value: what `commit` would record."""
        self.state()
        return self.runtime.changes(self.box())

    def sizes(self) -> tuple[int, int]:
        """How much it has written, and how much that is with its image."""
        own = self.changes().size
        return own, own + self.image.size

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
    ) -> Image:
        """Make an image of it: its image's layers, and its writable layer as one more. It is paused meanwhile."""
        from minidocker.container.commit import commit

        return commit(self, repository, tag, message, author, pause, _lines(changes), conf or {})

    def export(self, chunk_size: int = 1 << 21) -> Iterator[bytes]:
        """Its whole file system as a tar, piece by piece."""
        from minidocker import layertar

        chunks = layertar.chunks(Changeset({path: entry for path, entry in self.tree().items() if path != "/"}))
        self.tell("export")
        return chunks

    def get_archive(
        self, path: str, chunk_size: int = 1 << 21, encode_stream: bool = False
    ) -> tuple[Iterator[bytes], dict[str, Any]]:
        """A file or folder of it as a tar, and its stat: what `docker cp` from a container asks for."""
        from minidocker.container import cp

        found = cp.get(self, path)
        self.tell("archive-path")
        return found

    def put_archive(self, path: str, data: Any, keep_kinds: bool = False, owned: bool = False) -> bool:
        """Unpack a tar into a folder of it: what `docker cp` to a container does.

        With `keep_kinds`, no file takes the place of a folder, and no folder that of a file; with `owned`, all of it
        belongs to the container's user.
        """
        from minidocker.container import cp

        done = cp.put(self, path, data, keep_kinds, owned)
        self.tell("extract-to-dir")
        return done

    # How a runtime sees it

    def box(self, wires: tuple[Wire, ...] = ()) -> Box:
        """What a runtime needs to know of it; `wires` are its places on networks, if it has some."""
        config, host = self.config["Config"], self.config["HostConfig"]
        wires = wires or (tuple(networking.now(self)) if self.runtime.name == "simulated" else ())
        args = (self.config["Path"], *self.config["Args"])
        cwd, user, env = config.get("WorkingDir") or "/", config.get("User") or "", tuple(self.env(self.tty))
        process = Process(args, env, cwd, user, groups=self.groups(), **of_process(self.config))
        fields = {field: value for topic in TOPICS for field, value in topic.boxed(self.config).items()}
        if self.config.get("Links"):
            fields["names"] = replace(fields["names"], links=links.hosts(self))
        if binding := next((wire.binding for wire in wires if wire.address), ""):
            fields["ports"] = tuple(replace(port, host=port.host or binding) for port in fields["ports"])
        return Box(
            self.path,
            self.image.layers,
            process,
            self.hostname(),
            self.mounts(),
            host["ReadonlyRootfs"],
            {"host": "host", "container": "container"}.get(host["NetworkMode"].partition(":")[0], "none"),
            throwaway=self.throwaway,
            networks=str(self.containers.networks.folder.absolute()),
            wires=wires,
            **fields,
        )

    def hostname(self) -> str:
        """Its host name: in the network of another container that one's, while it is there."""
        with contextlib.suppress(NotFound):
            for kind, donor in sharing.donors(self):
                if kind == "net":
                    return donor.hostname()
        return str(self.config["Config"]["Hostname"])

    def groups(self) -> tuple[str, ...]:
        """Further groups of its processes."""
        return tuple(self.config["HostConfig"].get("GroupAdd") or ())

    def env(self, tty: bool = False) -> list[str]:
        """Docker's own variables, and over them those of the image and the user."""
        config = self.config["Config"]
        own = [spec.PATH, f"HOSTNAME={self.hostname()}", *(["TERM=xterm"] if tty else [])]
        return spec.merge_env([*own, *links.environment(self)], config.get("Env") or [])

    def mounts(self) -> tuple[Mount, ...]:
        """All that is mounted into it."""
        return mountpoints.boxed(self, self.containers.volumes)

    def watching(self) -> contextlib.AbstractContextManager[None]:
        """Hold this for as long as you wait or read the log: a `--rm` container stays until then."""
        return self.locked("watch.lock", shared=True)

    def _deciding(self) -> contextlib.AbstractContextManager[None]:
        """Whoever starts or removes it does so alone."""
        return self.locked("start.lock")

    @contextlib.contextmanager
    def locked(self, name: str, shared: bool = False) -> Iterator[None]:
        """Hold a lock that lies in its folder. Raises NotFound."""
        lock = FileLock(self.path / name, shared)
        try:
            lock.acquire()
        except FileNotFoundError:
            raise NotFound(f"No such container: {self.id}") from None
        try:
            yield
        finally:
            lock.release()

    def _by_hand(self, state: Mapping[str, Any]) -> None:
        """A person ends it: no restart policy applies, and a frozen process must go on to hear of it."""
        (self.path / "stopped").touch()
        if state["Paused"]:
            self.unpause()

    def _lower(self) -> tuple[Changeset, ...]:
        return tuple(layer.changes for layer in self.image.layers)

    def _stop_signal(self) -> int:
        return spec.signal_number(self.config["Config"].get("StopSignal") or "SIGTERM")

    def _stop_timeout(self) -> float:
        given = self.config["Config"].get("StopTimeout")
        return 10.0 if given is None else float(given)

    def _slay(self) -> None:
        """Kill it, and wait until it is dead. Raises Conflict where it does not die: another runtime has it."""
        self._signal(KILL)
        if not monitor.await_end(self.path, DEATH):
            raise Conflict(
                f"cannot kill container {self.name}: tried to kill container, but did not receive an exit event; "
                f"does it run on another runtime than {self.runtime.name}? ($MINIDOCKER_RUNTIME, connect(runtime=…))"
            )

    def _signal(self, number: int) -> None:
        self.tell("kill", signal=str(number))
        with contextlib.suppress(ProcessLookupError, Conflict):  # it ended by itself meanwhile
            self.runtime.signal(self.box(), number)

    def _goes_on(self) -> bool:
        try:
            return self.status in LIVE
        except NotFound:
            return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Container: {self.short_id}>"


def _with_swap(new: dict[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """New limits with those that belong to them: memory and memory with swap are one thing to the kernel."""
    pairs = (("Memory", "MemorySwap"), ("CpuPeriod", "CpuQuota"))
    both = {key for pair in pairs if set(pair) & new.keys() for key in pair}
    return new | {key: host[key] for key in both if host[key]}


def _lines(changes: str | list[str] | None) -> list[str]:
    return [line for text in texts(changes) for line in text.splitlines()]
