"""The walls of a container: what its first process does between its birth (`births`) and the program (`program`).

The process is born into new namespaces, as root of a user namespace of its own. In order: host name and network, the
overlay mount, on it /proc, /sys, /dev and the bind mounts, then pivot_root. Masked paths and devices are the defaults
of Docker's OCI runtime spec.

Everything in the image is hostile: paths resolve as in `placing`, so no link in it leads out. That holds only while
nothing is mounted over the root itself, so everything is in its place before pivot_root.
"""

# ruff: noqa: PTH102, PTH110, PTH211
from __future__ import annotations

import base64
import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from minidocker.runtime import linux
from minidocker.runtime.masks import MARK, MASKED, READ_ONLY
from minidocker.runtime.messages import Refusal, reason
from minidocker.runtime.placing import bind, exists, make_directories, mount_on, place, target_for, target_of

STAGE = "/proc"  # any folder that there is: what is mounted on it for a moment only we see
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}
IPC_SYSCTLS = frozenset(
    "kernel." + name for name in "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split()
)
HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)}  # those devices, by number; others are to be asked for
NOT_DEVICES = ("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console")  # of the host's /dev
SAFE = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


def prepare(
    network: str, rootless: bool, share: Mapping[str, str], security: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Do what is the same for all containers: the network, and /proc, /sys and /dev as detached trees of mounts.

    They are put together on a stage, which nobody sees any more when their copies are attached in `build`. What
    `security` says of the container counts here only where it lets more of them be seen, or changed.
    """
    privileged = security is not None and security["privileged"]
    os.umask(0)
    if network == "none":
        loopback_up()
    linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    host = {path: linux.open_tree(linux.AT_FDCWD, path) for path in of_the_host(share)}
    linux.mount("tmpfs", STAGE, "tmpfs", linux.MS_NOSUID)
    stage = os.open(STAGE, os.O_PATH | os.O_DIRECTORY)
    mount_kernel(stage, network, host.get("/proc"), writable=privileged)
    mount_devices(stage, "" if rootless else ",gid=5", share.get("ipc", ""), host)
    if privileged:
        mount_host_devices(stage)
    seal(stage, network, masked=not (security and security["unmasked"]))
    trees = {path: linux.open_tree(linux.open_inside(stage, path, os.O_PATH), "") for path in ("/proc", "/sys", "/dev")}
    os.close(stage)
    os.chdir("/")
    linux.detach(STAGE)
    return trees


def of_the_host(share: Mapping[str, str]) -> list[str]:
    """What of the host's a container sees that shares namespaces with it: nobody can mount these for it."""
    shown = {"pid": ["/proc"], "ipc": ["/dev/shm", "/dev/mqueue"]}
    wanted = [path for kind, paths in shown.items() if share.get(kind) == "host" for path in paths]
    return [path for path in wanted if os.path.exists(path)]


def build(box: Mapping[str, Any], trees: Mapping[str, int] | None = None, given: Sequence[int] = ()) -> None:
    """Make this process's new namespaces into the container's: its names, its settings, its root file system.

    `given` are descriptors from outside: for each union of fuse-overlayfs's the way to its server, then volumes in
    memory that other containers have, too, then shared memory.
    """
    ends = iter(given)
    share = box["share"]
    trees = prepare(box["network"], box["rootless"], share, box["security"]) if trees is None else trees
    os.umask(0)
    if share.get("cgroup") != "host":
        linux.unshare(linux.NEWCGROUP)  # its root is the cgroup that we have been put in by now
    if box["hostname"] and share.get("uts") != "host":
        name_machine(box["hostname"], box["names"]["domain"])
    for name, value in box["sysctls"].items():
        set_sysctl(name, value, share)
    mounts = [(wanted, open_source(wanted, box["storage"], ends)) for wanted in (*box["files"], *box["mounts"])]
    mount_union(box["path"], box["layers"], box["storage"], ends)
    mounts = [(wanted, next(ends) if wanted.get("given") else source) for wanted, source in mounts]
    root = os.open(box["path"], os.O_PATH | os.O_DIRECTORY)
    for path, tree in (*trees.items(), *(("/dev/shm", tree) for tree in ends)):
        linux.move_mount(tree, target_of(root, path))
    if box["shm_size"]:
        resize_memory(root, box["shm_size"])
    if box["cgroup"]["mounts"] and share.get("cgroup") == "host":  # nobody can mount the host's here: show them
        bind("/sys/fs/cgroup", target_of(root, "/sys/fs/cgroup"), read_only=True)
    elif box["cgroup"]["mounts"]:
        mount_cgroups(root, box["cgroup"]["mounts"], writable=box["security"]["privileged"])
    for wanted, source in sorted(mounts, key=lambda pair: pair[0]["target"].count("/")):
        attach(root, source, wanted)
    os.close(place(root, MARK, is_dir=False))
    os.umask(0o022)
    make_directories(root, box["process"]["cwd"])
    if box["mounts"]:  # which may show the host's /proc
        seal(root, box["network"], masked=not box["security"]["unmasked"])
    if box["read_only"]:
        linux.set_read_only(root, recursive=False)
    os.fchdir(root)
    linux.pivot_root(".", ".")  # from here to the next line the old root lies over the new one, and `/..` leads there
    linux.detach(".")
    os.chdir("/")


def name_machine(name: str, domain: str) -> None:
    """Set the host name, and the NIS domain name."""
    try:
        socket.sethostname(name)
        if domain:
            linux.setdomainname(domain)
    except OSError as error:
        raise Refusal(f"sethostname: {reason(error)}") from None


def set_sysctl(name: str, value: str, share: Mapping[str, str]) -> None:
    """Change a setting of the kernel in the namespaces that are ours. Raises Refusal where it is in none of them."""
    name = name.replace("/", ".")
    if name in IPC_SYSCTLS or name.startswith("fs.mqueue."):
        if share.get("ipc") == "host":
            raise Refusal(f'sysctl "{name}" is not allowed in the hosts ipc namespace')
    elif name.startswith("net."):
        if share.get("net") == "host":
            raise Refusal(f'sysctl "{name}" not allowed in host network namespace')
    elif name == "kernel.hostname":
        raise Refusal(f'sysctl "{name}" is not allowed as it conflicts with the OCI "hostname" field')
    elif name != "kernel.domainname" or share.get("uts") == "host":
        raise Refusal(f'sysctl "{name}" is not in a separate kernel namespace')
    path = f"/proc/sys/{name.replace('.', '/')}"  # no dot is left in it: nothing leads out
    try:
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, value.encode())
        os.close(fd)
    except OSError as error:
        raise Refusal(f"open {path}: {reason(error)}") from None


