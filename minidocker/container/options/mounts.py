"""`--mount`, `--tmpfs` and `--shm-size`: file systems in memory, and folders of the host, named part by part.

The API's `Mounts` are dicts, as the SDK's `docker.types.Mount` makes them; `Tmpfs` is `{"/run": "size=1m,exec"}` with
the options of mount(8). Volumes by name are not here yet, and are refused by name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minidocker.dockerfile.mounts import in_bytes
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.runtime import SHM_SIZE, Bind, Tmpfs

OPTIONS = frozenset({"mounts", "tmpfs", "shm_size"})
_WORDS = "ro suid dev exec sync dirsync mand atime diratime relatime strictatime".split()
_FLAGS = (  # a word -> the flag that it sets, or takes away
    {"rw": ("ro", False), "async": ("sync", False), "defaults": ("", False)}
    | {word: (word, True) for word in _WORDS if word not in ("suid", "dev", "exec", "atime", "diratime")}
    | {word: (f"no{word}", False) for word in ("suid", "dev", "exec", "atime", "diratime")}
    | {f"no{word}": (f"no{word}", True) for word in ("suid", "dev", "exec", "atime", "diratime")}
    | {f"no{word}": (word, False) for word in ("mand", "relatime", "strictatime")}
)
_DATA = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")
_PRIVATE = ("", "private", "rprivate")


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Mounts`, `Tmpfs` (both only where there are some) and `ShmSize`. Raises InvalidArgument, Unsupported.

    >>> host_config({"tmpfs": ["/run:size=1m"]})
    {'ShmSize': 67108864, 'Tmpfs': {'/run': 'size=1m'}}
    """
    from minidocker.container import spec

    memory = _tmpfs(given.get("tmpfs"))
    listed = [dict(mount) for mount in given.get("mounts") or []]
    made = [*(_mount(mount) for mount in listed), *(tmpfs(target, text) for target, text in memory.items())]
    volumes = {posixpath.normpath(spec.bind(text).target) for text in spec.binds(given.get("volumes"))}
    named = [posixpath.normpath(mount["Target"]) for mount in listed]
    for target in (posixpath.normpath(mount.target) for mount in made):
        if target in volumes or named.count(target) > 1:
            raise InvalidArgument(f"Duplicate mount point: {target}")
    check_sources({"Mounts": listed})
    found: dict[str, Any] = {"ShmSize": _shm_size(given.get("shm_size"))}
    return found | ({"Mounts": listed} if listed else {}) | ({"Tmpfs": memory} if memory else {})


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """How large its /dev/shm is; the mounts go together with those of `--volume`."""
    return {"shm_size": config["HostConfig"].get("ShmSize") or SHM_SIZE}


def mounts(host: Mapping[str, Any]) -> Iterator[Bind | Tmpfs]:
    """What `Mounts` and `Tmpfs` of a `HostConfig` mean for a runtime; where both name a target, `Mounts` counts."""
    listed = [_mount(mount) for mount in host.get("Mounts") or ()]
    taken = {posixpath.normpath(mount.target) for mount in listed}
    memory = (tmpfs(target, text) for target, text in (host.get("Tmpfs") or {}).items())
    yield from (mount for mount in memory if posixpath.normpath(mount.target) not in taken)
    yield from listed


def tmpfs(target: str, options: str, read_only: bool = False) -> Tmpfs:
    """One `--tmpfs`. Of options that contradict each other the last one counts; nothing said is `nosuid,nodev,noexec`.

    >>> tmpfs("/run", "size=1m,exec,ro")
    Tmpfs(target='/run', read_only=True, size=0, options='size=1m', flags=('nodev', 'nosuid'))
    """
    _check_target(target)
    flags, data = {"nosuid": True, "nodev": True, "noexec": True, "ro": read_only}, {}
    for option in filter(None, options.split(",")):
        key, equals, value = option.partition("=")
        if option in _FLAGS:
            flags.update([_FLAGS[option]])
        elif equals and key in _DATA:
            data[key] = value
        else:
            raise InvalidArgument(
                "invalid tmpfs option [" + " ".join(f'"{part}"' for part in option.split("=", 1)) + "]"
            )
    on = sorted(flag for flag, there in flags.items() if there and flag != "ro")
    return Tmpfs(target, flags["ro"], 0, ",".join(f"{key}={value}" for key, value in data.items()), tuple(on))


