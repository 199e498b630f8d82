"""The monitor of a container that a runtime of others starts: what containerd's shim is to runc.

It mounts the layers in a mount namespace of its own (without root: and in a user namespace), writes the bundle, and has
`create` and `start` run. The container's first process then becomes its child, as it is a subreaper. A guard, which
waits for the monitor's end, sees to it that a container does not outlive a monitor that is killed.

    containers/<id>/bundle/config.json  rootfs/     what the runtime is given
    containers/<id>/bundle/state/                   what it remembers
"""

# ruff: noqa: PTH103, PTH112, PTH115, PTH108, PTH123
from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from minidocker.runtime import cgroup, inside, linux, placing, user
from minidocker.runtime.births import check_confession, confess, map_ids
from minidocker.runtime.fuse import Servers
from minidocker.runtime.masks import MARK
from minidocker.runtime.messages import Refusal, receive_fds
from minidocker.runtime.shim import Monitor

ID = "container"  # its name for the runtime: each has a state folder of its own
UNIFIED = "/sys/fs/cgroup/unified"  # crun refuses version 2 beside version 1 where both have controllers
REASONS = ("executable file not found", "no such file or directory", "not found in $PATH", "not a directory")


@dataclass
class First:
    """The first process, as the monitor wants it."""

    pid: int
    master: int | None = None


class BundleMonitor(Monitor):
    """One container's keeper; `runc` builds its walls."""

    def run(self) -> None:
        """As any monitor, in namespaces of its own."""
        if self.spare:
            self.spare.stop()
            self.spare = None
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        self.bundle = f"{self.path}/bundle"
        os.makedirs(f"{self.bundle}/rootfs", exist_ok=True)
        separate(self.box["userns"] if os.geteuid() else "")
        super().run()

    def first_process(self, stdio: list[int | None]) -> First:  # type: ignore[override]
        """Have the runtime start the program. Raises Refusal."""
        self.delete()  # what a killed monitor left
        self.leave_guard()
        self.servers = Servers(self.box)
        ours, theirs = socket.socketpair()
        child = os.fork()  # what it opens goes with it
        if child == 0:
            try:
                self.mount(iter(self.servers.take()))
                os._exit(0)
            except BaseException as error:
                confess(theirs.fileno(), error)
        theirs.close()
        self.servers.start(os.getpid())
        try:
            check_confession(ours)
        finally:
            ours.close()
            os.waitpid(child, 0)
        return self.create(stdio)

    # The bundle

    def mount(self, ends: Iterator[int]) -> None:
        """Mount the layers, and what else comes from us, and write `config.json`."""
        made = self.box["bundle"]["config"]
        for wanted in (mount for mount in self.box["mounts"] if mount["kind"] != "device"):
            source = inside.open_source(wanted, self.box["storage"], ends)
            if source >= 0:
                of = next(mount for mount in made["mounts"] if mount["destination"] == wanted["target"])
                of["source"] = self.held(source) if wanted["inside"] else os.readlink(f"/proc/self/fd/{source}")
        inside.mount_union(self.path, self.box["layers"], self.box["storage"], ends)
        tree = linux.open_tree(linux.AT_FDCWD, self.path)
        linux.detach(self.path)
        linux.move_mount(tree, os.open(f"{self.bundle}/rootfs", os.O_PATH))
        root = os.open(f"{self.bundle}/rootfs", os.O_PATH | os.O_DIRECTORY)
        for mount in made["mounts"]:
            self.place(root, mount)
        os.close(placing.place(root, MARK, is_dir=False))
        self.write_config(root, made)

    def held(self, source: int) -> str:
        """A path that leads to a part of a folder, whatever becomes of the names on the way to it: mounted there."""
        path = f"{self.bundle}/held.{source}"
        if stat.S_ISDIR(os.fstat(source).st_mode):
            os.makedirs(path, exist_ok=True)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        placing.bind(source, os.open(path, os.O_PATH))
        return path

    def place(self, root: int, mount: dict[str, Any]) -> None:
        """Make what something is to be mounted on: the runtime's own would show in the container's changes."""
        if not mount["destination"].startswith(("/dev/", "/sys/", "/proc/")):
            is_dir = mount["type"] != "bind" or os.path.isdir(mount["source"])
            os.close(placing.target_for(root, mount["source"], mount["destination"], is_dir))

    def write_config(self, root: int, made: dict[str, Any]) -> None:
        """Look up the user, and write down what the container is."""
        process = self.box["process"]
        who = user.identify(root, process["user"])
        groups = [*dict.fromkeys((who.gid, *who.groups, *user.more_groups(root, process["groups"])))]
        made["process"]["user"] = {"uid": who.uid, "gid": who.gid, "additionalGids": groups}
        if not any(text.startswith("HOME=") for text in made["process"]["env"]):
            made["process"]["env"].append(f"HOME={who.home}")
        if self.box["rootless"]:
            del made["linux"]["resources"]  # which it could not write
        with open(f"{self.bundle}/config.json", "w") as file:
            json.dump(made, file, indent=2)

    # The runtime

    def create(self, stdio: list[int | None]) -> First:
        """`create`, then `start`."""
        os.chdir(self.bundle)  # from where the path to the socket is short enough, for both sides
        console = Console("console.sock") if self.box["process"]["tty"] else None
        more = ["--console-socket", console.path] if console else []
        try:
            with cgroup.unswept():
                self.call("create", "--bundle", self.bundle, "--pid-file", f"{self.bundle}/pid", *more, ID, stdio=stdio)
            with open(f"{self.bundle}/pid") as file:
                pid = int(file.read())
            master = console.take() if console else None
        finally:
            if console:
                console.close()
            os.chdir("/")
        with self.network_of(pid) as network:
            self.plug_in(network)
        self.call("start", ID)
        return First(pid, master)

    def call(self, *words: str, stdio: list[int | None] | None = None) -> None:
        """Run a command of the runtime's. Raises Refusal with its own words."""
        log = f"{self.bundle}/log.json"
        with suppress(FileNotFoundError):
            os.unlink(log)
        code = self.spawn(words, stdio or [None] * 3, log)
        if code:
            raise refusal(self.box["bundle"]["name"], words[0], said(log))

    def spawn(self, words: tuple[str, ...], stdio: list[int | None], log: str) -> int:
        """The exit code of one command of the runtime's."""
        import fcntl

        about = self.box["bundle"]
        options = ["--root", f"{self.bundle}/state", "--log", log, "--log-format", "json"]
        if self.box["rootless"]:
            options += ["--rootless=true"] if about["name"] == "runc" else ["--cgroup-manager=disabled"]
        null = os.open(os.devnull, os.O_RDWR)
        ends = [null if fd is None else fd for fd in stdio]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in ends]  # so that none is where another shall be
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high)]
        pid = os.posix_spawn(
            about["program"], [about["name"], *options, *words], os.environ, file_actions=actions, setsigmask=[]
        )
        for fd in (null, *high):
            os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    # The end

    def end_the_rest(self) -> None:
        """The runtime forgets the container; our mounts go."""
        self.delete()
        self.unmount()
        os.close(self.watcher)

    def refuse(self, refusal: Refusal) -> None:
        """Nothing is left of one that did not start."""
        self.end_the_rest()
        super().refuse(refusal)

    def delete(self) -> None:
        """Have the runtime kill and forget the container, if it knows one."""
        if os.path.isdir(f"{self.bundle}/state/{ID}"):
            self.spawn(("delete", "--force", ID), [None] * 3, os.devnull)

    def unmount(self) -> None:
        """Take our mounts away: in a mount namespace that only we are in now."""
        for path in [f"{self.bundle}/rootfs", *(mount["source"] for mount in self.box["mounts"] if mount["source"])]:
            with suppress(OSError):
                linux.detach(path)

    def leave_guard(self) -> None:
        """Leave a process that deletes the container when this one has been killed."""
        waiting, self.watcher = os.pipe()
        if os.fork() == 0:
            os.close(self.watcher)
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
            os.read(waiting, 1)  # ends with the other end's last holder
            with suppress(BaseException):
                self.delete()
            os._exit(0)
        os.close(waiting)


