"""Capabilities: the pieces that the power of root is made of, and those of them that a container has.

The names and numbers of capabilities(7); Docker's default set, and its rules for `--cap-add` and `--cap-drop`.

    >>> mask(tweaked(add=["ALL"], drop=["NET_RAW"])) == mask(ALL) & ~(1 << 13)
    True
    >>> normalized(["net_admin"])
    ['CAP_NET_ADMIN']
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ALL = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
        "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)  # in the order of their numbers
DEFAULT = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split()
)


def normalized(names: Iterable[str]) -> list[str]:
    """Names as Docker keeps them: in capitals, with `CAP_`, and `ALL` as it is. Raises ValueError for unknown ones."""
    found = []
    for name in map(str.upper, names):
        full = name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"
        if full != "ALL" and full not in ALL:
            raise ValueError(f'unknown capability: "{full}"')
        found.append(full)
    return found


def tweaked(add: Sequence[str] = (), drop: Sequence[str] = ()) -> tuple[str, ...]:
    """Docker's default set after some were dropped and added. `ALL` to add goes before `ALL` to drop."""
    added, dropped = normalized(add), normalized(drop)
    if "ALL" in added:
        return tuple(name for name in ALL if name not in dropped)
    if "ALL" in dropped:
        return tuple(dict.fromkeys(added))
    return tuple(dict.fromkeys([*(name for name in DEFAULT if name not in dropped), *added]))


def mask(names: Iterable[str]) -> int:
    """The bit set that the kernel takes."""
    return sum(1 << ALL.index(name) for name in set(names))
