"""A union mount where the kernel's own overlay is refused: the program fuse-overlayfs, one process for each mount.

The server opens /dev/fuse as a member of the container's user namespace, hands it to the container's first process,
which mounts it in its own mount namespace, and becomes fuse-overlayfs. It stays among the host's processes and files,
so nobody inside sees it. It ends when the mount does, and is killed when whoever started it dies.

    monitor ──fork──▶ server ─── /dev/fuse ──▶ first process: mount(2), "go"
                         └── execve fuse-overlayfs … /dev/fd/N
"""

# ruff: noqa: PTH100, PTH115, PTH208
from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minidocker.runtime import linux
from minidocker.runtime.messages import receive_fds

if TYPE_CHECKING:
    from pathlib import Path

    from minidocker.layer import Changeset

NAME = "fuse-overlayfs"
OPTIONS = "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"


def unions(box: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The folders over which a container has layers mounted, in the order in which `inside.build` mounts them."""
    for mount in box["mounts"]:
        if mount["kind"] == "snapshot":
            yield mount["source"], mount["layers"]
    yield box["path"], box["layers"]


class Servers:
    """The servers of one container: none, where its unions are not fuse-overlayfs's."""

    def __init__(self, box: Mapping[str, Any]) -> None:
        wanted = list(unions(box)) if box["storage"] == NAME else []
        self.unions = [(union, socket.socketpair()) for union in wanted]
        self.pids: list[int] = []

    @property
    def ends(self) -> list[int]:
        """What the first process needs: an end of a connection for each mount, in order."""
        return [theirs.fileno() for _, (_, theirs) in self.unions]

    def start(self, first: int) -> None:
        """Start them for a container whose first process this is, or will be."""
        for (path, layers), (ours, _) in self.unions:
            pid = os.fork()
            if pid == 0:
                with suppress(BaseException):
                    for end in {end for _, pair in self.unions for end in pair} - {ours}:
                        end.close()
                    serve(path, layers, first, ours)
                os._exit(1)
            self.pids.append(pid)
        for _, pair in self.unions:
            for end in pair:
                end.close()
        self.unions = []

    def take(self) -> list[int]:
        """The same in a process that was forked with them: its own alone, so that it sees when a server dies."""
        for _, (ours, _) in self.unions:
            ours.close()
        return [theirs.detach() for _, (_, theirs) in self.unions]

    def wait(self) -> None:
        """Wait for the ends of those whose mounts have gone."""
        for pid in self.pids:
            os.waitpid(pid, 0)
        self.pids = []


def serve(path: str, layers: list[str], first: int, channel: socket.socket) -> None:
    """Become the server of one mount. The directories are named by descriptors, as no path needs quoting then."""
    folders = [*reversed(layers), f"{path}/upper", f"{path}/work"]
    fds = [os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in folders]
    enter(first)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)  # after the step that would have reset it
    device = os.open("/dev/fuse", os.O_RDWR)
    socket.send_fds(channel, [b"\0"], [device])
    if not channel.recv(1):
        return
    for fd in (*fds, device):
        os.set_inheritable(fd, True)
    os.chdir("/proc/self/fd")
    lower = ":".join(map(str, fds[:-2]))
    options = f"lowerdir={lower},upperdir={fds[-2]},workdir={fds[-1]},volatile"
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.execvp(NAME, [NAME, "-f", "-o", options, f"/dev/fd/{device}"])


def enter(pid: int) -> None:
    """Become a member of the user namespace of a process, as its root."""
    if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        linux.setns(os.pidfd_open(pid), linux.NEWUSER)


def mount(path: str, end: int) -> None:
    """Mount what the server at the other end of a connection serves, on a folder. Raises OSError."""
    with socket.socket(fileno=end) as channel:
        _, fds = receive_fds(channel, 1)
        if not fds:
            raise OSError(107, "its server could not start")
        linux.mount(NAME, path, f"fuse.{NAME}", linux.MS_NODEV, OPTIONS.format(fds[0]))
        os.close(fds[0])
        channel.send(b"!")
    os.listdir(path)  # the server answers, or is none


def apply(changes: Changeset, pid: int, folder: Path, rootless: bool) -> None:
    """Write entries into the file system that a process sees. Only the members of the container's user namespace may
    look into such a mount, so a process goes there for it, and takes the changes with it as a layer's tar.
    """
    import subprocess
    import sys
    import tempfile

    from minidocker import layertar
    from minidocker.errors import LayerError

    code = f"import sys; sys.path[:0] = {[os.path.abspath(f'{__file__}/../../..')]!r}\n"
    code += f"from minidocker.runtime import fuse\nfuse.apply_there({pid}, {rootless})"
    with tempfile.NamedTemporaryFile(dir=folder) as packed:
        packed.writelines(layertar.chunks(changes))
        packed.seek(0)
        command = [sys.executable, "-I", "-S", "-c", code]
        done = subprocess.run(command, stdin=packed, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise LayerError(done.stderr.strip().rpartition("\n")[2])


def apply_there(pid: int, rootless: bool) -> None:
    """What that process does: its standard input is the tar."""
    from pathlib import Path

    from minidocker import layertar
    from minidocker.runtime import overlay

    changes = layertar.read(Path("/proc/self/fd/0"))
    enter(pid)
    overlay.apply(changes, f"/proc/{pid}/root", rootless=rootless)
