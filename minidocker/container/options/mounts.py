"""`--mount`, `--tmpfs` and `--shm-size`: volumes, folders of the host and file systems in memory, named part by part.

The API's `Mounts` are dicts, as the SDK's `docker.types.Mount` makes them; `Tmpfs` is `{"/run": "size=1m,exec"}` with
the options of mount(8).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidocker.container.options.volumes import MOVING, PRIVATE, Point, check_propagation, cleaned
from minidocker.dockerfile.mounts import in_bytes
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.runtime import SHM_SIZE, Tmpfs

OPTIONS = frozenset({"mounts", "tmpfs", "shm_size"})
_WORDS = "ro suid dev exec sync dirsync mand atime diratime relatime strictatime".split()
_FLAGS = (  # a word -> the flag that it sets, or takes away
    {"rw": ("ro", False), "async": ("sync", False), "defaults": ("", False)}
    | {word: (word, True) for word in _WORDS if word not in ("suid", "dev", "exec", "atime", "diratime")}
    | {word: (f"no{word}", False) for word in ("suid", "dev", "exec", "atime", "diratime")}
    | {f"no{word}": (f"no{word}", True) for word in ("suid", "dev", "exec", "atime", "diratime")}
    | {f"no{word}": (word, False) for word in ("mand", "relatime", "strictatime")}
)
BELOW = ("NonRecursive", "ReadOnlyNonRecursive")  # what is said of the mounts below a folder of the host
_DATA = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Mounts`, `Tmpfs` (both only where there are some) and `ShmSize`. Raises InvalidArgument, Unsupported.

    >>> host_config({"tmpfs": ["/run:size=1m"]})
    {'ShmSize': 67108864, 'Tmpfs': {'/run': 'size=1m'}}
    """
    memory = _tmpfs(given.get("tmpfs"))
    for target, text in memory.items():
        tmpfs(target, text)
    listed = [dict(mount) for mount in given.get("mounts") or []]
    for mount in listed:
        point(mount)
    check_sources({"Mounts": listed})
    found: dict[str, Any] = {"ShmSize": _shm_size(given.get("shm_size"))}
    return found | ({"Mounts": listed} if listed else {}) | ({"Tmpfs": memory} if memory else {})


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """How large its /dev/shm is; the mounts go together with those of `--volume`."""
    return {"shm_size": config["HostConfig"].get("ShmSize") or SHM_SIZE}


def tmpfs(target: str, options: str, read_only: bool = False) -> Tmpfs:
    """One `--tmpfs`. Of options that contradict each other the last one counts; nothing said is `nosuid,nodev,noexec`.

    >>> tmpfs("/run", "size=1m,exec,ro")
    Tmpfs(target='/run', read_only=True, size=0, options='size=1m', flags=('nodev', 'nosuid'), volume='')
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


def point(mount: Mapping[str, Any]) -> Point:
    """One of `Mounts`. Raises InvalidArgument in Docker's words, Unsupported."""
    kind, target = mount.get("Type") or "", str(mount.get("Target") or "")
    source, read_only = str(mount.get("Source") or ""), bool(mount.get("ReadOnly"))

    def invalid(why: str) -> InvalidArgument:
        return InvalidArgument(f'invalid mount config for type "{kind}": {why}')

    if kind not in ("bind", "tmpfs", "volume"):
        raise invalid("mount type unknown")
    if not target:
        raise invalid("field Target must not be empty")
    try:
        _check_target(target)
    except InvalidArgument as error:
        raise invalid(str(error)) from None
    for other in ("bind", "tmpfs", "volume"):
        if other != kind and mount.get(f"{other.capitalize()}Options"):
            raise invalid(f"field {other.capitalize()}Options must not be specified")
    found = {"Type": kind, "Destination": cleaned(target), "Mode": "", "RW": not read_only, "Propagation": ""}
    options = mount.get(f"{kind.capitalize()}Options") or {}
    if kind == "tmpfs":
        if source:
            raise invalid("field Source must not be specified")
        text = _sized(options, invalid)
        tmpfs(target, text, read_only)
        return found | {"Source": "", "Spec": {"Memory": text}}
    if kind == "volume":
        return found | {"Name": source, "Mode": "z", "Spec": _volume(options, source, read_only, invalid)}
    if not source:
        raise invalid("field Source must not be empty")
    _check_bind(options, read_only, invalid)
    if not (source.startswith("/") or Path(source).is_absolute()):
        raise invalid(f"invalid mount path: '{source}' mount path must be absolute")
    spec = {key: True for key in BELOW if options.get(key)}
    found |= {"Source": cleaned(source), "Propagation": str(options.get("Propagation") or "rprivate")}
    return found | ({"Spec": spec} if spec else {})


def _volume(asked: Mapping[str, Any], source: str, read_only: bool, invalid: Any) -> dict[str, Any]:
    """What is asked of a volume: its driver, labels, and which part of it."""
    subpath, driver = str(asked.get("Subpath") or ""), asked.get("DriverConfig") or {}
    if not source and read_only:
        raise invalid("must not set ReadOnly mode when using anonymous volumes")
    if not source and subpath:
        raise invalid("must not set Subpath when using anonymous volumes")
    if subpath.startswith("/") or _leads_out(subpath):
        raise invalid("subpath must be a relative path within the volume")
    return {
        "NoCopy": bool(asked.get("NoCopy")),
        "Labels": dict(asked.get("Labels") or {}),
        "Driver": str(driver.get("Name") or ""),
        "Options": dict(driver.get("Options") or {}),
        "Subpath": subpath,
    }


def _leads_out(path: str) -> bool:
    return posixpath.normpath(path).split("/")[0] == ".."


def _sized(asked: Mapping[str, Any], invalid: Any) -> str:
    size, mode = asked.get("SizeBytes") or 0, asked.get("Mode") or 0
    if not isinstance(size, int) or size < 0 or not isinstance(mode, int):
        raise invalid("invalid tmpfs size or mode")
    more = [",".join(str(word) for word in pair) for pair in asked.get("Options") or ()]
    return ",".join([*([f"size={size}"] if size else []), *([f"mode={mode:o}"] if mode else []), *more])


def _check_bind(asked: Mapping[str, Any], read_only: bool, invalid: Any) -> None:
    propagation = str(asked.get("Propagation") or "")
    if propagation not in ("", *PRIVATE, *MOVING):
        raise invalid(f"invalid propagation mode: {propagation}")
    check_propagation(propagation)
    if asked.get("CreateMountpoint"):
        raise Unsupported("minidocker does not have the option CreateMountpoint of bind mounts: leave it out")
    for option in ("ReadOnlyNonRecursive", "ReadOnlyForceRecursive"):
        if asked.get(option) and not read_only:
            raise invalid(f"mount source must be read-only for {option}")
    if asked.get("ReadOnlyNonRecursive") and asked.get("ReadOnlyForceRecursive"):
        raise invalid("ReadOnlyForceRecursive must not be specified together with ReadOnlyNonRecursive")


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
