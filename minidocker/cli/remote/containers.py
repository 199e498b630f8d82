"""The containers of a daemon, as our commands know containers."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

from minidocker.cli.remote import Api, timestamp
from minidocker.container.attaching import Frames
from minidocker.container.cp import GO_KINDS
from minidocker.container.options import TOPICS, limits, networks, restart
from minidocker.container.spec import check_name, env_list, words
from minidocker.errors import APIError, NotFound, StartError, Unsupported

NOTHING = SimpleNamespace(config={})  # what the image says, the daemon adds


class Containers:
    """All of them."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def list(self, all: bool = False, limit: int = -1, filters: Mapping[str, Any] | None = None) -> list[Container]:
        """Those that are listed."""
        found = self.api.containers(all=all, limit=limit, filters=dict(filters or {}))
        return [Container(self.api, one["Id"], one) for one in found]

    def get(self, name: str) -> Container:
        """The one of a name or id. Raises NotFound."""
        found = self.api.inspect_container(name)
        return Container(self.api, found["Id"], attrs=found)

    def create(self, image: str, command: Any = None, **options: Any) -> Container:
        """Make one; the options are those of `engine.containers.create`."""
        given = {key: value for key, value in options.items() if value is not None}
        query = {"name": check_name(given["name"])} if given.get("name") else {}
        query |= {"platform": given["platform"]} if given.get("platform") else {}
        asked, more = _networks(given)
        wanted = body(image, command, given) | {"NetworkingConfig": {"EndpointsConfig": asked}}
        made = self.api._result(self.api._post_json(self.api._url("/containers/create"), wanted, params=query), True)
        container = self.get(made["Id"])
        container.warnings = made["Warnings"] or []
        for name, endpoint in more.items():
            self.api._raise_for_status(
                self.api._post_json(
                    self.api._url("/networks/{0}/connect", name), {"Container": made["Id"], "EndpointConfig": endpoint}
                )
            )
        return container

    def prune(self, filters: Mapping[str, Any] | None = None) -> Any:
        """Remove those that do not run."""
        return self.api.prune_containers(dict(filters or {}))


