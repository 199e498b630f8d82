"""Docker's json-file log, written: one object a line, for each line of output or 16 KiB of it.

With a largest size, a file that has it is followed by another: `log.jsonl` becomes `log.jsonl.1`, and that
`log.jsonl.2`, up to the number of files that are kept; with `compress`, those that are done become `.1.gz`. How often
that was done is in `log.turns`, which is locked meanwhile: so a reader knows which file comes after the one it has.
"""

# ruff: noqa: PTH104, PTH108, PTH120, PTH123
from __future__ import annotations

import os
import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from json import dumps
from json.encoder import encode_basestring

from minidocker.runtime import linux
from minidocker.runtime.clients import keep_only
from minidocker.runtime.jsonlog import pieces
from minidocker.runtime.state import now

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class Log:
    """The log of one container, as its monitor writes it."""

    def __init__(
        self,
        path: str,
        max_size: int = 0,
        max_files: int = 1,
        compress: bool = False,
        attrs: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.max_size, self.max_files, self.compress = path, max_size, max_files, compress
        self.attrs = f'"attrs":{dumps(attrs)},' if attrs else ""
        self.rest = {1: b"", 2: b""}
        self.lost = 0  # records for which there was no room
        self.packer = 0  # the process that compresses a file
        self.fd = os.open(path, FLAGS, 0o640)
        self.size = os.fstat(self.fd).st_size

    def write(self, stream: int, data: bytes) -> None:
        """Add output; the start of a line waits for its end."""
        *lines, rest = (self.rest[stream] + data).split(b"\n")
        records = [piece for line in lines for piece in pieces(line + b"\n")]
        *full, self.rest[stream] = pieces(rest)
        self.append(stream, records + full)

    def flush(self) -> None:
        """Write down lines that never got their end."""
        for stream, rest in self.rest.items():
            self.append(stream, [rest] if rest else [])
            self.rest[stream] = b""

    def append(self, stream: int, records: list[bytes]) -> None:
        """Write records, with the time. As with Docker, what there is no room for is lost, and the program goes on."""
        if not records:
            return None
        name = "stderr" if stream == 2 else "stdout"
        tail = f',"stream":"{name}",{self.attrs}"time":"{now()}"}}\n'
        lines = [f'{{"log":{encode_basestring(text(record))}{tail}'.encode() for record in records]
        if not self.max_size:
            return self.store(lines)
        for line in lines:  # as Docker: a file that is full is followed by another when there is more
            if self.size >= self.max_size:
                self.turn()
            self.store([line])
        return None

    def store(self, lines: list[bytes]) -> None:
        """Write lines, all or none of them."""
        data = b"".join(lines)
        if write_all(self.fd, data):
            self.size += len(data)
        else:
            self.lost += len(lines)
            with suppress(OSError):
                os.ftruncate(self.fd, self.size)

    def turn(self) -> None:
        """Begin a new file, if there is room for one. Whoever reads the old one can read on, also where it is gone."""
        if self.packer:
            os.waitpid(self.packer, 0)
            self.packer = 0
        kept = self.max_files - 1
        with suppress(OSError), turns(self.path) as file:
            new = os.open(f"{self.path}.new", FLAGS | os.O_TRUNC, 0o640)
            for number in range(kept, 0, -1):
                for end in ("", ".gz"):
                    with suppress(FileNotFoundError):
                        os.rename(f"{self.path}.{number}{end}", f"{self.path}.{number + 1}{end}")
            os.rename(self.path, f"{self.path}.1")
            os.rename(f"{self.path}.new", self.path)
            for end in ("", ".gz"):
                with suppress(FileNotFoundError):
                    os.unlink(f"{self.path}.{kept + 1}{end}")
            os.pwrite(file, b"%d" % (int(os.pread(file, 20, 0) or 0) + 1), 0)
            os.close(self.fd)
            self.fd, self.size = new, 0
            if self.compress and kept:
                self.pack()

    def pack(self) -> None:
        """Compress the file that was left, in a process of its own: the next one waits for it."""
        self.packer = os.fork()
        if self.packer:
            return
        try:
            keep_only(set())
            import gzip
            import shutil

            old = f"{self.path}.1"
            with open(old, "rb") as plain, gzip.open(f"{old}.gz.new", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            with turns(self.path):
                os.rename(f"{old}.gz.new", f"{old}.gz")
                os.unlink(old)
        finally:
            os._exit(0)


@contextmanager
def turns(path: str) -> Iterator[int]:
    """The file that says how often a log was begun anew, locked."""
    fd = os.open(f"{os.path.dirname(path)}/log.turns", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        linux.flock(fd)
        yield fd
    finally:
        os.close(fd)


def text(record: bytes) -> str:
    """A record as text. Docker's logs are UTF-8: each byte that is none becomes U+FFFD.

    >>> text(b"a\\xff\\xfeb")
    'a��b'
    """
    try:
        return record.decode()
    except UnicodeDecodeError:
        return "".join(
            "\ufffd" if "\udc80" <= each <= "\udcff" else each for each in record.decode(errors="surrogateescape")
        )


def write_all(fd: int, data: bytes) -> bool:
    """Write all of it, waiting where the reader is slow; False where that cannot be done."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True
