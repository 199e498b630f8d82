"""What a Linux program needs to start: its loader and its shared libraries, as its ELF headers name them.

System V ABI, chapters 4 and 5: program headers of type INTERP and DYNAMIC. Nothing is run to find out.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from pathlib import Path

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH = 1, 5, 15, 29
DEFAULT = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")  # and the multi-arch folders in them


@dataclass(frozen=True)
class Elf:
    """One program or library: its loader (empty for a static one), the libraries it needs, where it looks first."""

    interpreter: str = ""
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


def parse(path: Path) -> Elf | None:
    """The headers of a file; None where it is no 64-bit little-endian ELF file."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQ", data, offset + number * size) for number in range(count)]
    loads = [(virtual, place, length) for kind, _, place, virtual, _, length in segments if kind == PT_LOAD]
    interpreter = next((_text(data, place) for kind, _, place, *_ in segments if kind == PT_INTERP), "")
    dynamic = next(((place, length) for kind, _, place, _, _, length in segments if kind == PT_DYNAMIC), (0, 0))
    tags = [struct.unpack_from("<QQ", data, dynamic[0] + at) for at in range(0, dynamic[1], 16)]
    table = next((value for tag, value in tags if tag == DT_STRTAB), 0)
    strings = next(
        (place + table - virtual for virtual, place, length in loads if virtual <= table < virtual + length), 0
    )
    found = [(tag, _text(data, strings + value)) for tag, value in tags if tag in (DT_NEEDED, DT_RPATH, DT_RUNPATH)]
    origin = str(path.resolve().parent)
    search = [folder for tag, text in found if tag != DT_NEEDED for folder in text.split(":")]
    return Elf(
        interpreter,
        tuple(text for tag, text in found if tag == DT_NEEDED),
        tuple(folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for folder in search),
    )


def stripped(data: bytes) -> bytes:
    """An ELF file without what no program needs to run: symbols and debugging notes, which lie behind the segments."""
    if data[:6] != b"\x7fELF\x02\x01":
        return data
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQ", data, offset + number * size) for number in range(count)]
    end = max([offset + count * size, *(place + length for _, _, place, _, _, length in segments)])
    header = bytearray(data[:64])
    struct.pack_into("<Q", header, 40, 0)  # no section headers any more
    struct.pack_into("<HH", header, 60, 0, 0)
    return bytes(header) + data[64:end]


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode()


@functools.cache
def folders() -> tuple[str, ...]:
    """Where the loader of this machine looks for libraries without being told."""
    configured: list[str] = []
    for name in ["/etc/ld.so.conf", *sorted(map(str, Path("/etc/ld.so.conf.d").glob("*.conf")))]:
        if Path(name).is_file():
            configured += [line.strip() for line in Path(name).read_text().splitlines() if line.startswith("/")]
    multiarch = [path for folder in DEFAULT for path in sorted(map(str, Path(folder).glob("*-linux-*")))]
    return tuple(dict.fromkeys(folder for folder in [*configured, *multiarch, *DEFAULT] if Path(folder).is_dir()))


def libraries(*programs: Path) -> dict[str, Path]:
    """All that these programs need, also indirectly: path as the loader finds it -> the file. FileNotFoundError."""
    found: dict[str, Path] = {}
    todo: list[tuple[Path, tuple[str, ...]]] = [(path, ()) for path in programs]
    while todo:
        path, above = todo.pop()
        header = parse(path)
        if header is None:
            continue
        if header.interpreter:
            found[header.interpreter] = Path(header.interpreter).resolve()
        search: tuple[str, ...] = (*header.search, *above)
        for name in header.needed:
            place = next((f"{folder}/{name}" for folder in (*search, *folders()) if Path(folder, name).is_file()), None)
            if place is None:
                raise FileNotFoundError(2, f"{path} needs a library that is not there", name)
            if place not in found:
                found[place] = Path(place).resolve()
                todo.append((Path(place), search))
    return found
