"""`--mount`, `--device`, `--cap-add`, `--security-opt`: options of `run` whose values have a grammar of their own."""

from __future__ import annotations

import csv
import json
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from minidocker.cli.flags import Invalid
from minidocker.container.options.devices import is_mode
from minidocker.dockerfile.mounts import in_bytes

KEYS = {  # of `--mount` -> what it is called in the API, under the options of its type
    "source": "Source",
    "src": "Source",
    "target": "Target",
    "dst": "Target",
    "destination": "Target",
    "type": "Type",
    "readonly": "ReadOnly",
    "ro": "ReadOnly",
    "consistency": "Consistency",
    "bind-propagation": "Propagation",
    "bind-nonrecursive": "NonRecursive",
    "bind-recursive": "Recursive",
    "volume-subpath": "Subpath",
    "volume-nocopy": "NoCopy",
    "volume-label": "Labels",
    "volume-driver": "Name",
    "volume-opt": "Options",
    "image-subpath": "Subpath",
    "tmpfs-size": "SizeBytes",
    "tmpfs-mode": "Mode",
}
PAIRS = ("volume-label", "volume-driver", "volume-opt")  # these are parts of something of theirs
BARE = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive")  # without a value they are true
TRUTH = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


def mount(text: str) -> dict[str, Any]:
    """One `--mount`, as the API has it. Raises ValueError in Docker's words.

    >>> mount("type=tmpfs,dst=/run,tmpfs-mode=700")
    {'Type': 'tmpfs', 'Target': '/run', 'TmpfsOptions': {'Mode': 448}}
    """
    found: dict[str, Any] = {"Type": "volume"}
    options: dict[str, dict[str, Any]] = {}
    for field in fields_of(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals and key not in BARE:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        if key not in KEYS:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        kind = key.partition("-")[0] if "-" in key else ""
        into = options.setdefault(kind, {"DriverConfig": {}} if kind == "volume" else {}) if kind else found
        if key in PAIRS:
            _add_pair(into, key, value)
        else:
            into[KEYS[key]] = _value(key, value if equals else "true")
    if not found.get("Target"):
        raise ValueError("target is required")
    for kind, given in options.items():
        if kind != found["Type"]:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{found['Type']}'")
        found[f"{kind.capitalize()}Options"] = _bind_options(given, found) if kind == "bind" else given
        if kind == "volume":  # as in Docker the last one; and what is in it, in its order
            driver = given.pop("DriverConfig")
            named = {"Name": driver["Name"]} if "Name" in driver else {}
            more = {"Options": dict(sorted(driver["Options"].items()))} if "Options" in driver else {}
            given["DriverConfig"] = named | more
    if found["Type"] == "bind" and found.get("Source", "").startswith("."):
        found["Source"] = os.path.abspath(found["Source"])  # noqa: PTH100
    return found


def volume(text: str) -> str:
    """One `-v`; a source that is a path from here on becomes one from the root on. Raises Invalid in Docker's words.

    >>> volume("cache:/var/cache:ro"), volume("/there/./x:/here")
    ('cache:/var/cache:ro', '/there/./x:/here')
    """
    if not text:
        raise Invalid("invalid empty volume spec")
    sections = re.split(r"(?<!^[A-Za-z]):", text)  # the colon of a drive parts nothing
    if len(text) > 2 and not all(sections):
        raise Invalid(f"invalid spec: {text}: empty section between colons")
    if len(sections) > 3:
        raise Invalid(f"invalid spec: {text}: too many colons")
    source, colon, rest = text.partition(":")
    return f"{os.path.abspath(source)}:{rest}" if colon and source.startswith(".") else text  # noqa: PTH100


def fields_of(text: str) -> list[str]:
    """The fields of a line of CSV. Raises ValueError in the words of Go's reader.

    >>> fields_of('type=volume,"volume-opt=o=size=1m,uid=3"')
    ['type=volume', 'volume-opt=o=size=1m,uid=3']
    """
    if not text:
        raise ValueError("EOF")
    if bare := re.fullmatch(r'((?:"(?:[^"]|"")*",|[^",]*,)*[^",]+)".*', text, re.DOTALL):
        column = len(bare[1].encode()) + 1
        raise ValueError(f'parse error on line 1, column {column}: bare " in non-quoted-field')
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise ValueError('parse error on line 1: extraneous or missing " in quoted-field') from None


def _add_pair(options: dict[str, Any], key: str, text: str) -> None:
    """`volume-label=a=b` and what makes up the driver: its name, and options for it."""
    name, _, value = text.partition("=")
    if key == "volume-driver":
        options["DriverConfig"]["Name"] = text
    elif key == "volume-label":
        options.setdefault("Labels", {})[name] = value
    else:
        options["DriverConfig"].setdefault("Options", {})[name] = value


def _value(key: str, text: str) -> Any:
    if key in BARE:
        if text.lower() not in TRUTH:
            raise ValueError(f"invalid value for {key}: {text}")
        return TRUTH[text.lower()]
    if key == "tmpfs-mode":
        if not re.fullmatch("[0-7]{1,11}", text):
            raise ValueError(f"invalid value for {key}: {text}")
        return int(text, 8)
    return in_bytes(key, text) if key == "tmpfs-size" else text.lower() if key == "type" else text


def _bind_options(given: dict[str, Any], mount: dict[str, Any]) -> dict[str, Any]:
    recursive = given.pop("Recursive", "enabled")
    needs = {"readonly": [mount.get("ReadOnly")] * (recursive in ("readonly", "writable"))}
    needs["bind-propagation=rprivate"] = [given.get("Propagation") == "rprivate"] * (recursive == "readonly")
    for what, there in needs.items():
        if not all(there):
            raise ValueError(f"option 'bind-recursive={recursive}' requires '{what}' to be specified in conjunction")
    known = {
        "enabled": {},
        "readonly": {"ReadOnlyForceRecursive": True},
        "disabled": {"NonRecursive": True},
        "writable": {"ReadOnlyNonRecursive": True},
    }
    if recursive not in known:
        raise ValueError(
            f'invalid value for bind-recursive: {recursive} (must be "enabled", "disabled", "writable", or "readonly")'
        )
    return given | known[recursive]


def is_size(text: str) -> None:
    """Raise ValueError where a text is no size."""
    try:
        in_bytes("size", text)
    except ValueError:
        raise ValueError(f"invalid size: '{text}'") from None


def devices(text: str) -> list[dict[str, str]]:
    """One `--device`; with a `*` at its end it is all that begin so."""
    source, target, mode = (*text.split(":"), "", "")[:3]
    if not source or text.count(":") > 2:
        raise Invalid(f"bad format for path: {text}")
    if text.count(":") == 1 and is_mode(target):
        target, mode = "", target
    elif text.count(":") == 2 and not is_mode(mode):
        raise Invalid(f"bad mode specified: {mode}")
    inside = target if text.count(":") == 2 else target or source
    if not inside.startswith("/"):
        raise Invalid(f"{inside} is not an absolute path")
    if source.endswith("*") and target:
        raise Invalid(f"device with * suffix can't have dst: {text}")
    pairs = (
        [(path, path) for path in sorted(map(str, Path(posixpath.dirname(source)).glob(posixpath.basename(source))))]
        if source.endswith("*")
        else [(source, posixpath.normpath(inside))]
    )
    return [{"PathOnHost": there, "PathInContainer": here, "CgroupPermissions": mode or "rwm"} for there, here in pairs]


def capabilities(names: list[str]) -> list[str]:
    """`--cap-add` or `--cap-drop`, as docker's command line sends them: whole names, each once, in order.

    >>> capabilities(["sys_time", "CAP_CHOWN", "SYS_TIME", "all"])
    ['ALL', 'CAP_CHOWN', 'CAP_SYS_TIME']
    """
    capitals = map(str.upper, names)
    return sorted({name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in capitals})


def security_option(text: str) -> str:
    """`--security-opt`; of `seccomp=FILE`, what is in the file."""
    name, found, value = text.partition("=" if "=" in text else ":")
    if not found and name != "no-new-privileges":
        raise Invalid(f'Invalid --security-opt: "{text}"')
    if name != "seccomp" or value in ("unconfined", "builtin"):
        return text
    try:
        return f"seccomp={json.dumps(json.loads(Path(value).read_bytes()), separators=(',', ':'), ensure_ascii=False)}"
    except OSError as error:
        verb, reason = "read" if Path(value).is_dir() else "open", (error.strerror or str(error)).lower()
        raise Invalid(f"opening seccomp profile ({value}) failed: {verb} {value}: {reason}") from None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"compacting json for seccomp profile ({value}) failed: {error}") from None