class Console:
    """Where a runtime hands over the master of a terminal."""

    def __init__(self, path: str) -> None:
        self.path = path
        with suppress(FileNotFoundError):
            os.unlink(path)
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(path)
        self.door.listen(1)

    def take(self) -> int:
        """The master."""
        self.door.settimeout(10)
        caller, _ = self.door.accept()
        with caller:
            _, fds = receive_fds(caller, 4096)
        return fds[0]

    def close(self) -> None:
        """Nobody else may come."""
        self.door.close()
        os.unlink(self.path)


def separate(userns: str) -> None:
    """Give this process a mount namespace of its own, and where it is not root a user namespace first."""
    if userns:
        ready, go = os.pipe()
        me, helper = os.getpid(), os.fork()
        if helper == 0:  # ids are mapped from outside
            os.close(go)
            os.read(ready, 1)
            with suppress(BaseException):
                map_ids(me, userns)
                os._exit(0)
            os._exit(1)
        linux.unshare(linux.NEWUSER)
        os.close(go)
        os.close(ready)
        os.waitpid(helper, 0)
    linux.unshare(linux.NEWNS)
    linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    if os.path.isdir(UNIFIED):
        linux.mount("tmpfs", UNIFIED, "tmpfs", inside.SAFE, "size=1m")


def said(log: str) -> str:
    """The last error in a runtime's log."""
    with suppress(OSError), open(log) as file:
        lines = [json.loads(line) for line in file if line.startswith("{")]
        return next((str(line["msg"]) for line in reversed(lines) if line.get("level") == "error"), "")
    return ""


def refusal(name: str, verb: str, text: str) -> Refusal:
    """Why a container did not start, with Docker's exit code for such words."""
    low = text.lower()
    code = 127 if any(reason in low for reason in REASONS) else 126 if "permission denied" in low else 125
    return Refusal(f"OCI runtime {verb} failed: {text or f'{name} ended without a word'}", code)
