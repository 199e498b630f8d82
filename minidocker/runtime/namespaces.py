"""Real containers: Linux namespaces around real processes, an overlay mount for their root.

The engine's side of it. What needs a fork happens in the `launcher`; what happens behind the walls, in `inside`;
layers become directories in `overlay`. Without root, a container has one user only, who is root inside.
"""

from __future__ import annotations

import os
import signal as signals
import socket
import threading
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from minidocker.errors import APIError, Conflict, StartError, Unsupported
from minidocker.layer import Changeset, view
from minidocker.runtime import (
    NO_STDIO,
    SHM_SIZE,
    Bind,
    Box,
    Client,
    Process,
    Stdio,
    Usage,
    Wire,
    cgroup,
    devices,
    fuse,
    joining,
    limits,
    mapped,
    names,
    overlay,
    plug,
    probe,
    usage,
    wayout,
    wires,
)
from minidocker.runtime.capabilities import ALL, mask
from minidocker.runtime.discarding import discard
from minidocker.runtime.door import knock
from minidocker.runtime.launching import Launcher, answered
from minidocker.runtime.messages import Refusal
from minidocker.runtime.mounting import describe, describe_device, kept, writable
from minidocker.runtime.running import (
    cgroup_name,
    describe_process,
    group_of,
    has_monitor,
    hold,
    let_go,
    process,
    processes,
    program_of,
    running,
)
from minidocker.runtime.seccomp import filter_of
from minidocker.runtime.shim import WAKE
from minidocker.runtime.state import state_lock, write_state
from minidocker.tree import Tree

ELSEWHERE = "192.0.2.1"  # an address that is nobody's (RFC 5737)


