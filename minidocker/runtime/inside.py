"""What the first process of a container does between its birth and the program: it builds the walls, then steps in.

The process is born into new namespaces (`births`), as root of a user namespace of its own. In order: host name and
network, the overlay mount, on it /proc, /sys, /dev and the bind mounts, then pivot_root; then the user, the
capabilities, and `execve`. Masked paths, devices and capabilities are the defaults of Docker's OCI runtime spec.

Everything in the image is hostile: paths resolve through `linux.open_inside` only, so no link in it leads out. That
holds only while nothing is mounted over the root itself, so everything is in its place before pivot_root.
"""

# ruff: noqa: PTH102, PTH110, PTH116, PTH211
from __future__ import annotations

import base64
import os
import posixpath
import signal
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from minidocker.runtime import linux, reaper
from minidocker.runtime.masks import MARK, MASKED, READ_ONLY
from minidocker.runtime.messages import Refusal as Refusal

STAGE = "/proc"  # any folder that there is: what is mounted on it for a moment only we see
PLACEHOLDER = "user.minidocker.mountpoint"  # marks what is there only for something to be mounted on
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
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python; what is ignored stays so over `execve`
MAX_ID = (1 << 31) - 1
MAX_TABLE = 1 << 20  # bytes of /etc/passwd or /etc/group that are read


# The walls


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

    `given` are descriptors from outside: for each union of fuse-overlayfs's the way to its server, then shared memory.
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
    if info:
        tame = wanted["kind"] != "device" and device_of(info) not in HARMLESS  # devices are to be asked for one by one
        return bind(source, target, wanted["read_only"], linux.MS_NODEV if tame else 0)
    return mount_memory(target, wanted, f"mode={stat.S_IMODE(os.fstat(target).st_mode):o}" if there else "mode=1777")


def resize_memory(root: int, size: int) -> None:
    """Give /dev/shm another size than it has been born with."""
    os.fchdir(linux.open_inside(root, "/dev/shm", os.O_PATH | os.O_DIRECTORY))
    linux.mount("shm", ".", "tmpfs", linux.MS_REMOUNT | SAFE, f"size={size}")


def mount_memory(target: int, wanted: Mapping[str, Any], mode: str) -> None:
    """Mount a new tmpfs on a folder, which gives it its mode unless that was asked for."""
    options = wanted["options"]
    os.fchdir(target)
    flags = wanted["flags"] | (linux.MS_RDONLY if wanted["read_only"] else 0)
    try:
        linux.mount("tmpfs", ".", "tmpfs", flags, options if "mode=" in options else f"{mode},{options}".rstrip(","))
    except OSError as error:
        what = f'error mounting "tmpfs" to rootfs at "{wanted["target"]}": mount tmpfs:{wanted["target"]}'
        raise Refusal(f"{what}, flags: {flags:#x}, data: {options}: {reason(error)}") from None


def exists(root: int, path: str) -> bool:
    """Whether something is at a path inside."""
    try:
        os.close(linux.open_inside(root, path, os.O_PATH))
    except OSError:
        return False
    return True


def target_for(root: int, source: str, path: str, is_dir: bool) -> int:
    """`target_of` for a mount that a person asked for. Raises Refusal where a directory would lie on a file."""
    what = f"error mounting {source!r} to rootfs at {path!r}"
    try:
        target = target_of(root, path, is_dir)
    except OSError as error:
        raise Refusal(f"{what}: {reason(error)}", 127) from None
    if stat.S_ISDIR(os.fstat(target).st_mode) != is_dir:
        text = "Are you trying to mount a directory onto a file (or vice-versa)? "
        text += "Check if the specified host path exists and is the expected type"
        raise Refusal(f"{what}: not a directory: {text}", 127)
    return target


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


# Mounting, without ever following a link out


def bind(source: int | str, target: int, read_only: bool = False, flags: int = 0) -> None:
    """Bind-mount a descriptor or a path of the host's, with all that is mounted below it, on a descriptor."""
    tree = linux.open_tree(source, "") if isinstance(source, int) else linux.open_tree(linux.AT_FDCWD, source)
    if flags := flags | (linux.MS_RDONLY if read_only else 0):
        linux.set_attributes(tree, flags)
    linux.move_mount(tree, target)


def mount_on(root: int, path: str, fstype: str, flags: int, options: str = "") -> None:
    """Mount a new file system on a directory inside."""
    os.fchdir(target_of(root, path))
    linux.mount(fstype, ".", fstype, flags, options)


