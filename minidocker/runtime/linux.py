"""The system calls of Linux that Python 3.11 has no function for: mounts, namespaces, capabilities.

Each function is one call, with the kernel's own name and arguments, and raises OSError. Numbers are needed only where
the C library has no wrapper. See namespaces(7), mount(2), mount_setattr(2), openat2(2), capabilities(7).
"""

from __future__ import annotations

import ctypes
import os
import struct
from errno import EINVAL, ENOSYS, EPERM
from functools import cache

# clone(2), setns(2)
NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000,
    0x02000000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
NEWTIME, CLONE_PARENT = 0x80, 0x8000
SIGCHLD = 17
# mount(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
MS_REMOUNT = 32
MNT_DETACH = 2
# open_tree(2), move_mount(2), mount_setattr(2)
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE, OPEN_TREE_CLONE = -100, 0x1000, 0x8000, 1
MOUNT_ATTR_NODEV = 4
MOVE_EMPTY_PATHS = 0x04 | 0x40  # both ends are the descriptors themselves
# openat2(2)
RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x02, 0x10
# prctl(2)
PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 15, 36
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 1, 4, 24, 47, 4
PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 8, 38
SECCOMP_SET_MODE_FILTER = 1
CAP_SYS_ADMIN = 1 << 21
CAP_LAST = 63
CLOSE_RANGE_CLOEXEC = 4
# inotify(7)
IN_MODIFY, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x80, 0x100, 0x200
# netdevice(7)
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

_NEWER = {"clone3": 435, "close_range": 436, "openat2": 437, "open_tree": 428, "move_mount": 429, "mount_setattr": 442}
_NUMBERS = {  # since 2019 a new call has one number on all machines
    "x86_64": {"clone": 56, "pivot_root": 155, "seccomp": 317} | _NEWER,
    "aarch64": {"clone": 220, "pivot_root": 41, "seccomp": 277} | _NEWER,
    "riscv64": {"clone": 220, "pivot_root": 41, "seccomp": 277} | _NEWER,
}


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _number(name: str) -> int:
    try:
        return _NUMBERS[os.uname().machine][name]
    except KeyError:
        raise OSError(38, f"the number of {name} is not known on {os.uname().machine}") from None


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _syscall(name: str, *args: int | bytes | ctypes.Structure | None) -> int:
    wide = [
        ctypes.c_long(arg) if isinstance(arg, int) else ctypes.byref(arg) if isinstance(arg, ctypes.Structure) else arg
        for arg in args
    ]
    return _check(_libc().syscall(ctypes.c_long(_number(name)), *wide))


def flock(fd: int, wait: bool = True, shared: bool = False) -> None:
    """Lock an open file for this process alone, or `shared` against such a one; without `wait` BlockingIOError says
    that another has it.
    """
    import fcntl

    fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


def watch(folder: str, what: int) -> int:
    """A descriptor that can be read when that happens to a folder (inotify(7)); it is closed on exec."""
    fd = _check(_libc().inotify_init1(os.O_CLOEXEC))
    try:
        _check(_libc().inotify_add_watch(fd, os.fsencode(folder), what))
    except OSError:
        os.close(fd)
        raise
    return fd


def interface_flags(socket_fd: int, name: str, add: int = 0) -> int:
    """The flags of a network interface, after some are added."""
    import fcntl

    found = fcntl.ioctl(socket_fd, SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
    flags: int = struct.unpack_from("H", found, 16)[0] | add
    if add:
        fcntl.ioctl(socket_fd, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags))
    return flags


class _CloneArgs(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("flags", "pidfd", "child_tid", "parent_tid")),
        *((name, ctypes.c_uint64) for name in ("exit_signal", "stack", "stack_size", "tls")),
    )


def clone(flags: int) -> int:
    """Fork into new namespaces; 0 in the child. Only for a process with a single thread: it is a bare system call.

    Of the time namespace only `clone3` knows, which not every kernel has, nor every sandbox: it is left out then.
    """
    if flags & NEWTIME:
        try:
            signal = 0 if flags & CLONE_PARENT else SIGCHLD
            return _syscall("clone3", _CloneArgs(flags=flags, exit_signal=signal), ctypes.sizeof(_CloneArgs))
        except OSError as error:
            if error.errno not in (ENOSYS, EINVAL, EPERM):
                raise
    return _syscall("clone", flags & ~NEWTIME | SIGCHLD, 0, 0, 0, 0)