class Namespaces:
    """The runtime that starts real processes. One launcher process serves it, started on first use."""

    name = "namespaces"
    attachable = True

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self.rootless = folder, os.geteuid() != 0  # where containers are kept: what the probe tries
        self._launcher = Launcher()
        self._lock = threading.Lock()
        self._sweepers: list[threading.Thread] = []

    @cached_property
    def _userns(self) -> str:
        """How the ids of a container's user namespace are mapped; empty where it has none: as root, on few machines."""
        return probe.report(self.folder).userns or ("one" if self.rootless else "")

    @cached_property
    def storage(self) -> str:
        """How the layers of a new container become one file system: the name of Docker's storage driver."""
        forced = probe.storages()
        return forced[0] if len(forced) == 1 else probe.report(self.folder).storage or probe.OVERLAY

    def close(self) -> None:
        """Let the launcher go. Containers live on, each with its monitor."""
        self._launcher.close()
        for sweeper in self._sweepers:
            sweeper.join()

    # Running

    def start(self, box: Box, stdio: Stdio = NO_STDIO) -> None:
        """Start the container's program; return once it runs. Raises StartError, with Docker's words and exit code."""
        self._launcher.wake()  # its Python starts while we find out what to ask it for
        self._launcher.ask({"do": "start", "box": self._prepare(box)}, stdio).close()

    def exec(self, box: Box, process: Process, stdio: Stdio = NO_STDIO) -> int:
        """Run one more process inside and return its exit code. It is killed when this engine goes away meanwhile."""
        request = {"do": "exec", "pid": running(box)["Pid"], **self._inside(box, process)}
        with self._launcher.ask(request, stdio) as answers:
            return int(answered(answers)["exit_code"])

    def spawn(self, box: Box, process: Process, record: dict[str, Any], clients: Sequence[Client]) -> int:
        """Run one more process inside; its number. Whatever becomes of it, its record tells."""
        pid, about = running(box)["Pid"], self._inside(box, process) | {"record": record}
        request = {"do": "exec", "pid": pid, **about}
        with self._launcher.ask(request, Stdio(clients=tuple(clients))) as answers:
            return int(answered(answers)["pid"])

    def attach(self, box: Box, exec_id: str, client: Client) -> socket.socket:
        """A connection with the streams of the container's first process, or of one spawned."""
        return self._knock(box, exec_id, asdict(client) | {"do": "attach"})

    def resize(self, box: Box, exec_id: str, height: int, width: int) -> None:
        """Tell the terminal of the container's first process, or of one spawned, its size."""
        self._knock(box, exec_id, {"do": "resize", "height": height, "width": width}).close()

    def _knock(self, box: Box, exec_id: str, request: dict[str, Any]) -> socket.socket:
        folder, name = (box.path / "execs", f"{exec_id}.sock") if exec_id else (box.path, "attach.sock")
        try:
            return knock(str(folder), name, request)
        except (FileNotFoundError, ConnectionError):
            what = f"exec {exec_id}" if exec_id else f"container {box.path.name}"
            raise Conflict(f"{what} is not running") from None

    def _inside(self, box: Box, process: Process) -> dict[str, Any]:
        """One more process for a container, as the launcher wants it described: of `exec`, or a health check."""
        about = {
            "process": with_ulimits(box, process),
            "rootless": self._userns == "one",
            "record": None,
            "init": box.init,
        }
        return about | {"cgroup": cgroup_name(box), "security": self._security(box, process.privileged)}

    def _health(self, box: Box) -> dict[str, Any] | None:
        if box.health is None:
            return None
        probe = replace(box.process, args=box.health.command, tty=False, stdin="")
        return asdict(box.health) | {"request": self._inside(box, probe)}

    def _prepare(self, box: Box) -> dict[str, Any]:
        """Make what the container's folder must hold, and describe the container for the launcher."""
        path = box.path.absolute()
        storage = kept(path, self.storage)
        layers = writable(path, box.layers, storage, self.rootless)
        prepare(box)
        given = list(devices.found(box.devices))
        share = ({"net": "host"} if box.network == "host" else {}) | dict(box.share)
        userns = self._userns_of(box)
        own_memory = share.get("ipc", "") in ("", "private", "shareable")
        named_by = path.parent / share["net"].partition(":")[2] if box.network == "container" else path
        own = [
            describe(Bind(str(named_by / name), target, box.read_only), path, self.rootless)
            for name, target in names.TARGETS.items()
            if target not in {mount.target for mount in box.mounts}
        ]
        return {
            "path": str(path),
            "engine": os.getpid(),
            "layers": layers,
            "process": with_ulimits(box, box.process),
            "hostname": box.hostname,
            "names": asdict(box.names),
            "share": share,
            "init": box.init,
            "sysctls": dict(box.sysctls),
            "mounts": [
                *(
                    describe(mount, path / "mounts" / str(number), self.rootless, storage)
                    for number, mount in enumerate(box.mounts)
                ),
                *map(describe_device, given),
            ],
            "storage": storage,
            "files": own,
            "read_only": box.read_only,
            "security": self._security(box),
            "network": box.network,
            "plugs": self._plugs(box),
            "restart": box.restart,
            "log": box.log,
            "log_file": asdict(box.log_file) if box.log_file else None,
            "health": self._health(box),
            "throwaway": box.throwaway,
            "rootless": userns == "one",
            "userns": userns,
            "shm_size": box.shm_size if own_memory and box.shm_size != SHM_SIZE else 0,
            "cgroup": describe_cgroup(replace(box, devices=tuple(given))),
        }

    def _plugs(self, box: Box) -> dict[str, Any]:
        """Its networks and published ports, as whoever plugs it in wants them described."""
        bridged = any(wire.address for wire in box.wires)
        return {
            "folder": box.networks if box.wires else "",
            "codec": plug.codec() if bridged else "",
            "userns": self._userns if bridged and self.rootless else "",
            "wires": [asdict(wire) if wire.address else wires.short(wire) for wire in box.wires],
            "ports": list(map(asdict, box.ports)) if bridged else [],
            "servers": servers_of(box),
        }

    def no_bridge(self, folder: str) -> str:
        """Why a container cannot be connected to others by the networks of a folder; empty where it can."""
        if not plug.codec():
            return plug.NO_CODEC
        return plug.refused(folder)

    def no_interface(self) -> str:
        """Interfaces of the host's are root's to move."""
        return "only root may take an interface out of the host's network: start minidocker as root" * self.rootless

    def connect(self, box: Box, wire: Wire) -> None:
        """Connect a container that runs to one more network. Raises APIError where it cannot be plugged in."""
        request: dict[str, Any] = {"do": "connect", "container": box.path.name, "wire": asdict(wire), "servers": None}
        with plug.upstream() as upstream:
            if wire.named:
                request["servers"] = servers_of(box)
            self._ask_switch(box, request, [upstream.fileno()] if wire.named else [])
        self.rewrite(box)

    def disconnect(self, box: Box, wire: Wire) -> None:
        """Take it off a network."""
        self._ask_switch(box, {"do": "disconnect", "container": box.path.name, "network": wire.network}, [])
        self.rewrite(box)

    def rewrite(self, box: Box) -> None:
        """Bring its /etc/hosts and /etc/resolv.conf up to date."""
        rewrite(box)

    def _ask_switch(self, box: Box, request: Mapping[str, Any], fds: list[int]) -> None:
        try:
            plugs = {"folder": box.networks, "codec": plug.codec(), "userns": self._userns if self.rootless else ""}
            plug.ask(plugs, request, fds).close()
        except Refusal as refusal:
            raise APIError(str(refusal)) from None

    def _userns_of(self, box: Box) -> str:
        """How the ids of this container are mapped. As in Docker, a privileged one has the host's users: its root is
        root here, if we are root.
        """
        if not self.rootless:
            return "" if box.security.privileged or box.share.get("user") == "host" else self._userns
        if box.share.get("user") == "host":
            raise Unsupported("started without root, a container always has a user namespace: leave out --userns host")
        return self._userns

    def _security(self, box: Box, everything: bool = False) -> dict[str, Any]:
        """What a container may do, as the kernel is told; or a process in it that shall have all capabilities.

        Raises StartError for a seccomp profile that is none.
        """
        security = box.security
        capabilities = mask(ALL if everything else security.capabilities)
        if not self._userns_of(box):  # else the user namespace has them all, over what is its own
            capabilities &= own_capabilities()
        try:
            found = None if security.privileged else filter_of(security.seccomp, frozenset(security.capabilities))
        except ValueError as error:
            raise StartError(str(error), exit_code=125) from None
        return {
            "capabilities": capabilities,
            "filter": [b64encode(found[0]).decode(), found[1]] if found else None,
            "no_new_privileges": security.no_new_privileges,
            "unmasked": security.unmasked or security.privileged,
            "privileged": security.privileged,
        }

    def signal(self, box: Box, signum: int) -> None:
        """Send a signal to the container's first process. One that waits to be restarted gives up instead; one that is
        paused goes on, as in Docker, since it could not even die otherwise.
        """
        state = running(box)
        with suppress(ProcessLookupError), process(state["Pid"] or state["Monitor"]) as pidfd:
            again = running(box)
            if again["Pid"] == state["Pid"]:
                signals.pidfd_send_signal(pidfd, signum if state["Pid"] else WAKE)
        if state["Paused"]:
            with suppress(Conflict):
                self.unpause(box)

    def pause(self, box: Box) -> None:
        """Freeze every process of the container: by the cgroup freezer, which they cannot notice, else by SIGSTOP."""
        self._set_paused(box, True)

    def unpause(self, box: Box) -> None:
        """Let them go on."""
        self._set_paused(box, False)

    def _set_paused(self, box: Box, paused: bool) -> None:
        with state_lock(str(box.path)):
            state = running(box)
            if not state["Pid"] or state["Paused"] == paused:
                word = "already paused" if paused and state["Pid"] else "not paused" if state["Pid"] else "restarting"
                raise Conflict(f"Container {box.path.name} is {word}")
            hold(box, state["Pid"]) if paused else let_go(box, state["Pid"])
            changes: dict[str, Any] = {"Paused": paused, "Status": "paused" if paused else "running"}
            if paused and "Health" in state:  # as Docker: of one that nobody probes, nobody can say that it is well
                changes["Health"] = state["Health"] | {"Status": "unhealthy"}
            write_state(str(box.path), state | changes)

    def top(self, box: Box) -> list[dict[str, Any]]:
        """The processes inside: `pid`, `ppid` (the host's numbers), `user`, `command`."""
        found = []
        for pid in processes(box, running(box)["Pid"]):
            with suppress(OSError):
                found.append(describe_process(pid, self.rootless))
        return found

    # What it may use, and uses

    def supports(self) -> frozenset[str]:
        """The limits that can be enforced here, by their names in `HostConfig`."""
        return limits.supported(cgroup.places())

    def update(self, box: Box, limits_: Mapping[str, Any]) -> None:
        """Change limits while it runs. Raises Conflict, InvalidArgument."""
        first = running(box)["Pid"]
        limits.change(group_of(box), limits_, lambda: processes(box, first))

    def cgroup_files(self, box: Box) -> dict[str, str]:
        """The kernel's files about its limits. Raises Conflict where it does not run."""
        running(box)
        return limits.in_files(group_of(box))

    def usage(self, box: Box) -> Usage:
        """What it uses now: from its cgroup, else from what its processes say of themselves. Raises Conflict."""
        first = running(box)["Pid"]
        group = group_of(box)
        return usage.of_group(group) if group.pids() else usage.of_processes(processes(box, first))

    # Files

    def changes(self, box: Box) -> Changeset:
        """The writable layer: `diff(lower, what is seen now)`."""
        upper = box.path / "upper"
        lower = view(tuple(layer.changes for layer in box.layers))
        if not upper.exists():
            return Changeset()
        storage = kept(box.path)
        if storage == probe.VFS:
            return overlay.compare(upper, lower, rootless=self.rootless)
        return overlay.scan(upper, lower, rootless=self.rootless, fuse=storage == probe.FUSE)

    def apply(self, box: Box, changes: Changeset) -> None:
        """Write entries into the container's file system as its processes see it, mounts included, running or not."""
        by_fuse = kept(box.path, self.storage) == probe.FUSE
        if has_monitor(box.path) and (pid := running(box)["Pid"]):
            if by_fuse:
                return fuse.apply(changes, pid, box.path, self.rootless)
            root = os.open(f"/proc/{program_of(box, pid)}/root", os.O_RDONLY | os.O_DIRECTORY)
            try:
                if running(box)["Pid"] == pid:  # still: so it is the container's, and no other that got its number
                    return self._write(changes, root, program_of(box, pid))
            finally:
                os.close(root)
        alone = replace(box, network="none", share={}, sysctls={}, wires=(), ports=())
        with self._launcher.ask({"do": "hold", "box": self._prepare(alone)}, NO_STDIO) as held:
            if by_fuse:
                fuse.apply(changes, answered(held)["pid"], box.path, self.rootless)
            else:
                pid = answered(held)["pid"]
                self._write(changes, f"/proc/{pid}/root", pid)
            held.shutdown(socket.SHUT_WR)
            answered(held)
        return None

    def fill(self, folder: Bind, changes: Changeset) -> None:
        """Write entries into a volume's folder, as containers are to see them there: with their owners."""
        if self._userns[:1].isdecimal():
            mapped.call(overlay.apply, changes, folder.source)
        else:
            overlay.apply(changes, folder.source, rootless=self.rootless)

    def listing(self, folder: Bind) -> Tree:
        """What containers see in a volume's folder."""
        return overlay.listing(folder.source, rootless=self.rootless)

    def bury(self, box: Box) -> None:
        """See to what is left of a container whose monitor was killed: frozen processes cannot even die."""
        group_of(box).remove()
        if "pid" in box.share:  # then the end of its first process was not that of the others
            joining.kill_all(joining.left_behind(str(box.path)))

    def _write(self, changes: Changeset, root: int | str, pid: int) -> None:
        """Make changes in what a process sees; as its root, where it has more users than we are."""
        if self._userns[:1].isdecimal():
            mapped.call(overlay.apply, changes, f"/proc/{pid}/root", of=pid)
        else:
            overlay.apply(changes, root, rootless=self.rootless)

    def remove(self, box: Box) -> None:
        """Take the container's folder out of sight at once and delete it behind one's back; `close` waits for that.

        Raises Conflict where the container runs.
        """
        if has_monitor(box.path):
            raise Conflict(f"cannot remove container {box.path.name}: container is running: stop the container first")
        if any(map((group := group_of(box)).holds, group.counters())):
            group.remove()
        gone = box.path.with_name(f".{box.path.name}.gone")
        with suppress(FileNotFoundError):
            box.path.rename(gone)
            sweeper = threading.Thread(target=sweep, args=(gone,))
            sweeper.start()
            with self._lock:
                self._sweepers = [*filter(threading.Thread.is_alive, self._sweepers), sweeper]


