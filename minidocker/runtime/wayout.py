"""The way out: how containers on bridges reach the world, where there are programs for it.

slirp4netns, or pasta, gives the switch's network namespace an interface behind which it makes ordinary connections of
the host's, which takes no privilege. The switch forwards to it what comes from bridges that are not
internal, and nft, or iptables, hides their addresses behind its own.
"""

# ruff: noqa: PTH123
from __future__ import annotations

import os
import select
import shutil
import signal
import time
from contextlib import suppress

from minidocker.runtime import linux

INTERFACE, GATEWAY, TABLE = "tap0", "10.0.2.2", 100
NETWORK, OWN = "10.0.2.0/24", "10.0.2.100"  # slirp4netns's own
PATIENCE = 30.0  # seconds in which the program must have made its interface
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("slirp4netns", "pasta")
PASTA = f"""--foreground --quiet --config-net --ns-ifname {INTERFACE} --address {OWN} --netmask 24 --gateway {GATEWAY}
--ipv4-only --mtu 65520 --no-map-gw --no-dhcp -t none -u none -T none -U none""".split()
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
    if not program():
        return "neither slirp4netns nor pasta is installed"
    return "" if any(map(find, HIDE)) else "neither nft nor iptables is installed"


def program() -> str:
    """By which program one gets out; empty where there is none."""
    return next(filter(find, PROGRAMS), "")


def find(name: str) -> str:
    """Where a program is; empty where it is not."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SEARCH}") or ""


def open_way(pid: int, leave: int) -> bool:
    """Give the network namespace of a process the interface that leads out, until `leave` has no other end any more.

    For whoever is in the host's network. Whether it is there by now.
    """
    if missing():
        return False
    if program() == "pasta":
        return open_by_pasta(pid, leave)
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


def open_by_pasta(pid: int, leave: int) -> bool:
    """The same by pasta, which does not know by itself when to end: a process of ours stays, and tells it."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if os.fork() == 0:
        try:
            keep_pasta(pid, namespace, leave)
        finally:
            os._exit(0)
    os.close(namespace)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
            if f" {INTERFACE}:" in file.read().replace("\n", " "):
                return True
        time.sleep(0.005)
    return False


def keep_pasta(pid: int, namespace: int, leave: int) -> None:
    """Run pasta until `leave` has no other end any more; nothing else that was open is kept."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    low, high = sorted((leave, namespace))
    for first, end in ((3, low), (low + 1, high), (high + 1, 1 << 16)):
        os.closerange(first, end)
    os.set_inheritable(namespace, True)
    os.set_inheritable(leave, False)
    where = ["--runas", "0", "--netns", f"/proc/self/fd/{namespace}"] if os.geteuid() == 0 else [str(pid)]
    child = os.fork()
    if child == 0:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, with which pasta does not start
        os.execv(find("pasta"), ["pasta", *PASTA, *where])
    os.close(namespace)
    while not select.select([leave], [], [], 1.0)[0] and os.waitpid(child, os.WNOHANG)[0] == 0:
        pass
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


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