def setdomainname(name: str) -> None:
    """Change the NIS domain name of this uts namespace."""
    text = name.encode()
    _check(_libc().setdomainname(text, len(text)))


def setns(fd: int, flags: int) -> None:
    """Enter the namespaces of the process behind a pidfd; with no flags none, which the kernel would not take."""
    if flags:
        _check(_libc().setns(fd, flags))


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _check(_libc().unshare(flags))


def mount(source: str, target: str, fstype: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, the old way: by path."""
    words = [word.encode("utf-8", "surrogateescape") for word in (source, target, fstype, options)]
    _check(_libc().mount(*words[:3], ctypes.c_ulong(flags), words[3] or None))


def detach(target: str) -> None:
    """Unmount lazily whatever is mounted there, with all that lies on it."""
    _check(_libc().umount2(os.fsencode(target), MNT_DETACH))


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of this mount namespace and put the old root on `old`."""
    _syscall("pivot_root", os.fsencode(new), os.fsencode(old))


def open_tree(fd: int, path: str, recursive: bool = True) -> int:
    """Copy the mounts at `path` (from `fd`) into a detached tree: one half of a bind mount."""
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    return _syscall("open_tree", fd, os.fsencode(path), flags)


def move_mount(tree: int, target: int) -> None:
    """Attach a detached tree on the file or directory behind `target`: the other half."""
    _syscall("move_mount", tree, b"", target, b"", MOVE_EMPTY_PATHS)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def set_read_only(tree: int, recursive: bool = True) -> None:
    """Make a mount, and those on it, read-only; other flags, locked ones too, stay as they are."""
    set_attributes(tree, MS_RDONLY, recursive)


def set_attributes(tree: int, attributes: int, recursive: bool = True, cleared: int = 0) -> None:
    """Set flags of a mount, and of those on it, and clear some; others stay as they are."""
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _syscall("mount_setattr", tree, b"", flags, _MountAttr(attributes, cleared, 0, 0), ctypes.sizeof(_MountAttr))


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_inside(root: int, path: str, flags: int) -> int:
    """Open a path as if `root` were `/`: neither `..` nor any symbolic link leads out, nor do those in /proc."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    while True:
        try:
            return _syscall("openat2", root, path.encode("utf-8", "surrogateescape"), how, ctypes.sizeof(_OpenHow))
        except BlockingIOError:  # somebody mounted something meanwhile, anywhere: whether a `..` led out is not known
            continue


def prctl(option: int, value: int, third: int = 0) -> None:
    """Change something about this process."""
    _check(_libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(third), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def rlimit(pid: int, number: int, new: tuple[int, int] | None = None) -> tuple[int, int]:
    """A limit of a process, soft and hard, before it gets the `new` one; -1 is unlimited. (The module `resource` cannot
    be imported behind the walls.)
    """
    two = ctypes.c_int64 * 2
    old, wanted = two(), two(*new) if new else None
    _check(_libc().prlimit64(pid, number, wanted, old))
    return old[0], old[1]


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = tuple(
        (f"{kind}{half}", ctypes.c_uint32) for half in (0, 1) for kind in ("effective", "permitted", "inheritable")
    )


def drop_bounding(keep: int) -> None:
    """Take every capability that is not in the bit set `keep` out of the bounding set."""
    for capability in range(CAP_LAST + 1):
        if not keep >> capability & 1:
            try:
                prctl(PR_CAPBSET_DROP, capability)
            except OSError:
                return  # past the last one that this kernel knows


def set_capabilities(keep: int, aside: int = 0) -> None:
    """Hold exactly the capabilities in the bit set `keep`, and `aside` some to take up later; pass none on."""
    (low, high), (low_all, high_all) = ((bits & 0xFFFFFFFF, bits >> 32) for bits in (keep, keep | aside))
    header = _CapHeader(0x20080522, 0)
    _check(_libc().capset(ctypes.byref(header), ctypes.byref(_CapData(low, low_all, 0, high, high_all, 0))))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def seccomp(program: bytes, flags: int) -> None:
    """Put a filter (`bpf`) before every system call that this process and its children make from now on."""
    _syscall("seccomp", SECCOMP_SET_MODE_FILTER, flags, _Program(len(program) // 8, program))


def close_on_exec(first: int) -> None:
    """Let no descriptor from `first` on survive the next exec."""
    _syscall("close_range", first, 0xFFFFFFFF, CLOSE_RANGE_CLOEXEC)


def set_name(name: str) -> None:
    """Change what `ps` calls this process."""
    _check(_libc().prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()), 0, 0, 0))