def loopback_up() -> None:
    """Switch on the loopback interface, which a new network namespace has, but down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        linux.interface_flags(any_socket.fileno(), "lo", add=linux.IFF_UP)


def mount_union(path: str, layers: list[str], storage: str, servers: Iterator[int]) -> None:
    """Mount the layers and the writable layer in a folder over that folder, by whichever means this machine has.

    Only this mount namespace sees it. With copies (`vfs`) the writable layer is all that there is.
    """
    try:
        if storage == "fuse-overlayfs":
            from minidocker.runtime import fuse

            fuse.mount(path, next(servers))
        elif storage == "vfs":
            own = linux.open_tree(linux.AT_FDCWD, f"{path}/upper", recursive=False)
            linux.set_attributes(own, linux.MOUNT_ATTR_NODEV, recursive=False)
            linux.move_mount(own, os.open(path, os.O_PATH))
        else:
            mount_overlay(path, layers)
    except OSError as error:
        text = f"cannot mount the {storage} of {len(layers)} layers: {error.strerror}; see `minidocker doctor`"
        raise Refusal(text) from None


def mount_overlay(path: str, layers: list[str]) -> None:
    """Mount layers and the writable layer in a folder over that folder, as the kernel's overlay.

    The directories are named by their descriptors: 127 layers fit into the one page that mount options may take, and
    no character in a path needs quoting. `volatile` spares a sync of the whole disk at every container's end.
    """
    lower = [os.open(layer, os.O_PATH | os.O_DIRECTORY) for layer in reversed(layers)]
    upper, work = (os.open(f"{path}/{name}", os.O_PATH | os.O_DIRECTORY) for name in ("upper", "work"))
    with suppress(FileNotFoundError):  # the warning that the last mount left here, as it was volatile
        os.unlink("work/incompat/volatile/dirty", dir_fd=work)
        os.rmdir("work/incompat/volatile", dir_fd=work)
    os.chdir("/proc/self/fd")
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work},userxattr,volatile"
    linux.mount("overlay", path, "overlay", linux.MS_NODEV, options)


def mount_kernel(root: int, network: str, processes: int | None, writable: bool = False) -> None:
    """Mount /proc and /sys: the kernel's own file systems, as these namespaces see them."""
    flags = SAFE | (0 if writable else linux.MS_RDONLY)
    if processes is None:
        mount_on(root, "/proc", "proc", SAFE)
    else:
        linux.move_mount(processes, target_of(root, "/proc"))
    try:
        if network == "host":
            raise PermissionError  # a sysfs belongs to a network namespace, and this one is not ours
        mount_on(root, "/sys", "sysfs", flags)
    except PermissionError:
        bind("/sys", target_of(root, "/sys"), read_only=not writable)
        return


