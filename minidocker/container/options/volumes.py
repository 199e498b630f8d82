"""`-v`, `--volumes-from`, `--volume-driver`: what outlives the container, and folders of the host, in one word each.

`HostConfig.Binds` has what was asked for as texts, `Config.Volumes` the places that get an anonymous volume each: those
that the image wants (`VOLUME`), and those that were given without a source (`-v /data`).

    >>> bind("cache:/var/cache:ro,nocopy")["Name"], bind("/srv:/data")["Type"]
    ('cache', 'bind')
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument, Unsupported
from minidocker.filters import texts

if TYPE_CHECKING:
    from minidocker.image import Image

OPTIONS = frozenset({"volumes", "volumes_from", "volume_driver"})
PRIVATE, MOVING = ("private", "rprivate"), ("shared", "rshared", "slave", "rslave")
KINDS = (("rw", "ro"), ("z", "Z"), (*PRIVATE, *MOVING), ("nocopy",), ("consistent", "cached", "delegated"))
DRIVE = r"[A-Za-z]:[\\/]" if os.name == "nt" else r"[A-Za-z]:\\"  # elsewhere `v:/a` could be a volume
Point = dict[str, Any]  # one of the API's `Mounts`, and as `Spec` what was asked for beyond that


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`Binds`, `VolumesFrom`, `VolumeDriver`. Raises InvalidArgument, Unsupported.

    >>> host_config({"volumes": {"cache": {"bind": "/c", "mode": "ro"}}})
    {'Binds': ['cache:/c:ro'], 'VolumesFrom': None, 'VolumeDriver': ''}
    """
    binds, driver = [text for text in texts_of(given.get("volumes")) if not is_place(text)], given.get("volume_driver")
    for text in binds:
        bind(text, str(driver or ""))
    lenders = texts(given.get("volumes_from"))
    for text in lenders:
        lender(text)
    return {"Binds": binds or None, "VolumesFrom": lenders or None, "VolumeDriver": str(driver or "")}


def config(image: Image, given: Mapping[str, Any]) -> dict[str, Any]:
    """`Volumes`: the places that get a volume of their own. Raises InvalidArgument."""
    places = [text for text in texts_of(given.get("volumes")) if is_place(text)]
    for text in places:
        bind(text)
    return {"Volumes": {**(image.config.get("Volumes") or {}), **{text: {} for text in places}} or None}


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Nothing: what is mounted goes together with `--mount`."""
    return {}


def texts_of(volumes: Any) -> list[str]:
    """`-v` texts of the SDK's `volumes`: a list of them, or `{source: {"bind": target, "mode": "ro"}}`."""
    if isinstance(volumes, Mapping):
        return [f"{source}:{to['bind']}:{to.get('mode') or 'rw'}" for source, to in volumes.items()]
    return texts(volumes)


def is_place(text: str) -> bool:
    """Whether a `-v` names only a place inside."""
    return ":" not in text


def bind(text: str, driver: str = "") -> Point:
    """One `-v` as a mount point. Raises InvalidArgument in Docker's words, Unsupported."""
    drive, rest = (text[:2], text[2:]) if re.match(DRIVE, text) else ("", text)
    parts = [drive + part if not number else part for number, part in enumerate(rest.split(":"))]
    invalid = f"invalid volume specification: '{text}'"
    if len(parts) > 3 or not all(parts) or (len(parts) == 2 and is_mode(parts[1])):
        raise InvalidArgument(invalid)
    source, target, mode = ("", *parts, "") if len(parts) == 1 else (*parts, "")[:3]
    if not is_mode(mode or "rw"):
        raise InvalidArgument(f"invalid mode: {mode}")
    kind, words = "bind" if drive or source.startswith("/") else "volume", mode.split(",")
    wrong = f'{invalid}: invalid mount config for type "{kind}": '
    if not target.startswith("/"):
        raise InvalidArgument(f"{wrong}invalid mount path: '{target}' mount path must be absolute")
    if cleaned(target) == "/":
        raise InvalidArgument(f"{wrong}invalid specification: destination can't be '/'")
    propagation = next((word for word in words if word in (*PRIVATE, *MOVING)), "")
    if kind == "volume" and propagation:
        raise InvalidArgument(f"{wrong}field BindOptions must not be specified")
    if kind == "bind" and "nocopy" in words:
        raise InvalidArgument(f"{wrong}field VolumeOptions must not be specified")
    check_propagation(propagation)
    point = {"Type": kind, "Destination": cleaned(target), "Mode": mode, "RW": "ro" not in words}
    if kind == "bind":
        return point | {"Source": cleaned(source), "Propagation": propagation or "rprivate"}
    spec = {"NoCopy": "nocopy" in words, "Driver": driver}
    return point | {"Name": source, "Mode": mode or "z", "Propagation": "", "Spec": spec}


def is_mode(mode: str) -> bool:
    """Whether a text is what may stand after the last colon: of each kind of word, at most one.

    >>> is_mode("ro,z"), is_mode("ro,rw"), is_mode("/data")
    (True, False, False)
    """
    words = mode.split(",")
    every = [word for kind in KINDS for word in kind]
    return all(word in every for word in words) and all(sum(word in kind for word in words) < 2 for kind in KINDS)


def check_propagation(propagation: str) -> None:
    """Raise Unsupported where mounts are to move from one side to the other."""
    if propagation in MOVING:
        text = "what is mounted later on one side is never seen on the other; leave it out"
        raise Unsupported(f"minidocker does not have the propagation {propagation!r}: {text}")


def lender(text: str) -> tuple[str, bool]:
    """One `--volumes-from`: whose, and whether they may be written to. Raises InvalidArgument."""
    whose, colon, mode = text.partition(":")
    if not whose:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    if colon and (not is_mode(mode) or {"nocopy", *PRIVATE, *MOVING} & {*mode.split(",")}):
        raise InvalidArgument(f"invalid mode: {mode}")
    return whose, "ro" not in mode.split(",")


def cleaned(path: str) -> str:
    """A path without `.`, `..` and double slashes."""
    return posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else posixpath.normpath(path)