def target_of(root: int, path: str, is_dir: bool = True) -> int:
    """Open, or make, what something is to be mounted on. Raises Refusal where that is the root, by whatever name."""
    target = place(root, path, is_dir)
    if os.path.samestat(os.fstat(target), os.fstat(root)):
        raise Refusal(f"invalid mount config: invalid specification: destination can't be '/': {path}")
    return target


def place(root: int, path: str, is_dir: bool = True) -> int:
    """Open what is at `path` for something to be mounted on it.

    Where nothing is, an empty placeholder is made. It must not show in the container's changes, so it is marked, and
    its parent's time is put back.
    """
    with suppress(FileNotFoundError):
        return linux.open_inside(root, path, os.O_PATH)
    above, name = posixpath.split(path.rstrip("/"))
    if above != "/":
        place(root, above)
    parent = linux.open_inside(root, above, os.O_RDONLY | os.O_DIRECTORY)
    before = os.fstat(parent)
    if is_dir:
        os.mkdir(name, 0o755, dir_fd=parent)
    else:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o755, dir_fd=parent))
    made = linux.open_inside(root, path, os.O_RDONLY)
    with suppress(OSError):
        os.setxattr(made, PLACEHOLDER, b"")
    os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    return made


def make_directories(root: int, path: str) -> None:
    """Make the working directory where the image has none, as Docker does."""
    try:
        os.close(linux.open_inside(root, path, os.O_PATH | os.O_DIRECTORY))
    except FileNotFoundError:
        above, name = posixpath.split(path.rstrip("/"))
        make_directories(root, above)
        parent = linux.open_inside(root, above, os.O_PATH | os.O_DIRECTORY)
        os.mkdir(name, 0o755, dir_fd=parent)
    except NotADirectoryError:
        raise Refusal(f"Cannot mkdir: {path} is not a directory") from None


# The user


class Identity(NamedTuple):
    """Whom the program runs as."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def identify(root: int, spec: str) -> Identity:
    """Look up `user[:group]`, names or numbers, in the container's own tables, by Docker's rules. Raises Refusal."""
    user, group = f"{spec}:".split(":")[:2]
    user_id = number(user or "0")
    users = rows(root, "/etc/passwd", 7)
    row = next((row for row in users if (row[0] == user if user_id is None else row[2] == str(user_id))), None)
    if row is None and user_id is None:
        raise Refusal(f"unable to find user {user}: no matching entries in passwd file")
    name, uid, gid, home = (row[0], id_of(row[2]), id_of(row[3]), row[5]) if row else ("", user_id or 0, 0, "/")
    groups = list(rows(root, "/etc/group", 4))
    if not group:
        extra = tuple(id_of(line[2]) for line in groups if name and name in line[3].split(","))
        return Identity(uid, gid, extra, home)
    group_id = number(group)
    if group_id is None:
        group_id = next((id_of(line[2]) for line in groups if line[0] == group), None)
    if group_id is None:
        raise Refusal(f"unable to find group {group}: no matching entries in group file")
    return Identity(uid, group_id, (), home)


def more_groups(root: int, wanted: Sequence[str]) -> tuple[int, ...]:
    """The ids of further groups (`--group-add`): numbers, or names in the container's own table. Raises Refusal."""
    found = {row[0]: row[2] for row in rows(root, "/etc/group", 4)} if wanted else {}
    ids = []
    for group in wanted:
        id = number(group)
        if id is None and group not in found:
            raise Refusal(f"Unable to find group {group}: no matching entries in group file")
        ids.append(id_of(found[group]) if id is None else id)
    return tuple(ids)


def number(text: str) -> int | None:
    """The id that a text spells, None where it is a name. Raises Refusal where no id can be like that."""
    return id_of(text) if text.removeprefix("-").isdecimal() else None


def id_of(text: str) -> int:
    """The id that digits spell. Raises Refusal."""
    if text.startswith("-") or len(text) > 10 or int(text) > MAX_ID:
        raise Refusal(f"uids and gids must be in range 0-{MAX_ID}")
    return int(text)


def rows(root: int, path: str, fields: int) -> Iterator[list[str]]:
    """The well-formed lines of a colon-separated table inside the container; none where there is no such file."""
    try:
        fd = linux.open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return os.close(fd)
    with os.fdopen(fd, "rb") as table:
        text = table.read(MAX_TABLE)
    for line in text.decode(errors="surrogateescape").splitlines():
        row = line.strip().split(":")
        if len(row) >= fields and row[2].isdecimal() and (fields < 7 or row[3].isdecimal()):
            yield row


# The program