def mount_cgroups(root: int, hierarchies: Mapping[str, list[str]], writable: bool = False) -> None:
    """Mount the container's own cgroup, and only that, read-only on /sys/fs/cgroup: as one file system in version 2
    (the hierarchy named ""), else one for each hierarchy, where the names of its controllers lead to it.
    """
    flags = SAFE | (0 if writable else linux.MS_RDONLY)
    if "" in hierarchies:
        return mount_on(root, "/sys/fs/cgroup", "cgroup2", flags)
    mount_on(root, "/sys/fs/cgroup", "tmpfs", SAFE, "mode=755")
    folder = linux.open_inside(root, "/sys/fs/cgroup", os.O_RDONLY | os.O_DIRECTORY)
    os.fchdir(folder)
    for name, controllers in hierarchies.items():
        os.mkdir(name)
        linux.mount("cgroup", name, "cgroup", flags, ",".join(controllers))
        for controller in controllers:
            if controller != name:
                os.symlink(name, controller)
    if not writable:
        linux.set_read_only(folder, recursive=False)
    os.chdir("/")
    return None


def mount_devices(root: int, terminal_group: str, ipc: str, host: Mapping[str, int]) -> None:
    """Mount /dev: the harmless devices of the host, bound one by one, and a few file systems of its own."""
    mount_on(root, "/dev", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=65536k")
    dev = linux.open_inside(root, "/dev", os.O_RDONLY | os.O_DIRECTORY)
    os.fchdir(dev)
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o666))
            bind(f"/dev/{name}", os.open(name, os.O_PATH))
    for name, target in LINKS.items():
        if name != "core" or exists(root, target):  # as runc
            os.symlink(target, name)
    for name in ("pts", "mqueue") if ipc == "none" else ("pts", "shm", "mqueue"):
        os.mkdir(name, 0o755)
    quiet = linux.MS_NOSUID | linux.MS_NOEXEC
    linux.mount("devpts", "pts", "devpts", quiet, f"newinstance,ptmxmode=0666,mode=0620{terminal_group}")
    if not (ipc in ("host", "none") or ipc.startswith("container:")):
        linux.mount("shm", "shm", "tmpfs", SAFE, "mode=1777,size=65536k")
    if ipc != "host":
        linux.mount("mqueue", "mqueue", "mqueue", SAFE)
    for path in host.keys() - {"/proc"}:
        linux.move_mount(host[path], target_of(root, path))


def mount_host_devices(root: int) -> None:
    """Bind all devices that the host has, under their names."""
    for folder, folders, names in os.walk("/dev"):
        folders[:] = [name for name in folders if name not in NOT_DEVICES]
        for path in (f"{folder}/{name}" for name in names if name not in NOT_DEVICES):
            with suppress(OSError):
                if device_of(os.lstat(path)) and path.removeprefix("/dev/") not in (*DEVICES, *LINKS):
                    bind(path, target_of(root, path, is_dir=False))


def device_of(info: os.stat_result) -> tuple[int, int]:
    """The numbers of a device; nothing for what is none."""
    is_device = stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)
    return (os.major(info.st_rdev), os.minor(info.st_rdev)) if is_device else ()  # type: ignore[return-value]


def open_source(wanted: Mapping[str, Any], storage: str, servers: Iterator[int]) -> int:
    """Open what a mount shows, while the host's file system can still be seen; -1 for what is made on the spot.

    Layers, and the memory that holds a secret, are mounted over the folder that was made for them.
    """
    if wanted["kind"] == "tmpfs":
        return -1
    if wanted["kind"] == "snapshot":
        mount_union(wanted["source"], wanted["layers"], storage, servers)
    elif wanted["kind"] == "secret":
        linux.mount("tmpfs", wanted["source"], "tmpfs", SAFE, "mode=700")
        write_secret(f"{wanted['source']}/secret", wanted)
    try:
        there = os.open(wanted["source"], os.O_PATH)
    except FileNotFoundError:
        text = f'invalid mount config for type "bind": bind source path does not exist: {wanted["source"]}'
        raise Refusal(text) from None
    try:
        return linux.open_inside(there, wanted["inside"], os.O_PATH) if wanted["inside"] else there
    except OSError as error:
        raise Refusal(f"cannot access path {wanted['source']}/{wanted['inside']}: {reason(error)}") from None


