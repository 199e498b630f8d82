"""Docker's json-file log, written: one object a line, for each line of output or 16 KiB of it."""

from __future__ import annotations

import os
import select
from json.encoder import encode_basestring

from minidocker.runtime.jsonlog import pieces
from minidocker.runtime.state import now


class Log:
    """Docker's json-file log: one object a line, for each line of output or 16 KiB of it."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.rest = {1: b"", 2: b""}

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
        """Write records to the end of the file."""
        name = {1: "stdout", 2: "stderr"}[stream]
        tail = f',"stream":"{name}","time":"{now()}"}}\n'
        lines = [f'{{"log":{encode_basestring(record.decode(errors="replace"))}{tail}' for record in records]
        write_all(self.fd, "".join(lines).encode())


def write_all(fd: int, data: bytes) -> bool:
    """Write all of it, waiting where the reader is slow; False where the reader has gone."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True
