"""What a hostile program tries from inside a container. Run there, with the number of a process of the host's.

It prints a line of JSON: attack -> what came of it. `ESCAPED` is what must never be there; else it is the error's name.
"""

# ruff: noqa: PTH103, PTH109, PTH115, PTH116, PTH208
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import socket
import stat
import struct
import sys
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
NUMBERS = {  # x86_64, the others
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "io_uring_setup": (425, 425),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "clone3": (435, 435),
    "mount_setattr": (442, 442),
    "process_vm_readv": (310, 270),
    "pidfd_getfd": (438, 438),
}
HOST_PID = int(sys.argv[1]) if __name__ == "__main__" else 0
ATTACKS: dict[str, Callable[[], object]] = {}


def attack(run: Callable[[], object]) -> Callable[[], object]:
    ATTACKS[run.__name__] = run
    return run


def check(result: int) -> int:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def call(name: str, *args: object) -> int:
    return check(LIBC.syscall(ctypes.c_long(NUMBERS[name][0 if X86 else 1]), *args))


def write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@attack
def leaked_descriptors() -> object:
    left = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own
            os.fstat(int(name))
            left += [] if int(name) < 3 else [os.readlink(f"/proc/self/fd/{name}")]
    if not left:
        raise FileNotFoundError(errno.ENOENT, "none")
    return left


for name, args in {
    "keyctl": (0, -3, 1),
    "bpf": (0, b"\0" * 64, 64),
    "perf_event_open": (b"\0" * 128, 0, -1, -1, 0),
    "userfaultfd": (0,),
    "open_by_handle_at": (-100, struct.pack("IiQ", 8, 1, 2), os.O_RDONLY),
    "finit_module": (0, b"", 0),
    "delete_module": (b"loop", 0),
    "kexec_load": (0, 0, None, 0),
    "io_uring_setup": (1, b"\0" * 120),
    "open_tree": (-100, b"/", 1),
    "fsopen": (b"tmpfs", 0),
    "clone3": (b"\0" * 64, 64),
    "mount_setattr": (-100, b"/", 0, struct.pack("4Q", 0, 1, 0, 0), 32),
    "pidfd_getfd": (0, 0, 0),
}.items():
    ATTACKS[name] = lambda name=name, args=args: call(name, *args)  # type: ignore[misc]

for name, run in {
    "mount": lambda: check(LIBC.mount(b"x", b"/mnt", b"tmpfs", 0, None)),
    "remount": lambda: check(LIBC.mount(None, b"/proc/sys", None, 32 | 4096, None)),
    "unmask": lambda: check(LIBC.umount2(b"/proc/keys", 2)),
    "user_namespace": lambda: check(LIBC.unshare(0x10000000)),
    "mount_namespace": lambda: check(LIBC.unshare(0x00020000)),
    "setns": lambda: check(LIBC.setns(os.open("/proc/1/ns/net", os.O_RDONLY), 0)),
    "reboot": lambda: check(LIBC.reboot(0)),
    "swapon": lambda: check(LIBC.swapon(b"/dev/zero", 0)),
    "settimeofday": lambda: check(LIBC.settimeofday(struct.pack("2q", 0, 0), None)),
    "sethostname": lambda: check(LIBC.sethostname(b"pwned", 5)),
    "pivot_root": lambda: check(LIBC.syscall(ctypes.c_long(155 if X86 else 41), b"/", b"/")),
    "core_pattern": lambda: write("/proc/sys/kernel/core_pattern", "|/x"),
    "modprobe": lambda: write("/proc/sys/kernel/modprobe", "/x"),
    "sysrq": lambda: write("/proc/sysrq-trigger", "h"),
    "irq": lambda: write("/proc/irq/default_smp_affinity", "1"),
    "sys": lambda: write("/sys/kernel/uevent_helper", "/x"),
    "kcore": lambda: os.read(os.open("/proc/kcore", os.O_RDONLY), 64)[0],
    "kmsg": lambda: os.open("/dev/kmsg", os.O_RDONLY),
    "signal": lambda: os.kill(HOST_PID, 0),
    "see_process": lambda: os.stat(f"/proc/{HOST_PID}/status"),
    "host_environment": lambda: os.open(f"/proc/{HOST_PID}/environ", os.O_RDONLY),
    "nice": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    "realtime": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
    "oom_score": lambda: write("/proc/self/oom_score_adj", "-1000"),
    "root_of_host": lambda: os.open("/proc/1/root/proc/1/root/.dockerenv-of-the-host", os.O_RDONLY),
}.items():
    ATTACKS[name] = run


