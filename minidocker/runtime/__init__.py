"""What "run" means here: one contract, two runtimes.

`namespaces` starts real Linux processes behind namespaces and an overlay mount; `simulated` runs a small shell and its
commands over the file tree, anywhere Python runs. Both keep to the same files in a container's folder:

    state.json     the run state, written only by whoever runs the container
    log.jsonl      Docker's json-file log: {"log": "hello\\n", "stream": "stdout", "time": "…Z"} a line
    monitor.lock   locked by the container's monitor process for as long as it lives
    stopped        present once a person asked it to stop: no restart policy applies
    upper/ work/   the writable layer, as the runtime keeps it
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from minidocker.layer import Changeset
from minidocker.runtime.capabilities import DEFAULT
from minidocker.tree import Tree

SHM_SIZE = 64 << 20  # of /dev/shm, where nobody says otherwise


@dataclass(frozen=True)
class Process:
    """A program to run: its arguments, environment (`NAME=value`), folder and user (`app`, `1000:1000`, "" is root).

    With `tty` its streams are a terminal of `size` (height, width). `stdin` is `open` where those who are attached may
    write to it, `once` where it ends with the first of them, and else "": it has none.
    `groups` are more of them that it shall be in, by name or number (`--group-add`).
    """

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    tty: bool = False
    size: tuple[int, int] = (0, 0)
    stdin: str = ""
    groups: tuple[str, ...] = ()
    privileged: bool = False  # all capabilities, whatever the container's are (`exec --privileged`)


class LayerLike(Protocol):
    """What a runtime needs of an image's layer."""

    @property
    def diff_id(self) -> str:
        """The digest of the layer's tar."""

    @property
    def changes(self) -> Changeset:
        """The layer as a value."""

    def path(self) -> Path:
        """The layer unpacked as an overlayfs lower directory (Linux)."""


@dataclass(frozen=True)
class Bind:
    """A folder or file of the host that shows up at `target` inside; or what lies `inside` it, to which no link leads
    that would lead out. `owned`: it is a volume's, and nobody's but the containers'.
    """

    source: str
    target: str
    read_only: bool = False
    inside: str = ""
    owned: bool = False
    recursive: bool = True  # whether what is mounted below it is seen, too
    deep: bool = True  # whether `read_only` is said of that as well


@dataclass(frozen=True)
class Tmpfs:
    """An empty folder in memory, gone with the container; `size` is its limit in bytes (0: the system's own).

    `options` are those of tmpfs(5), beside the size. Without a `mode` there, it has the one of the folder that it is
    mounted on, or 1777. `flags` are those of mount(8). With `volume`, the folder of a volume that is no more than this,
    all containers that run at the same time have the same one.
    """

    target: str
    read_only: bool = False
    size: int = 0
    options: str = "mode=1777"
    flags: tuple[str, ...] = ("nosuid",)
    volume: str = ""


@dataclass(frozen=True)
class Secret:
    """A file in memory alone, read-only: what it holds is never on a disk."""

    target: str
    content: bytes = field(repr=False)
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Snapshot:
    """What lies at `source` in a stack of layers. Whatever is written to it goes with the container."""

    layers: Sequence[LayerLike]
    target: str
    source: str = "/"
    read_only: bool = False


@dataclass(frozen=True)
class Volume:
    """What lies at `source` in a folder that outlives containers, and which `path` holds as the runtime likes to.

    It begins with `first`; several containers may have it at the same time.
    """

    path: Path
    target: str
    source: str = "/"
    read_only: bool = False
    first: Changeset = Changeset()  # noqa: RUF009 - it never changes


@dataclass(frozen=True)
class HealthCheck:
    """A program that is run inside, again and again: 0 is healthy. Times are in seconds."""

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3  # failures in a row that make it unhealthy
    start_period: float = 0.0  # in which failures do not count
    start_interval: float = 5.0  # between probes, as long as that lasts


Mount = Bind | Tmpfs | Secret | Snapshot | Volume


@dataclass(frozen=True)
class LogFile:
    """How Docker's json-file log is kept: its largest size in bytes (0: none), how many files, what each line has."""

    max_size: int = 0
    max_files: int = 1
    compress: bool = False
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Names:
    """What a container calls itself and others: in `/etc/hosts`, `/etc/resolv.conf`. Empty: as the machine does it."""

    domain: str = ""
    hosts: tuple[str, ...] = ()  # `name:address`
    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # of others on the default network: `names:address`