def _mount(mount: Mapping[str, Any]) -> Bind | Tmpfs:
    """One of `Mounts`. Raises InvalidArgument in Docker's words."""
    kind, target = mount.get("Type") or "", str(mount.get("Target") or "")
    source, read_only = str(mount.get("Source") or ""), bool(mount.get("ReadOnly"))

    def invalid(why: str) -> InvalidArgument:
        return InvalidArgument(f'invalid mount config for type "{kind}": {why}')

    if kind == "volume":
        raise Unsupported(f"minidocker does not have volumes ({source or 'an anonymous one'!r}) yet: use type bind")
    if kind not in ("bind", "tmpfs"):
        raise invalid("mount type unknown")
    if not target:
        raise invalid("field Target must not be empty")
    try:
        _check_target(target)
    except InvalidArgument as error:
        raise invalid(str(error)) from None
    if mount.get("VolumeOptions"):
        raise invalid("field VolumeOptions must not be specified")
    if kind == "tmpfs":
        if source:
            raise invalid("field Source must not be specified")
        if mount.get("BindOptions"):
            raise invalid("field BindOptions must not be specified")
        asked = mount.get("TmpfsOptions") or {}
        return tmpfs(target, _sized(asked, invalid), read_only)
    if mount.get("TmpfsOptions"):
        raise invalid("field TmpfsOptions must not be specified")
    if not source:
        raise invalid("field Source must not be empty")
    _check_bind(mount.get("BindOptions") or {}, invalid)
    if not (source.startswith("/") or Path(source).is_absolute()):
        raise invalid(f"invalid mount path: '{source}' mount path must be absolute")
    return Bind(source, target, read_only)


def _sized(asked: Mapping[str, Any], invalid: Any) -> str:
    size, mode = asked.get("SizeBytes") or 0, asked.get("Mode") or 0
    if not isinstance(size, int) or size < 0 or not isinstance(mode, int):
        raise invalid("invalid tmpfs size or mode")
    more = [",".join(str(word) for word in pair) for pair in asked.get("Options") or ()]
    return ",".join([*([f"size={size}"] if size else []), *([f"mode={mode:o}"] if mode else []), *more])


def _check_bind(asked: Mapping[str, Any], invalid: Any) -> None:
    propagation = str(asked.get("Propagation") or "")
    if propagation not in (*_PRIVATE, "shared", "rshared", "slave", "rslave"):
        raise invalid(f"invalid propagation mode: {propagation}")
    if propagation not in _PRIVATE:
        text = "what is mounted later on one side is never seen on the other; leave it out"
        raise Unsupported(f"minidocker does not have the propagation {propagation!r}: {text}")
    for option in ("NonRecursive", "ReadOnlyNonRecursive", "CreateMountpoint"):
        if asked.get(option):
            raise Unsupported(f"minidocker does not have the option {option} of bind mounts: leave it out")


def check_sources(host: Mapping[str, Any]) -> None:
    """Raise InvalidArgument where a folder of the host that `Mounts` names is not there: unlike `-v`, it makes none."""
    for mount in host.get("Mounts") or ():
        if mount["Type"] == "bind" and not Path(mount["Source"]).exists():
            text = f"bind source path does not exist: {mount['Source']}"
            raise InvalidArgument(f'invalid mount config for type "bind": {text}')


def _tmpfs(asked: Any) -> dict[str, str]:
    if isinstance(asked, Mapping):
        return {str(target): str(options or "") for target, options in asked.items()}
    if isinstance(asked, str):
        asked = [asked]
    return {str(text).partition(":")[0]: str(text).partition(":")[2] for text in asked or ()}


def _check_target(target: str) -> None:
    if not target.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{target}' mount path must be absolute")
    if posixpath.normpath(target) in ("/", "//"):
        raise InvalidArgument("invalid specification: destination can't be '/'")


def _shm_size(asked: Any) -> int:
    try:
        size = in_bytes("shm-size", asked) if isinstance(asked, str) else int(asked or 0)
    except (ValueError, TypeError):
        raise InvalidArgument(f"invalid size: '{asked}'") from None
    if size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    return size or SHM_SIZE
