"""The base images of this course, made on this machine without a network: `minidocker/base` and `minidocker/python`.

A base image is a file system that somebody packed; there is no magic in it. The first layer is the same everywhere:
folders, `/etc/passwd`, `/etc/os-release`. The second holds this machine's programs: a static busybox where there is
one, else the shell and core utilities with the libraries that they need; where no Linux programs are to be had, a
stand-in for each command of the simulated runtime. `minidocker/python` adds the Python that runs this.

    >>> is_base("minidocker/base"), is_base("minidocker/base:latest"), is_base("alpine")
    (True, True, False)
"""

from __future__ import annotations

import os
import posixpath
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument, Unsupported
from minidocker.layer import Changeset
from minidocker.reference import Reference
from minidocker.tree import Entry, FileData, directory, file, symlink

if TYPE_CHECKING:
    from minidocker.image import Image
    from minidocker.images import Images

BASE, PYTHON = "minidocker/base:latest", "minidocker/python:latest"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = "root:x:0:\ndaemon:x:1:\nbin:x:2:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n"
OS_RELEASE = """NAME="minidocker base"
ID=minidocker
PRETTY_NAME="minidocker base (a course's own image, made on this machine)"
"""
HINT = f"Use one of this course's own images, which are made on this machine: {BASE} or {PYTHON}."
STAND_IN = "minidocker/base: a stand-in for `{}`, which the simulated runtime has built in. No real one was at hand.\n"
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "__pycache__", "site-packages"}
LEFT_OUT |= {"dist-packages", "pydoc_data", "distutils", "config"}


def is_base(name: str) -> bool:
    """Whether a name is one of this course's own base images."""
    try:
        return str(Reference.parse(name)) in (BASE, PYTHON)
    except InvalidArgument:
        return False


def ensure(images: Images, name: str) -> Image | None:
    """Make the base image of this name and tag it; None where the name is none of ours.

    Raises Unsupported for `minidocker/python` where there is no Python that could run in a Linux container.
    """
    if not is_base(name):
        return None
    reference = str(Reference.parse(name))
    layers = [
        images.add_layer(skeleton(), "skeleton: folders, users, os-release", clamp()),
        images.add_layer(programs(), "programs of this machine", clamp()),
    ]
    env = [PATH]
    if reference == PYTHON:
        changes, libraries_elsewhere = python()
        layers.append(images.add_layer(changes, "the Python of this machine", clamp()))
        env += ["LD_LIBRARY_PATH=/usr/local/lib"] if libraries_elsewhere else []
        env.append(f"PYTHON_VERSION={sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}")
    image = images.create(config(env, layers, ["python3"] if reference == PYTHON else ["sh"]), layers)
    images.tag(image, reference)
    return image


def clamp() -> int:
    """The time of all that is in the image: `SOURCE_DATE_EPOCH`, else 0, so that digests repeat."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or 0)


def config(env: list[str], layers: list[Any], command: list[str]) -> dict[str, Any]:
    """The image configuration."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clamp()))
    history = [{"created": created, "created_by": layer.created_by, "comment": "minidocker base"} for layer in layers]
    return {"created": created, "config": {"Env": env, "Cmd": command, "WorkingDir": "/"}, "history": history}


def skeleton() -> Changeset:
    """The first layer: byte for byte the same on every machine."""
    plain = (
        "bin sbin lib etc usr usr/bin usr/sbin usr/lib usr/local usr/local/bin usr/local/lib usr/local/sbin usr/share "
    )
    plain += "home mnt opt srv run var var/cache var/lib var/log var/www dev proc sys"
    entries: dict[str, Entry] = {f"/{name}": directory() for name in plain.split()}
    entries |= {"/tmp": directory(0o1777), "/var/tmp": directory(0o1777), "/root": directory(0o700)}
    texts = {"passwd": PASSWD, "group": GROUP, "os-release": OS_RELEASE, "shells": "/bin/sh\n"}
    texts |= {"hosts": "127.0.0.1\tlocalhost\n", "hostname": "localhost\n", "resolv.conf": ""}
    texts |= {"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n"}
    entries |= {f"/etc/{name}": file(text.encode()) for name, text in texts.items()}
    return Changeset(entries | {"/var/run": symlink("/run")})


def programs() -> Changeset:
    """The second layer: what this machine has."""
    busybox = shutil.which("busybox") if sys.platform == "linux" else None
    entries = _busybox(Path(busybox)) if busybox else {}
    if not entries and sys.platform == "linux":
        entries = _utilities()
    return Changeset(entries or _stand_ins()) if entries else Changeset(_stand_ins())


def _on_disk(path: Path, mode: int = 0o755) -> Entry:
    return file(FileData(path, path.stat().st_size), mode)


