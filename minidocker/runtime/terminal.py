"""A terminal of a container's own (`-t`): a pty(7) whose slave is the program's, whose master its monitor keeps.

The pair is made inside, in the container's own devpts, and the master handed out through a socket; so what the program
sees as `/dev/pts/0` is there for it, and no terminal of the host's is within its reach.
"""

from __future__ import annotations

import os
import socket
import stat
import struct

from minidocker.runtime import linux

# ioctl_tty(2)
TIOCSCTTY, TIOCSWINSZ, TIOCSPTLCK, TIOCGPTPEER = 0x540E, 0x5414, 0x40045431, 0x5441
PTMX = os.makedev(5, 2)
FLAGS = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC


def take(to: socket.socket, size: tuple[int, int]) -> int:
    """Make a terminal, make it this process's own, send its master through a socket; the slave stays open.

    For a process inside that leads a session.
    """
    import fcntl

    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        master = linux.open_inside(root, "/dev/pts/ptmx", FLAGS)
    finally:
        os.close(root)
    found = os.fstat(master)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != PTMX:  # whoever is root inside may put anything there
        raise OSError(19, "/dev/pts/ptmx is no terminal multiplexer")
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    slave = peer(master)
    resize(master, *size)
    fcntl.ioctl(slave, TIOCSCTTY, 0)
    for stream in range(3):
        os.dup2(slave, stream)
    socket.send_fds(to, [b"t"], [master])
    os.close(master)
    return slave


def peer(master: int) -> int:
    """The slave of a master, by no path: nobody can put another file in its place."""
    import fcntl

    return fcntl.ioctl(master, TIOCGPTPEER, FLAGS)


def resize(master: int, height: int, width: int) -> None:
    """Tell a terminal its size; the kernel sends SIGWINCH to whoever is in its foreground."""
    import fcntl

    if height or width:
        fcntl.ioctl(master, TIOCSWINSZ, struct.pack("HHHH", height & 0xFFFF, width & 0xFFFF, 0, 0))