@cache
def own_capabilities() -> int:
    """The capabilities that we have, as a bit set: nobody in a container without a user namespace has others."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":\t") for line in lines if line.startswith("Cap"))
    return int(found["CapPrm"], 16) & int(found["CapBnd"], 16)


def sweep(folder: Path) -> None:
    """Delete a folder that nobody needs any more. The store's own sweep may be at it as well, and faster here or there:
    then what it has left is looked at again.
    """
    for _ in range(9):
        with suppress(OSError):
            discard(folder)
            return
    discard(folder)


def prepare(box: Box) -> None:
    """Make the files of its own that a container's folder must hold before its first start."""
    path = box.path
    outside = host_address(box) if any(text.endswith(":host-gateway") for text in box.names.hosts) else ""
    for name, text in names.contents(box, read_here, outside).items():
        write_file(path / name, text.encode(errors="surrogateescape"))


def rewrite(box: Box) -> None:
    """Write its /etc/hosts and /etc/resolv.conf anew, as its networks are others; what it wrote itself stays.

    The files stay the same ones, since they are mounted into it.
    """
    made = names.contents(box, read_here)
    hosts = names.with_networks((box.path / "hosts").read_text(errors="surrogateescape"), box)
    write_file(box.path / "hosts", hosts.encode(errors="surrogateescape"))
    write_file(box.path / "resolv.conf", made["resolv.conf"].encode(errors="surrogateescape"))