def step_in(process: Mapping[str, Any], rootless: bool, security: Mapping[str, Any], init: bool = False) -> None:
    """Become the program: user, capabilities, folder, signals, `execve`. Never returns; raises Refusal.

    With `init` the program is a child, and we stay and look after it.
    """
    capabilities: int = security["capabilities"]
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    who = identify(root, process["user"])
    groups = more_groups(root, process["groups"])
    if rootless and groups:
        raise Refusal("unable to add groups: started without root, a container has only the group 0")
    if rootless and (who.uid or who.gid):
        text = f"unable to run as user {process['user']}: started without root, a container has only the user 0; "
        raise Refusal(text + "start minidocker as root, or leave the user out")
    change_directory(root, process["cwd"])
    for stream in range(3):
        if stat.S_ISFIFO(os.fstat(stream).st_mode):
            with suppress(OSError):
                os.fchown(stream, who.uid, who.gid)  # so that it may open /dev/stdout
    if process["tty"]:
        os.fchown(0, who.uid, -1)
    linux.drop_bounding(capabilities)
    if not rootless:
        os.setgroups(list(dict.fromkeys((who.gid, *who.groups, *groups))))  # its own is among them, as with Docker
    os.setresgid(who.gid, who.gid, who.gid)
    linux.prctl(linux.PR_SET_KEEPCAPS, 1)
    os.setresuid(who.uid, who.uid, who.uid)
    own = 0 if who.uid else capabilities
    linux.set_capabilities(own, aside=linux.CAP_SYS_ADMIN)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    env = dict(text.split("=", 1) for text in process["env"] if "=" in text)
    env.setdefault("HOME", who.home)
    path = find(process["args"][0], env.get("PATH", ""))
    for signum in IGNORED:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    linux.close_on_exec(3)
    if process["ulimits"]:
        from minidocker.runtime import ulimits

        ulimits.apply(process["ulimits"])
    confine(own, security)
    if init:
        with suppress(OSError):
            linux.set_capabilities(own)  # no `execve` takes from an init what it needs no more
        reaper.stay_behind(process["args"])
    execute(path, process["args"], env)


def confine(own: int, security: Mapping[str, Any]) -> None:
    """Give up what is given up last: new privileges, and the system calls that the program is not to make.

    To install a filter takes CAP_SYS_ADMIN, which `execve` then takes from everybody who is not to have it: what root
    has afterwards is the bounding set, and others nothing.
    """
    if security["filter"]:
        linux.set_capabilities(own | linux.CAP_SYS_ADMIN)
    else:
        linux.set_capabilities(own)
    if security["no_new_privileges"]:
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    if security["filter"]:
        code, flags = security["filter"]
        linux.seccomp(base64.b64decode(code), flags)


def change_directory(root: int, path: str) -> None:
    """Go to the working directory. Nothing there leads out: not even a link to another process's folder in /proc."""
    try:
        os.fchdir(linux.open_inside(root, path, os.O_PATH | os.O_DIRECTORY))
    except OSError as error:
        text = f'chdir to cwd ("{path}") set in config.json failed: {reason(error)}'
        raise Refusal(text, exit_code(error)) from None


def find(name: str, search: str) -> str:
    """Find a program as Docker's runtime does: with a slash in its name there, else in the folders of `PATH`."""
    if "/" in name:
        try:
            check_program(name)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Refusal(f'exec: "{name}": stat {name}: {reason(error)}', 127) from None
        except OSError as error:
            raise Refusal(f'exec: "{name}": {reason(error)}', exit_code(error)) from None
        return name
    for folder in search.split(":") if search else ():
        with suppress(OSError):
            check_program(f"{folder or '.'}/{name}")
            return f"{folder or '.'}/{name}"
    raise Refusal(f'exec: "{name}": executable file not found in $PATH', 127)


def check_program(path: str) -> None:
    """Raise the OSError that says why a path is no program."""
    if stat.S_ISDIR(os.stat(path).st_mode):
        raise IsADirectoryError(21, "is a directory")
    if not os.access(path, os.X_OK):
        raise PermissionError(13, "permission denied")


def execute(path: str, args: list[str], env: Mapping[str, str]) -> None:
    """`execve`; what the kernel says against it becomes a Refusal."""
    try:
        os.execve(path, args, env)
    except OSError as error:
        raise Refusal(f"exec {path}: {reason(error)}", exit_code(error)) from None


def reason(error: OSError) -> str:
    """The kernel's words in Go's spelling, which is without a capital: `permission denied`."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def exit_code(error: OSError) -> int:
    """Docker's exit code for a program that did not start: 127 not found, 126 found but not to be run."""
    return 127 if isinstance(error, FileNotFoundError | NotADirectoryError) else 126