def _stripped(path: Path, mode: int = 0o755) -> Entry:
    from minidocker import elf

    return file(elf.stripped(path.read_bytes()), mode)


def _busybox(path: Path) -> dict[str, Entry]:
    """A static busybox and a link for each of its commands; nothing if it needs libraries."""
    import subprocess

    from minidocker import elf
    from minidocker.runtime.simulated.accounts import NAMES, SCRIPT

    path = path.resolve()
    header = elf.parse(path)
    if header is None or header.interpreter or header.needed:
        return {}
    names = subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {f"/bin/{name}": symlink("busybox") for name in names if name != "busybox"}
    scripts = {f"/bin/{name}": file(SCRIPT.encode(), 0o755) for name in NAMES}
    return scripts | {"/bin/busybox": _on_disk(path), "/usr/bin/env": symlink("/bin/env")} | links


def _utilities() -> dict[str, Entry]:
    """The shell and the commands of this machine that the simulated runtime has too, and their libraries."""
    from minidocker import elf
    from minidocker.runtime.simulated.applets import COMMANDS

    found: dict[str, Path] = {}
    for name in sorted({*COMMANDS, "clear", "less", "ip", "mount"} - {"bash", "ash", "dash"}):
        place = shutil.which(name)
        if place and (header := elf.parse(Path(place).resolve())) and header.interpreter:
            found[name] = Path(place).resolve()
    if "sh" not in found:
        return {}
    try:
        needed = elf.libraries(*found.values())
    except FileNotFoundError:
        return {}
    entries = {f"/bin/{name}": _on_disk(path) for name, path in found.items()}
    entries |= {place: _on_disk(path) for place, path in needed.items()}
    return entries | ({"/usr/bin/env": symlink("/bin/env")} if "env" in found else {})


def _stand_ins() -> dict[str, Entry]:
    """A small text for each command that the simulated runtime has built in."""
    from minidocker.runtime.simulated.applets import COMMANDS

    names = sorted(set(COMMANDS) - {"bash", "dash"})
    entries = {f"/bin/{name}": file(STAND_IN.format(name).encode(), 0o755) for name in names}
    return entries | {"/usr/bin/env": symlink("/bin/env")}


def python() -> tuple[Changeset, bool]:
    """The third layer of `minidocker/python`: program, standard library, shared libraries, all below `/usr/local`.

    Also whether libraries lie where a loader would not look by itself.
    """
    if sys.platform != "linux":
        raise Unsupported(
            f"{PYTHON} needs a Python built for Linux, and this one is for {sys.platform}; "
            f"use {BASE} here, or run minidocker on Linux"
        )
    from minidocker import elf

    program = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    source = Path(os.__file__).parent
    extensions = sorted((source / "lib-dynload").glob("*.so"))
    extensions = [path for path in extensions if not path.name.startswith(("_test", "_tkinter", "xx", "_ctypes_test"))]
    try:
        needed = elf.libraries(program, *extensions)
    except FileNotFoundError as error:
        raise Unsupported(f"cannot pack this machine's Python: {error.strerror}: {error.filename}") from None
    entries = {f"/usr/local/bin/{version}": _stripped(program)}
    entries |= {f"/usr/local/bin/{name}": symlink(version) for name in ("python3", "python")}
    entries |= {f"/usr/local/lib/{version}/lib-dynload/{path.name}": _stripped(path, 0o644) for path in extensions}
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        place = posixpath.normpath(f"/usr/local/lib/{version}/{Path(folder).relative_to(source).as_posix()}")
        for path in (Path(folder, name) for name in names if name.endswith(".py") and not name.startswith("turtle")):
            entries[f"{place}/{path.name}"] = _on_disk(path.resolve(), 0o644)  # Debian has links among them
            _add_compiled(entries, path, f"{place}/__pycache__")
    elsewhere = False
    for place, path in needed.items():
        if place.startswith(("/lib", "/usr/lib")):
            entries[place] = _stripped(path)
        else:
            entries[f"/usr/local/lib/{Path(place).name}"] = _stripped(path)
            elsewhere = True
    return Changeset(entries), elsewhere


def _add_compiled(entries: dict[str, Entry], path: Path, folder: str) -> None:
    """Take along the compiled module, marked as not to be compared with its source, which gets a new time (PEP 552)."""
    import importlib.util

    compiled = Path(importlib.util.cache_from_source(str(path)))
    if compiled.is_file():
        content = compiled.read_bytes()
        header = content[:4] + (1).to_bytes(4, "little") + bytes(8)
        entries[f"{folder}/{compiled.name}"] = file(header + content[16:], 0o644)
