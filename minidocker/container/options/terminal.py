"""`-t`, `-i`, `-a`: the terminal of a container's program, what it reads, and who is attached from the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument
from minidocker.filters import texts

if TYPE_CHECKING:
    from minidocker.image import Image

OPTIONS = frozenset({"tty", "stdin_open", "detach", "attach", "attached", "console_size"})
STREAMS = ("stdin", "stdout", "stderr")


def config(_image: Image | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """`Tty`, `OpenStdin`, `AttachStdin`… : a program's input ends with the one who started it, unless that one left.

    >>> config(None, {"stdin_open": True, "detach": True})["StdinOnce"], config(None, {"stdin_open": True})["StdinOnce"]
    (False, True)
    """
    if (exactly := given.get("attached")) is not None:  # the API's own keys, from a client that has decided all this
        none = dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"), False)
        opened = {"Tty": bool(given.get("tty")), "OpenStdin": bool(given.get("stdin_open"))}
        return {**none, **exactly, **opened}
    wanted = {stream.lower() for stream in texts(given.get("attach"))}
    if not wanted <= {*STREAMS}:
        raise InvalidArgument("valid streams are STDIN, STDOUT and STDERR")
    stays, stdin_open = not given.get("detach"), bool(given.get("stdin_open"))
    attached = (wanted or {"stdout", "stderr"}) | ({"stdin"} if stdin_open else set()) if stays else set()
    return {
        **{f"Attach{stream.capitalize()}": stream in attached for stream in STREAMS},
        "Tty": bool(given.get("tty")),
        "OpenStdin": stdin_open,
        "StdinOnce": stdin_open and stays,
    }


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`ConsoleSize`: height and width of the terminal that whoever creates it sits at."""
    height, width = (*(given.get("console_size") or ()), 0, 0)[:2]
    if not (0 <= int(height) < 1 << 16 and 0 <= int(width) < 1 << 16):
        raise InvalidArgument(f"invalid size of a console: {height} x {width}")
    return {"ConsoleSize": [int(height), int(width)]}


def boxed(_config: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing of the container's: all of it is its process's (`of_process`)."""
    return {}


def of_process(config: Mapping[str, Any]) -> dict[str, Any]:
    """What it means for the container's first process: fields of `Process`."""
    own, height_width = config["Config"], config["HostConfig"].get("ConsoleSize") or (0, 0)
    return {"tty": bool(own.get("Tty")), "size": tuple(height_width), "stdin": stdin(own)}


def stdin(config: Mapping[str, Any]) -> str:
    """What a process reads: nothing, what those attached send, or what the first of them sends."""
    return ("once" if config.get("StdinOnce") else "open") if config.get("OpenStdin") else ""
