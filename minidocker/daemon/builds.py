"""Builds: `POST /build` with the words of Docker's classic builder, which are those that its clients read.

    Step 2/3 : RUN make            each step in its turn, though stages are built at the same time
     ---> Running in 3f2a…         or ` ---> Using cache`; each step but COPY and ADD runs in a container, there
     ---> 5d3f…                    of FROM the base image, of the last step the image, else what the cache knows it by

What is wrong before the first step is an HTTP error; after that, the last message of a stream whose status is 200.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from minidocker.build import build_image
from minidocker.build.opening import is_remote
from minidocker.build.run import StepFailed
from minidocker.build.running import NETWORKS
from minidocker.build.together import Together
from minidocker.container.options import limits, naming
from minidocker.daemon.progress import Message, Tell, decoded, stream
from minidocker.daemon.route import Call
from minidocker.errors import BuildError, DockerException, DockerfileError, InvalidArgument, StartError, Unsupported
from minidocker.platforms import Platform
from minidocker.reference import Reference
from minidocker.runtime import Names, Wire
from minidocker.runtime.wires import wire_of
from minidocker.web.message import Body, Response

if TYPE_CHECKING:
    from minidocker.engine import Engine

Event = Mapping[str, Any]
NO_BUILDKIT = "minidocker has no BuildKit for its clients: build with DOCKER_BUILDKIT=0"
NOT_THERE = re.compile(r'failed to compute cache key: "[^"]*" not found: ')
NO_TARGET = re.compile(r'target stage "(.*)" could not be found')
LIMITS = {
    "memory": "mem_limit",
    "memswap": "memswap_limit",
    "cpushares": "cpu_shares",
    "cpuperiod": "cpu_period",
    "cpuquota": "cpu_quota",
}
TEXTS = {"cpusetcpus": "cpuset_cpus", "cpusetmems": "cpuset_mems", "cgroupparent": "cgroup_parent"}


def build(call: Call) -> Response:
    """Build an image of a context that comes as a tar, or from a URL."""
    options = _options(call)
    crew: Together[None] = Together(lambda _: None)
    remote = call.text("remote")
    if remote and not is_remote(remote):
        raise InvalidArgument(f"remoteURL ({remote}) could not be recognized as URL")
    source = {"path": remote} if remote else {"fileobj": Reader(call.request.body), "custom_context": True}
    dockerfile = call.text("dockerfile") or "Dockerfile"

    def action(tell: Tell) -> None:
        said = Quiet(tell) if call.flag("q") else Classic(tell)
        try:
            made = build_image(
                call.engine, **source, dockerfile=dockerfile, on_event=said, guard=crew.stoppable, **options
            )
        except DockerException as error:
            said.failed(error, dockerfile)
            return
        assert made.image is not None
        said.done(made.image.id)

    return stream(call, action, crew.cancel)


def prune(call: Call) -> Response:
    """Forget what earlier builds made."""
    given = call.filters()
    kept = call.number("keep-storage") or 0
    return Response.json(call.engine.images.prune_builds(given, keep_storage=kept))


def session(_call: Call) -> Response:
    """A BuildKit client's way of being asked for files: refused, by name."""
    raise Unsupported(NO_BUILDKIT)