@dataclass(frozen=True)
class Security:
    """What the processes of a container may do: capabilities, system calls, and what of the kernel they see."""

    capabilities: tuple[str, ...] = DEFAULT
    seccomp: str = "builtin"  # Docker's policy, or `unconfined`, or the text of a profile
    no_new_privileges: bool = False
    unmasked: bool = False  # all of /proc and /sys is seen
    privileged: bool = False  # they may change it, too, and /dev has the host's devices


@dataclass(frozen=True)
class Device:
    """A device of the host that the container gets, under another name perhaps; it may read, write, and make it."""

    source: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True)
class Wire:
    """A cable from a container to a network, which inside is an `interface` with an address (`172.17.0.2/16`).

    Of the networks `host` and `none` only the first three are known. `named`: who is on it can be asked for by name.
    """

    network: str
    name: str
    driver: str
    endpoint: str = ""
    container: str = ""
    interface: str = ""
    address: str = ""
    mac: str = ""
    gateway: str = ""
    internal: bool = False
    named: bool = False
    more: Sequence[str] = ()  # further addresses: IPv6, link-local ones
    links: Sequence[str] = ()  # names that only this container knows: `db:database`
    source: str = ""  # the interface on the host that a plugin made for it; without one, the switch makes a cable
    routes: Sequence[Sequence[str]] = ()  # what else the plugin leads to: `("10.5.0.0/16", "172.18.0.9")`
    alone: bool = False  # whether it reaches no other container there (`enable_icc=false`)
    binding: str = ""  # the address of the host at which its ports are published that name none
    priority: int = 0  # of several ways out, the highest is taken


@dataclass(frozen=True)
class Port:
    """A port inside that the world finds on the host: at an address ("" is all), on the first free one of a range.

    Where `first` is 0, it may be any.
    """

    inside: int
    protocol: str = "tcp"
    host: str = ""
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Box:
    """A container as a runtime sees it: its folder, the layers (bottom first), and what to run how."""

    path: Path
    layers: Sequence[LayerLike]
    process: Process
    hostname: str = ""
    mounts: tuple[Mount, ...] = ()
    read_only: bool = False
    network: str = "none"  # "none": a network of its own with loopback up; "host": the host's
    networks: str = ""  # the folder of all networks, where the switch is found that it is plugged into
    wires: tuple[Wire, ...] = ()
    ports: tuple[Port, ...] = ()
    restart: tuple[str, int] = ("no", 0)  # Docker's restart policy and its maximum retry count
    log: bool = True  # else its streams are those of who starts it; nobody can attach
    log_file: LogFile | None = LogFile()
    names: Names = Names()
    share: Mapping[str, str] = field(default_factory=dict)  # pid, ipc, uts, net, cgroup, user: whose it has, `host`
    # or `container:<id>`; those that are not here are its own. ipc may be `none` or `shareable`, too.
    init: bool = False  # process 1 is an init, which reaps, and the program its child
    sysctls: Mapping[str, str] = field(default_factory=dict)
    health: HealthCheck | None = None
    security: Security = Security()
    devices: tuple[Device, ...] = ()
    shm_size: int = SHM_SIZE
    throwaway: bool = False  # removed when it has ended, so nothing of it need survive a crash of the machine
    cgroup: str = ""  # the name of its cgroup, `/minidocker/<id>`; "": the runtime finds one
    limits: Mapping[str, Any] = field(default_factory=dict)  # of the API's `HostConfig`, what is asked for: `Memory`…
    ulimits: tuple[tuple[str, int, int], ...] = ()  # of each process: ("nofile", soft, hard); -1 is unlimited
    oom_score_adj: int = 0
    annotations: Mapping[str, str] = field(default_factory=dict)  # for the runtimes of others: they are in its bundle


@dataclass(frozen=True)
class Usage:
    """What a container uses, or has used: bytes of memory, nanoseconds of processor time, processes, bytes of disks.

    `limit` of memory is the machine's where the container has none, that of processes 0. `details` is what the kernel
    tells beyond that, under its own names.
    """

    memory: int = 0
    limit: int = 0
    peak: int = 0
    cpu_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    pids: int = 0
    pids_limit: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Client:
    """Somebody attached: one end of a connection (a socket's descriptor), and which streams go through it."""

    fd: int
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True