def host_address(box: Box) -> str:
    """The address under which containers find this machine: of the network's way out. Raises StartError without one."""
    if box.network == "host":
        return "127.0.0.1"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            any_socket.connect((ELSEWHERE, 9))  # sends nothing
            if not (why := wayout.missing()):
                return str(any_socket.getsockname()[0])
    except OSError as error:
        why = str(error.strerror).lower()
    text = f"unable to derive the IP value for host-gateway: containers have no way to this machine: {why}"
    raise StartError(text, exit_code=125)


def servers_of(box: Box) -> list[str]:
    """The name servers that questions are passed on to which ours cannot answer."""
    return [one for one in box.names.servers if ":" not in one] or plug.name_servers(read_here("/etc/resolv.conf"))


def read_here(path: str) -> str:
    """A file of this machine; empty where there is none."""
    there = Path(path)
    return there.read_text(errors="surrogateescape") if there.is_file() else ""


def write_file(path: Path, content: bytes) -> None:
    """Write a file that everybody may read, whatever the umask says."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, content)
        os.fchmod(fd, 0o644)
    finally:
        os.close(fd)


# Its cgroup


def with_ulimits(box: Box, process: Process) -> dict[str, Any]:
    """A process for the launcher, with what each one of the container may have at most."""
    return asdict(process) | {"ulimits": box.ulimits, "oom_score_adj": box.oom_score_adj}


def with_devices(box: Box, places: cgroup.Places) -> Mapping[str, Any]:
    """Its limits, and that of all devices it has only those that it asked for. Raises Unsupported."""
    if box.security.privileged or not box.devices:
        return box.limits
    if "devices" not in places:
        for device in (
            device for device in box.devices if "r" not in device.permissions or "w" not in device.permissions
        ):
            text = (
                f"{device.source}:{device.permissions}: only the devices cgroup of version 1 tells reading from writing"
            )
            raise Unsupported(
                f"cannot give a device in part ({text}, and it is not here); leave out :{device.permissions}"
            )
        return box.limits
    asked = box.limits.get("DeviceCgroupRules") or []
    return {**box.limits, "DeviceCgroupRules": [*asked, *devices.rules(box.devices)]}


def describe_cgroup(box: Box) -> dict[str, Any]:
    """Its cgroup for the launcher: name, what to write into it, and which of it to show inside, and how."""
    group, places = group_of(box), cgroup.places()
    settings = limits.settings(with_devices(box, places), places)
    used = {*group.counters(), *(name for name, _, _ in settings)} & places.keys()
    hierarchies = {
        places[name].root: [each for each in places if places[each].root == places[name].root] for name in used
    }
    mounts = {"" if cgroup.SELF in names else ",".join(sorted(names)): sorted(names) for names in hierarchies.values()}
    watch = bool(box.limits.get("Memory")) and "memory" in places
    return {"name": group.name, "settings": settings, "mounts": mounts, "watch": watch}