def write_secret(path: str, wanted: Mapping[str, Any]) -> None:
    """Write a secret into memory. In a user namespace with one user, it is that one's."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, base64.b64decode(wanted["content"]))
    with suppress(OSError):
        os.fchown(fd, wanted["uid"], wanted["gid"])
    os.fchmod(fd, wanted["mode"])
    os.close(fd)


def attach(root: int, source: int, wanted: Mapping[str, Any]) -> None:
    """Mount something at its target inside: what lies behind the descriptor `source`, or a new tmpfs."""
    info = os.fstat(source) if source >= 0 else None
    is_dir = info is None or stat.S_ISDIR(info.st_mode)
    there = exists(root, wanted["target"])
    target = target_for(root, wanted["source"] or wanted["kind"], wanted["target"], is_dir)
    if wanted.get("given"):
        read_only = wanted["read_only"]
        linux.set_attributes(source, linux.MS_RDONLY * read_only, cleared=linux.MS_RDONLY * (not read_only))
        linux.move_mount(source, target)
    elif info:
        tame = wanted["kind"] != "device" and device_of(info) not in HARMLESS  # devices are to be asked for one by one
        below = wanted.get("recursive", True), wanted.get("deep", True)
        bind(source, target, wanted["read_only"], linux.MS_NODEV if tame else 0, *below)
    else:
        mount_memory(target, wanted, f"mode={stat.S_IMODE(os.fstat(target).st_mode):o}" if there else "mode=1777")
        if wanted["read_only"] and wanted["volume"]:  # for this container alone: others may write into it
            linux.set_read_only(linux.open_inside(root, wanted["target"], os.O_PATH))


def resize_memory(root: int, size: int) -> None:
    """Give /dev/shm another size than it has been born with."""
    os.fchdir(linux.open_inside(root, "/dev/shm", os.O_PATH | os.O_DIRECTORY))
    linux.mount("shm", ".", "tmpfs", linux.MS_REMOUNT | SAFE, f"size={size}")


def mount_memory(target: int, wanted: Mapping[str, Any], mode: str) -> None:
    """Mount a new tmpfs on a folder, which gives it its mode unless that was asked for."""
    options = wanted["options"]
    os.fchdir(target)
    flags = wanted["flags"] | (linux.MS_RDONLY if wanted["read_only"] and not wanted["volume"] else 0)
    try:
        linux.mount("tmpfs", ".", "tmpfs", flags, options if "mode=" in options else f"{mode},{options}".rstrip(","))
    except OSError as error:
        what = f'error mounting "tmpfs" to rootfs at "{wanted["target"]}": mount tmpfs:{wanted["target"]}'
        raise Refusal(f"{what}, flags: {flags:#x}, data: {options}: {reason(error)}") from None


def mount_console(terminal: int) -> None:
    """Show the program's terminal as /dev/console, too."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    bind(terminal, place(root, "/dev/console", is_dir=False))
    os.close(root)


def seal(root: int, network: str, masked: bool = True) -> None:
    """Hide what /proc and /sys tell about the host, and make what changes the host read-only."""
    if network == "none":  # in a network of its own, any user may open any port and ping, as with Docker
        write_setting(root, "/proc/sys/net/ipv4/ip_unprivileged_port_start", b"0")
        write_setting(root, "/proc/sys/net/ipv4/ping_group_range", b"0 2147483647")
        write_setting(root, "/proc/sys/net/ipv6/conf/default/disable_ipv6", b"1")  # but where an address is given
    for path in READ_ONLY if masked else ():
        with suppress(FileNotFoundError):
            there = linux.open_inside(root, path, os.O_PATH)
            bind(there, there, read_only=True)
    for path in MASKED if masked else ():
        with suppress(FileNotFoundError):
            there = linux.open_inside(root, path, os.O_PATH)
            if stat.S_ISDIR(os.fstat(there).st_mode):
                os.fchdir(there)
                linux.mount("tmpfs", ".", "tmpfs", SAFE | linux.MS_RDONLY, "size=0k")
            else:
                bind("/dev/null", there)


def write_setting(root: int, path: str, value: bytes) -> None:
    """Write a sysctl, where this kernel has it and lets us."""
    with suppress(OSError):
        fd = linux.open_inside(root, path, os.O_WRONLY)
        os.write(fd, value)
        os.close(fd)
