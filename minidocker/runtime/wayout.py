"""The way out: how containers on bridges reach the world, where slirp4netns and nft (or iptables) are installed.

slirp4netns gives the switch's network namespace an interface behind which it makes ordinary
connections of the host's, which takes no privilege. The switch forwards to it what comes from bridges that are not
internal, and hides their addresses behind its own.
"""

from __future__ import annotations

import os
import select
import shutil
from contextlib import suppress

INTERFACE, GATEWAY, TABLE = "tap0", "10.0.2.2", 100
NETWORK = "10.0.2.0/24"  # slirp4netns's own
PATIENCE = 5.0  # seconds in which the program must have made its interface
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HIDE = {  # by which program addresses are hidden -> its arguments, and what it is told
    "nft": (
        ["-f", "-"],
        f"table ip minidocker {{ chain out {{ type nat hook postrouting priority 100; "
        f'oifname "{INTERFACE}" masquerade; }} }}\n',
    ),
    "iptables": (["-t", "nat", "-A", "POSTROUTING", "-o", INTERFACE, "-j", "MASQUERADE"], ""),
}


def missing() -> str:
    """What a way out lacks on this machine; empty where it lacks nothing."""
    if not find("slirp4netns"):
        return "slirp4netns is not installed"
    return "" if any(map(find, HIDE)) else "neither nft nor iptables is installed"


def find(name: str) -> str:
    """Where a program is; empty where it is not."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SEARCH}") or ""


def open_way(pid: int, leave: int) -> bool:
    """Give the network namespace of a process the interface that leads out, until `leave` has no other end any more.

    For whoever is in the host's network. Whether it is there by now.
    """
    if missing():
        return False
    ready, told = os.pipe()
    os.set_inheritable(told, True)
    os.set_inheritable(leave, True)
    options = ["--configure", "--mtu=65520", "--disable-host-loopback", "--disable-dns"]
    args = ["slirp4netns", *options, f"--ready-fd={told}", f"--exit-fd={leave}", str(pid), INTERFACE]
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
    try:
        os.posix_spawn(find("slirp4netns"), args, os.environ, file_actions=actions)
    finally:
        os.close(null)
        os.close(told)
    there = bool(select.select([ready], [], [], PATIENCE)[0]) and bool(os.read(ready, 1))
    os.close(ready)
    return there


def hide_addresses() -> bool:
    """Have what goes out bear the address of the interface; whether it does. For who is in the network namespace."""
    return any(find(name) and run(find(name), [name, *args], text) for name, (args, text) in HIDE.items())


def run(program: str, args: list[str], text: str) -> bool:
    """Run a program that is told something on its standard input; whether it was content."""
    end, start = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((end, null, null))]
    with suppress(OSError):
        pid = os.posix_spawn(program, args, os.environ, file_actions=actions)
        os.close(end)
        os.write(start, text.encode())
        os.close(start)
        os.close(null)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return False