@attack
def raw_device() -> None:
    os.mknod("/disk", 0o660 | stat.S_IFBLK, os.makedev(254, 0))
    os.open("/disk", os.O_RDONLY)


@attack
def host_devices() -> object:
    known = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)}
    for folder, _, names in os.walk("/dev"):
        for path in (f"{folder}/{name}" for name in names):
            info = os.lstat(path)
            if stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
                number = (os.major(info.st_rdev), os.minor(info.st_rdev))
                if number not in known and number[0] != 136:
                    return path
    raise FileNotFoundError(errno.ENOENT, "none")


@attack
def release_agent() -> object:
    for folder, _, names in os.walk("/sys/fs/cgroup"):
        for name in names:
            if name in ("release_agent", "devices.allow", "memory.limit_in_bytes", "cgroup.procs"):
                with contextlib.suppress(OSError):
                    os.close(os.open(f"{folder}/{name}", os.O_WRONLY))
                    return folder
    raise PermissionError(errno.EACCES, "none")


@attack
def net_admin() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0))


@attack
def vsock() -> None:
    socket.socket(40, socket.SOCK_STREAM)


@attack
def ptrace_host() -> None:
    LIBC.ptrace.restype = ctypes.c_long
    check(LIBC.ptrace(16, HOST_PID, None, None))


@attack
def more_memory_of_others() -> None:
    buffer = ctypes.create_string_buffer(8)
    vector = struct.pack("2Q", ctypes.addressof(buffer), 8)
    call("process_vm_readv", HOST_PID, vector, 1, vector, 1, 0)


@attack
def raise_limits() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))


@attack
def folder_outside() -> object:
    here, root = os.stat("."), os.stat("/")
    if (here.st_dev, here.st_ino) == (root.st_dev, root.st_ino):
        raise FileNotFoundError(errno.ENOENT, "none")
    return os.getcwd()


@attack
def chroot_twice() -> object:
    """The way out of a plain chroot: keep a folder outside of a new root, and go up from there."""
    before, outside = os.stat("/"), os.open("/", os.O_RDONLY)
    os.makedirs("/cell", exist_ok=True)
    os.chroot("/cell")
    os.fchdir(outside)
    for _ in range(40):
        os.chdir("..")
    os.chroot(".")
    after = os.stat("/")
    if (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino):
        raise PermissionError(errno.EPERM, "the root is still the container's")
    return os.listdir("/")


@attack
def type_into_terminal() -> None:
    fcntl.ioctl(0, 0x5412, b"x")


@attack
def overwrite_runtime() -> None:
    """CVE-2019-5736: the program that put us here, opened through /proc, is that of the host."""
    for number in filter(str.isdecimal, os.listdir("/proc")):
        if os.path.realpath(f"/proc/{number}/exe") not in (os.path.realpath("/proc/self/exe"), "/bin/busybox"):
            os.close(os.open(f"/proc/{number}/exe", os.O_WRONLY))
            return
    raise FileNotFoundError(errno.ENOENT, "none")


def main() -> None:
    """Try them all, and say how each ended."""
    found: dict[str, str] = {}
    for name, tried in ATTACKS.items():
        try:
            found[name] = f"ESCAPED {tried()}"
        except OSError as error:
            found[name] = errno.errorcode[error.errno or 0]
        except ValueError:
            found[name] = "EPERM"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