@dataclass(frozen=True)
class Stdio:
    """File descriptors that the first process is connected to; output goes to the log as well.

    `attached`: somebody waits for its end, so a runtime may run it right here. Two that differ in this alone are equal.
    `clients` are attached from the start; not every runtime has them (`Runtime.attachable`).
    """

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    attached: bool = field(default=False, compare=False, kw_only=True)
    clients: tuple[Client, ...] = field(default=(), kw_only=True)


NO_STDIO = Stdio()


class Runtime(Protocol):
    """What the engine asks of a runtime. Methods raise `minidocker.errors.APIError`s, `StartError` for programs."""

    name: str
    attachable: bool  # whether programs can have a terminal, and be attached to while they run

    @property
    def storage(self) -> str:
        """How layers become one file system: the `Driver` of `docker info`."""

    def start(self, box: Box, stdio: Stdio = NO_STDIO) -> None:
        """Start the container's program and return once it runs; `StartError` says 126, 127 or 125."""

    def signal(self, box: Box, signum: int) -> None:
        """Send a signal to the container's first process."""

    def pause(self, box: Box) -> None:
        """Freeze every process of the container."""

    def unpause(self, box: Box) -> None:
        """Let them go on."""

    def exec(self, box: Box, process: Process, stdio: Stdio = NO_STDIO) -> int:
        """Run one more process inside, with what `box.security` lets it do, and return its exit code."""

    def spawn(self, box: Box, process: Process, record: dict[str, Any], clients: Sequence[Client]) -> int:
        """Run one more process inside, and return its number while it runs; whatever becomes of it, its record tells.

        The record is a JSON file `<ID>.json` in the folder `record["folder"]`.
        """

    def attach(self, box: Box, exec_id: str, client: Client) -> socket.socket:
        """A connection with the streams of the container's first process, or of one spawned; `client.fd` is ignored."""

    def resize(self, box: Box, exec_id: str, height: int, width: int) -> None:
        """Tell the terminal of the container's first process, or of one spawned, its size."""

    def supports(self) -> frozenset[str]:
        """The limits that can be enforced here, by their names in `HostConfig`."""

    def update(self, box: Box, limits: Mapping[str, Any]) -> None:
        """Change limits while it runs. Raises APIError."""

    def cgroup_files(self, box: Box) -> dict[str, str]:
        """The kernel's files about its limits, as they are seen inside: `pids.max` -> `20`."""

    def usage(self, box: Box) -> Usage:
        """What it uses now. Raises Conflict where it does not run, Unsupported."""

    def top(self, box: Box) -> list[dict[str, Any]]:
        """The processes inside: `pid`, `ppid`, `user`, `command`."""

    def changes(self, box: Box) -> Changeset:
        """The writable layer: `diff(lower, what is seen now)`."""

    def apply(self, box: Box, changes: Changeset) -> None:
        """Write entries into the container's file system, whether it runs or not."""

    def fill(self, folder: Bind, changes: Changeset) -> None:
        """Write entries into a volume's folder, as containers are to see them there: with their owners."""

    def listing(self, folder: Bind) -> Tree:
        """What containers see in a volume's folder."""

    def no_bridge(self, folder: str) -> str:
        """Why a container cannot be connected to others by the networks of a folder; empty where it can."""

    def no_interface(self) -> str:
        """Why a container cannot be given an interface that a plugin made on the host; empty where it can."""

    def connect(self, box: Box, wire: Wire) -> None:
        """Connect a container that runs to one more network; `box.wires` are all that it has then. Raises APIError."""

    def disconnect(self, box: Box, wire: Wire) -> None:
        """Take it off a network; `box.wires` are those that stay."""

    def rewrite(self, box: Box) -> None:
        """Bring its /etc/hosts up to date, while it runs: `box.wires` and `box.names`. What it wrote there stays."""

    def bury(self, box: Box) -> None:
        """See to what is left of a container whose monitor was killed."""

    def remove(self, box: Box) -> None:
        """Delete the writable layer and whatever else the runtime keeps, if it likes the container's whole folder."""