class Reader(io.RawIOBase):
    """The body of a request, to be read like a file."""

    def __init__(self, body: Body) -> None:
        self.pieces, self.rest = iter(body), b""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Some bytes, not more than `size`; none at the end. Raises Gone."""
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return b""
            self.rest = bytes(piece)
        data, self.rest = (self.rest, b"") if size < 0 else (self.rest[:size], self.rest[size:])
        return data


# What is asked for


def _options(call: Call) -> dict[str, Any]:
    """The options of the query, as those of `build_image`. Raises InvalidArgument, Unsupported."""
    _refuse(call)
    tags = [name for name in call.texts("t") if name]
    for name in tags:
        if Reference.parse(name).digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
    args = _map(call, "buildargs", "build args")
    platform = call.text("platform")
    Platform.parse(platform)
    sources = _json(call, "cachefrom", list, "cache from")
    mode = _network(call)
    known = [name for name in sources if call.engine.images.find(name)]
    return {
        "tag": tags,
        "nocache": call.flag("nocache") or (bool(sources) and not known),  # as Docker: no other cache counts then
        "pull": call.flag("pull"),
        "target": call.text("target") or None,
        "platform": platform or None,
        "buildargs": {name: value for name, value in args.items() if value is not None},
        "labels": {name: value or "" for name, value in _map(call, "labels", "labels").items()},
        "cache_from": known,
        "network_mode": mode if mode in NETWORKS else "none",
        "images": call.engine.images.acting_for(_logins(call)),
        "around": partial(_surroundings, call.engine, mode, _around(call)),
        "apart": True,
    }


def _network(call: Call) -> str:
    """The network of a RUN: the host's; with names of hosts of its own, as they are asked for with `ping`, the bridge,
    where there is one.
    """
    mode, engine = call.text("networkmode") or "default", call.engine
    if mode not in ("default", "bridge"):
        return mode
    own = mode == "bridge" or call.text("extrahosts") not in ("", "null", "[]")
    return "bridge" if own and not engine.runtime.no_bridge(str(engine.networks.folder)) else "default"


def _refuse(call: Call) -> None:
    """What cannot be, by name. Raises InvalidArgument, Unsupported."""
    if call.text("version", "1") == "2" or call.text("remote") == "client-session":
        raise Unsupported(NO_BUILDKIT)
    if call.text("version", "1") not in ("", "1"):
        raise InvalidArgument(f'invalid version "{call.text("version")}"')
    if call.flag("squash"):
        raise InvalidArgument("squash is only supported with experimental mode")
    if (isolation := call.text("isolation")) not in ("", "default"):
        raise InvalidArgument(f'Unsupported isolation: "{isolation}"')
    if call.text("securityopt") not in ("", "null", "[]"):
        raise InvalidArgument("The daemon on this platform does not support setting security options on build")
    if _json(call, "outputs", list, "outputs"):
        raise Unsupported("outputs are BuildKit's: minidocker build -o has them")


def _json(call: Call, name: str, kind: type[list[Any]] | type[dict[str, Any]], what: str) -> Any:
    """An option that is JSON; of a list, all texts. Raises InvalidArgument."""
    text = call.text(name)
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"error reading {what}: {error}") from None
    if value is not None and not isinstance(value, kind):
        raise InvalidArgument(f"error reading {what}: a JSON {'list' if kind is list else 'object'} is expected")
    if isinstance(value, list) and name != "ulimits" and not all(isinstance(one, str) for one in value):
        raise InvalidArgument(f"error reading {what}: a list of texts is expected")
    return value or kind()


def _map(call: Call, name: str, what: str) -> dict[str, str | None]:
    value: dict[str, str | None] = _json(call, name, dict, what)
    for one in value.values():
        if one is not None and not isinstance(one, str):
            raise InvalidArgument(f"error reading {what}: json: cannot unmarshal {type(one).__name__} into string")
    return value


def _logins(call: Call) -> dict[str, Any]:
    """Who the client is to registries: `X-Registry-Config`, base64 of JSON, registry -> login."""
    try:
        given = decoded(call.request.headers.get("x-registry-config", ""))
    except InvalidArgument:  # Docker builds then as nobody
        return {}
    return {name: login for name, login in given.items() if isinstance(login, dict) and name.strip()}


@contextmanager
def _surroundings(engine: Engine, mode: str, fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What surrounds a RUN while it runs: on a network of somebody's, it has a place there. Raises NotFound."""
    if mode in NETWORKS:
        yield fields
        return
    networks, network = engine.networks, engine.networks.get(mode)
    with networks.visit(network) as id:
        network.reload()
        wires = (Wire(**wire_of(network.record, id)),)
        yield {**fields, "networks": str(networks.folder.absolute()), "wires": wires}