def body(image: str, command: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `POST /containers/create` takes: only what was asked for, the image says the rest.

    >>> asked = body("busybox", ["true"], {"user": "app", "tty": True})
    >>> asked["Cmd"], asked["User"], asked["Tty"], asked["Entrypoint"]
    (['true'], 'app', True, None)
    """
    labels = given.get("labels") or {}
    config = {
        "Image": image,
        "Cmd": words(command) or None,
        "Entrypoint": words(given["entrypoint"]) if "entrypoint" in given else None,
        "Hostname": given.get("hostname", ""),
        "Domainname": given.get("domainname", ""),
        "User": given.get("user", ""),
        "Env": env_list(given.get("environment")) or None,
        "WorkingDir": given.get("working_dir", ""),
        "Labels": labels
        if isinstance(labels, dict)
        else {text.partition("=")[0]: text.partition("=")[2] for text in labels},
        "StopSignal": given.get("stop_signal", ""),
        "StopTimeout": given.get("stop_timeout"),
    }
    host: dict[str, Any] = {"ReadonlyRootfs": bool(given.get("read_only"))}
    for topic in TOPICS:
        config |= topic.config(NOTHING, given) if hasattr(topic, "config") else {}
        host |= topic.host_config(given)
    return config | {"HostConfig": host}


def _networks(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network that a container is made on, with what is asked of it; and those it is connected to after that."""
    wanted = networks.wanted(given, "default") if given.get("networking_config") else {}
    first, *more = [*wanted] or [""]
    return ({first: wanted[first]} if first else {}), {name: wanted[name] for name in more}


class Container:
    """One container. `attrs` are those of the moment when it was looked at."""

    def __init__(
        self, api: Api, id: str, listed: dict[str, Any] | None = None, attrs: dict[str, Any] | None = None
    ) -> None:
        self.api, self.id, self._listed, self._attrs = api, id, listed, attrs
        self.warnings: list[str] = []
        self._exit: list[int] = []
        self._waiting: threading.Thread | None = None

    @property
    def attrs(self) -> dict[str, Any]:
        """`docker inspect`."""
        if self._attrs is None:
            self._attrs = self.api.inspect_container(self.id)
        return self._attrs

    def summary(self, size: bool = False) -> dict[str, Any]:
        """What the listing says of it."""
        known = self._listed or self.api.containers(all=True, filters={"id": self.id}, size=size)[0]
        return {"ImageID": "", "Mounts": [], "Ports": [], **known, "Labels": known.get("Labels") or {}}

    @property
    def short_id(self) -> str:
        """Twelve digits."""
        return self.id[:12]

    @property
    def name(self) -> str:
        """Its name; where others have linked it under a name of theirs, its own."""
        names = self._listed["Names"] if self._listed else [self.attrs["Name"]]
        return str(min(names, key=lambda name: name.count("/"))).lstrip("/")

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self._listed["Labels"] or {}) if self._listed else dict(self.attrs["Config"]["Labels"] or {})

    @property
    def status(self) -> str:
        """`running`, `exited` …"""
        return str(self._listed["State"] if self._listed else self.attrs["State"]["Status"])

    @property
    def config(self) -> dict[str, Any]:
        """`Config` and `HostConfig`, as inspect has them."""
        return self.attrs

    @property
    def tty(self) -> bool:
        """Whether it has a terminal."""
        return bool(self.attrs["Config"]["Tty"])

    @property
    def ports(self) -> dict[str, Any]:
        """Its ports, and where they are published."""
        return self.attrs["NetworkSettings"]["Ports"] or {}

    def state(self) -> dict[str, Any]:
        """Its state now."""
        found: dict[str, Any] = self.api.inspect_container(self.id)["State"]
        return found

    def sizes(self) -> tuple[int, int]:
        """What it has written, and with its image."""
        found = self.api._result(
            self.api._get(self.api._url("/containers/{0}/json", self.id), params={"size": 1}), True
        )
        return found["SizeRw"], found["SizeRootFs"]

    # Life

    def start(self) -> None:
        """Start it. Raises StartError, with Docker's exit code, where its program cannot be started."""
        try:
            self.api.start(self.id)
        except NotFound:
            raise
        except APIError as error:
            from minidocker.cli import by_words

            raise StartError(error.explanation, exit_code=by_words(error.explanation)) from None

    def stop(self, timeout: int | None = None, signal: str | None = None) -> None:
        """`signal` needs an engine of API 1.42; older ones leave it out of account, and so it is refused there."""
        self._ended_by("stop", timeout, signal)

    def restart(self, timeout: int | None = None, signal: str | None = None) -> None:
        """The same, and start it again."""
        self._ended_by("restart", timeout, signal)

    def _ended_by(self, verb: str, timeout: int | None, signal: str | None) -> None:
        params = {key: value for key, value in (("t", timeout), ("signal", signal)) if value is not None}
        self.api._raise_for_status(
            self.api._post(self.api._url("/containers/{0}/{1}", self.id, verb), params=params, timeout=None)
        )

    def kill(self, signal: Any = None) -> None:
        """Send a signal."""
        self.api.kill(self.id, signal)

    def pause(self) -> None:
        """Freeze it."""
        self.api.pause(self.id)

    def unpause(self) -> None:
        """Let it go on."""
        self.api.unpause(self.id)

    def rename(self, name: str) -> None:
        """Give it another name."""
        self.api.rename(self.id, name)

    def remove(self, v: bool = False, link: bool = False, force: bool = False) -> None:
        """Remove it."""
        self.api.remove_container(self.id, v=v, link=link, force=force)

    def wait(self) -> dict[str, Any]:
        """Its exit code, once it has ended."""
        answer = self.api._post(self.api._url("/containers/{0}/wait", self.id), timeout=None)
        found: dict[str, Any] = self.api._result(answer, True)
        return found

    def update(self, **options: Any) -> dict[str, Any]:
        """Change its limits."""
        given = {key: value for key, value in options.items() if value is not None}
        changed = {key: value for key, value in limits.host_config(given).items() if value}
        changed |= restart.host_config(given) if "restart_policy" in given else {}
        url = self.api._url("/containers/{0}/update", self.id)
        found: dict[str, Any] = self.api._result(self.api._post_json(url, data=changed), True)
        return {"Warnings": None} | found

    # Its streams

    def watching(self) -> Any:
        """A daemon watches it by itself."""
        return nullcontext()

    def tell(self, action: str, **_: str) -> None:
        """A daemon tells what happens by itself."""

    def start_connected(self, wanted: set[str]) -> socket.socket:
        """Connect to its streams, then start it; how it ends is asked for before, as it may be gone by then."""
        connection = self.connect(*(name in wanted for name in ("stdin", "stdout", "stderr")))
        try:
            self._wait_beside()
            self.start()
        except BaseException:
            connection.close()
            raise
        return connection

    def _wait_beside(self) -> None:
        how = "removed" if self.attrs["HostConfig"]["AutoRemove"] else "next-exit"
        answer = self.api._post(
            self.api._url("/containers/{0}/wait", self.id), params={"condition": how}, stream=True, timeout=None
        )

        def listen() -> None:
            with suppress(Exception):  # the daemon has gone: there is no exit code
                self._exit.append(answer.json()["StatusCode"])

        self._waiting = threading.Thread(target=listen, daemon=True)
        self._waiting.start()

    def exit_code(self) -> int:
        """Of one whose streams have ended."""
        if self._waiting is None:
            return int(self.wait()["StatusCode"])
        self._waiting.join()
        if not self._exit:
            raise APIError(f"the daemon has not said how container {self.short_id} ended")
        return self._exit[0]

    def connect(self, stdin: bool = False, stdout: bool = True, stderr: bool = True) -> socket.socket:
        """A connection with its streams."""
        params = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "stream": True}
        return plain(
            self.api.attach_socket(self.id, {key: int(value) for key, value in params.items()}), stdin and not self.tty
        )

    def resize(self, height: int, width: int) -> None:
        """How large its terminal is."""
        self.api.resize(self.id, height, width)

    def records(self, follow: bool = False, **span: Any) -> Iterator[dict[str, Any]]:
        """Its log, a record a piece: `{"stream", "log", "time"}`; the time is asked for and cut off again."""
        params: dict[str, Any] = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow)}
        params["tail"] = span.get("tail") if span.get("tail") not in (None, "") else "all"
        for name in ("since", "until"):
            if span.get(name):
                params[name] = timestamp(span[name])
        answer = self.api._get(self.api._url("/containers/{0}/logs", self.id), params=params, stream=True, timeout=None)
        self.api._raise_for_status(answer)
        frames = Frames(self.tty)
        for data in self.api._stream_raw_result(answer, chunk_size=1, decode=False) if self.tty else _chunks(answer):
            for stream, piece in frames.feed(data):
                for line in piece.splitlines(keepends=True):
                    moment, _, text = line.partition(b" ")
                    yield {
                        "stream": "stderr" if stream == 2 else "stdout",
                        "time": moment.decode(),
                        "log": text.decode("utf-8", "surrogateescape"),
                    }

    def exec_create(self, cmd: list[str], stdin: bool = False, tty: bool = False, **options: Any) -> Execution:
        """One more program, not running yet."""
        options = {key: value for key, value in options.items() if value}
        made = self.api.exec_create(self.id, cmd, stdin=stdin, tty=tty, **options)
        return Execution(self.api, made["Id"], tty, stdin)

    def exec_run(self, cmd: list[str], detach: bool = True, tty: bool = False, **options: Any) -> None:
        """One more program, in the background."""
        options = {key: value for key, value in options.items() if value}
        made = self.api.exec_create(self.id, cmd, tty=tty, stdout=False, stderr=False, **options)
        self.api.exec_start(made["Id"], detach=True, tty=tty)

    def top(self, ps_args: str | None = None) -> Any:
        """Its processes."""
        return self.api.top(self.id, ps_args)

    def sample(self, _before: Any = None) -> dict[str, Any]:
        """What it uses now."""
        found: dict[str, Any] = self.api.stats(self.id, stream=False)
        return found

    # Its files

    def diff(self) -> Any:
        """What has changed."""
        return self.api.diff(self.id) or []

    def get_archive(self, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
        """A tar of files in it."""
        found: tuple[Iterator[bytes], dict[str, Any]] = self.api.get_archive(self.id, path)
        return found

    def put_archive(self, path: str, data: Any) -> bool:
        """Unpack a tar in it."""
        if not hasattr(data, "read"):
            data = b"".join(data)
        return bool(self.api.put_archive(self.id, path, data))

    def stat(self, path: str) -> dict[str, Any] | None:
        """What is at a path: name, size, mode, linkTarget; None where nothing is."""
        import base64
        import json

        answer = self.api.head(self.api._url("/containers/{0}/archive", self.id), params={"path": path})
        if answer.status_code == 404:
            return None
        self.api._raise_for_status(answer)
        found: dict[str, Any] = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
        return found

    def kind(self, path: str) -> str:
        """Whether a folder (`dir`) or something else (`file`) is at a path, or nothing."""
        found = self.stat(self.followed(path))
        return "" if found is None else "dir" if found["mode"] & GO_KINDS["dir"] else "file"

    def followed(self, path: str) -> str:
        """A path, or where the link there leads to; the daemon follows those on the way."""
        found = self.stat(path)
        return found["linkTarget"] or path if found else path

    def export(self) -> Any:
        """All of its files."""
        return self.api.export(self.id)

    def commit(self, repository: str | None = None, **options: Any) -> Any:
        """An image of it."""
        params = {
            "container": self.id,
            "repo": repository,
            "comment": options["message"],
            "author": options["author"],
            "pause": int(options["pause"]),
            "changes": options["changes"],
        }
        made = self.api._result(self.api._post_json(self.api._url("/commit"), data={}, params=params), True)
        return SimpleNamespace(id=made["Id"])


class Execution:
    """A program of `docker exec`."""

    def __init__(self, api: Api, id: str, tty: bool, stdin: bool) -> None:
        self.api, self.id, self.tty, self.stdin = api, id, tty, stdin

    def connect(self, size: tuple[int, int]) -> socket.socket:
        """Start it, connected to its streams."""
        return plain(self.api.exec_start(self.id, tty=self.tty, socket=True), self.stdin and not self.tty)

    def resize(self, height: int, width: int) -> None:
        """How large its terminal is."""
        self.api.exec_resize(self.id, height, width)

    def inspect(self) -> dict[str, Any]:
        """How it is."""
        found: dict[str, Any] = self.api.exec_inspect(self.id)
        return found


def _chunks(answer: Any) -> Iterator[bytes]:
    """The body as it comes, chunk by chunk."""
    while data := answer.raw.read1(1 << 16):
        yield data


def plain(found: Any, stdin: bool = False) -> socket.socket:
    """The connection that the SDK hands over, as a socket of ours.

    What the SDK's reader has read too much of it comes first. One with TLS goes through a pair of sockets, as nobody
    can wait for it and for a terminal at once.
    """
    response, sock, already = found._response, getattr(found, "_sock", found), b""
    reader = response.raw._fp.fp
    sock.settimeout(0)
    with suppress(OSError, ValueError):
        already = reader.peek()
    if not already and not hasattr(sock, "cipher"):
        sock.settimeout(None)
        return socket.socket(fileno=socket.dup(sock.fileno()))
    if stdin and hasattr(sock, "cipher"):
        raise Unsupported(
            "through TLS, Python cannot tell the end of the input without ending the output too: use -t with -i, "
            "the docker command, or a UNIX socket (ssh -L forwards one)"
        )
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    threading.Thread(target=Carrier(sock, theirs, already).run, args=[response], daemon=True).start()
    return ours


class Carrier:
    """Carries bytes between a connection, perhaps with TLS, and a socket; one thread, as TLS wants it."""

    def __init__(self, far: Any, near: socket.socket, already: bytes) -> None:
        self.far, self.near = far, near
        self.inwards, self.outwards = already, b""  # what is still to be written
        self.typing = True

    def run(self, _response: Any) -> None:
        """Go on until the daemon has said all; the response is only held, as it closes the connection when it goes."""
        with self.near, suppress(OSError):
            while self._one_round():
                pass
        with suppress(OSError):
            self.far.close()

    def _one_round(self) -> bool:
        waiting = hasattr(self.far, "pending") and self.far.pending() and not self.inwards
        readers = [self.far] * (not self.inwards) + [self.near] * (self.typing and not self.outwards)
        writers = [self.far] * bool(self.outwards) + [self.near] * bool(self.inwards)
        ready, writable, _ = select.select(readers, writers, [], 0 if waiting else None)
        if self.near in writable:
            self.inwards = self.inwards[self.near.send(self.inwards) :]
        if self.far in writable:
            with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.outwards = self.outwards[self.far.send(self.outwards) :]
        if self.near in ready:
            self.outwards = self.near.recv(1 << 16)
            if not self.outwards:
                self.typing = False
                with suppress(OSError):
                    self.far.shutdown(socket.SHUT_WR)  # never one with TLS: see `plain`
        if (self.far in ready or waiting) and not self.inwards:
            with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.inwards = self.far.recv(1 << 16)
                return bool(self.inwards)
        return True