def _around(call: Call) -> dict[str, Any]:
    """What surrounds each RUN: names of hosts, limits, the size of /dev/shm. Raises InvalidArgument."""
    given: dict[str, Any] = {option: number for key, option in LIMITS.items() if (number := call.number(key))}
    given |= {option: text for key, option in TEXTS.items() if (text := call.text(key))}
    if ulimits := _json(call, "ulimits", list, "ulimit settings"):
        given["ulimits"] = ulimits
    try:
        host = limits.host_config(given)
        boxed = limits.boxed({"Id": "build", "HostConfig": host})
    except (TypeError, AttributeError, KeyError) as error:
        raise InvalidArgument(f"error reading limits: {error}") from None
    found = {key: boxed[key] for key in ("limits", "ulimits") if boxed[key]}
    if size := call.number("shmsize"):
        if size < 0:
            raise InvalidArgument("SHM size can not be less than 0")
        found["shm_size"] = size
    if hosts := naming.host_config({"extra_hosts": call.texts("extrahosts")})["ExtraHosts"]:
        found["names"] = Names(hosts=tuple(hosts))
    return found


# What is told


class Classic:
    """Tells what a build does in the words of the classic builder, one step after the other."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.current = 1  # the step whose turn it is
        self.waiting: dict[int, list[Event]] = {}
        self.total, self.first, self.labels = (
            0,
            [""],
            dict[str, str](),
        )  # steps; what comes before the second; `--label`
        self.triggers: dict[int, int] = {}  # number of a step -> how many triggers come with it, if it is the first
        self.counted = 0  # steps that were told of: triggers are no steps of their own
        self.cached = True  # so far
        self.begun = False  # whether the first step was told of
        self.container = ""  # in which the program of this step runs
        self.last: str | None = None  # what the step before was found, or made, to be; None, once that was said

    def __call__(self, event: Event) -> None:
        """Take an event of the builder's."""
        if "first" in event:
            self.first, self.labels = event["first"], event["labels"]
            self.total = event["plan"] + len(self.first) - 1 + len(self.labels)
        elif "triggers" in event:
            origin, count = event["triggers"]
            self.triggers |= {origin + number: count if number == 1 else 0 for number in range(1, count + 1)}
        elif "pull" in event:
            self._begin()
            self.tell(event["pull"])
        elif "step" in event:
            self._in_turn(event["step"].number, event)
        elif "id" in event and "errorDetail" not in event:
            self._in_turn(int(event["id"]), event)
        elif event.get("stream", "").startswith(("Successfully ", "[Warning]")):
            self._say(event["stream"])
        elif "aux" in event:
            for name, value in sorted(self.labels.items()):  # steps of their own, for the classic builder
                self._flush()
                self._step(f"LABEL {name}={value}")
                self._settle(self.cached)
                self.last = event["aux"]["ID"][7:19]
            self.last = event["aux"]["ID"][7:19]
            self._flush()
            self.tell(event)

    def _begin(self) -> None:
        """The first step begins with looking for its image."""
        if not self.begun and self.total:
            self.begun = True
            for text in self.first:
                self._step(text)

    def _step(self, text: str) -> None:
        self.counted += 1
        self._say(f"Step {self.counted}/{self.total} : {text}", "\n")

    def _in_turn(self, number: int, event: Event) -> None:
        """Tell it now, or when it is its turn."""
        self.waiting.setdefault(number, []).append(event)
        while queue := self.waiting.get(self.current):
            event = queue.pop(0)
            if "step" in event:
                self._conclude(event["step"])
                self.current += 1
            else:
                self._go_on(event)

    def _go_on(self, event: Event) -> None:
        text = event["stream"]
        if "output" in event:
            self._running()
            self._say(f"\033[91m{text}\033[0m" if event["output"] == 2 else text)
        elif text.startswith("Step ") and (waiting := self.triggers.get(self.current)) is not None:
            self.last = None
            if waiting:
                self._say(f"# Executing {waiting} build trigger{'s' if waiting > 1 else ''}\n")
        elif text.startswith("Step "):
            self._flush()
            if self.begun and self.current > 1:
                self._step(text.partition(" : ")[2].rstrip("\n"))
            self._begin()
        elif not text.startswith((" ---> ", "# Executing ")):
            self._say(text)

    def _running(self) -> None:
        if not self.container:
            self.container = os.urandom(6).hex()  # it has a folder while it runs, and no other name
            self._say(f" ---> Running in {self.container}\n")

    def _conclude(self, step: Any) -> None:
        keyword = step.text.split(None, 1)[0].upper()
        if keyword == "FROM":
            self.last = str(step.facts.get("id", step.facts.get("parent", "")))[7:19]
        else:
            self.last = step.decision.key[7:19]
            self.cached = self.cached and step.decision.hit
            if step.decision.hit or keyword not in ("COPY", "ADD"):
                self._settle(step.decision.hit)
        self.container = ""

    def _settle(self, hit: bool) -> None:
        if hit:
            self._say(" ---> Using cache\n")
        else:
            self._running()
            self._say(f"Removing intermediate container {self.container}\n")
        self.container = ""

    def _flush(self) -> None:
        """Say what the step before came to: only now is it known whether it was the last one."""
        if self.last is not None:
            self._say(f" ---> {self.last}\n")
        self.last = None

    def _say(self, *texts: str) -> None:
        for text in texts:
            self.tell({"stream": text})

    def done(self, _id: str) -> None:
        """It is built."""

    def failed(self, error: DockerException, dockerfile: str) -> None:
        """It failed. Raises InvalidArgument where it was not even begun."""
        said, code = words(error, dockerfile)
        if not isinstance(error, (DockerfileError, Unsupported)):
            self._begin()
        if not self.begun:
            raise InvalidArgument(said) if isinstance(error, (InvalidArgument, BuildError)) else error
        for number in sorted(self.waiting):  # of steps that went on beside the one whose turn it was
            self.current = number
            for event in [one for one in self.waiting[number] if "step" not in one]:
                self._go_on(event)
        self._flush()
        if isinstance(error, StepFailed):
            self._running()
        self.tell({"errorDetail": {"message": said} | ({"code": code} if code else {}), "error": said})


class Quiet(Classic):
    """Tells only what became of it; where it failed, all that there was to tell."""

    def __init__(self, tell: Tell) -> None:
        self.kept: list[Message] = []
        self.out = tell
        super().__init__(self.kept.append)

    def done(self, id: str) -> None:
        """It is built."""
        self.out({"stream": f"{id}\n"})

    def failed(self, error: DockerException, dockerfile: str) -> None:
        """It failed."""
        super().failed(error, dockerfile)
        for message in self.kept:
            self.out(message)


def words(error: DockerException, dockerfile: str) -> tuple[str, int]:
    """What the classic builder says of an error, and the exit code of the program that failed."""
    text = str(error)
    if isinstance(error, StepFailed):
        if isinstance(error.__cause__, StartError):
            return str(error.__cause__), 0
        return f"The command '{error.command}' returned a non-zero code: {error.code}", error.code
    if isinstance(error, DockerfileError) and (found := NO_TARGET.match(error.message)):
        return f"failed to reach build target {found[1]} in Dockerfile", 0
    if isinstance(error, DockerfileError) and error.message.startswith("failed to read dockerfile: open "):
        return f"Cannot locate specified Dockerfile: {dockerfile}", 0
    if isinstance(error, DockerfileError):
        return (f"dockerfile parse error line {error.line}: {error.message}" if error.line else error.message), 0
    if found := NOT_THERE.search(text):
        return f"COPY failed: {text[found.end() :].replace('no such file or directory', 'file does not exist')}", 0
    return text, 0
