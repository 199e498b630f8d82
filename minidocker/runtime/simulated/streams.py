"""What a file descriptor of a simulated process refers to: files, pipes, devices, bytes in memory."""

from __future__ import annotations

import copy
import errno
import os

from minidocker.runtime.simulated.files import WRITE, Files
from minidocker.runtime.simulated.mounted import failure

PIPE_SIZE = 1 << 16


class Stream:
    """An open file description, closed with its last user. Reads give None while there is nothing, b"" at the end."""

    refs = 0
    full = False  # whoever writes should wait a little

    def read(self, size: int) -> bytes | None:
        """Up to `size` bytes."""
        raise failure(errno.EBADF, "")

    def write(self, data: bytes) -> None:
        """Take all of `data`."""
        raise failure(errno.EBADF, "")

    def close(self) -> None:
        """The last descriptor is gone."""


class Source(Stream):
    """Bytes to read: a file as it was when opened, or a here-document."""

    def __init__(self, content: bytes = b"") -> None:
        self.content, self.place = content, 0

    def read(self, size: int) -> bytes | None:
        """Up to `size` bytes."""
        start, self.place = self.place, min(self.place + size, len(self.content))
        return self.content[start : self.place]


class Sink(Stream):
    """Bytes written, kept: what `$(…)` collects."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: bytes) -> None:
        """Take all of `data`."""
        self.content += data


class Device(Stream):
    """`/dev/null` and its kin, by minor number."""

    def __init__(self, minor: int) -> None:
        self.minor = minor

    def read(self, size: int) -> bytes | None:
        """Nothing, zeros, or random bytes."""
        return b"" if self.minor in (0, 3) else bytes(size) if self.minor in (5, 7) else os.urandom(size)

    def write(self, data: bytes) -> None:
        """Forget `data`."""
        if self.minor == 7 and data:
            raise failure(errno.ENOSPC, "")


class FileWriter(Stream):
    """A file opened for writing; each write lands in the view at once, at its end."""

    def __init__(self, files: Files, path: str, append: bool) -> None:
        self.files, self.path = copy.copy(files), files.absolute(path)
        if append:
            files.write(path, b"", append=True) if not files.find(path) else self._may(path)
        else:
            files.write(path, b"")

    def _may(self, path: str) -> None:
        if self.files.stat(path).is_dir:
            raise failure(errno.EISDIR, path)
        if not self.files.access(path, WRITE):
            raise failure(errno.EACCES if self.files.uid else errno.EROFS, path)

    def write(self, data: bytes) -> None:
        """Append; once the file is unlinked its bytes go nowhere, as its blocks would."""
        if self.files.find(self.path):
            self.files.write(self.path, data, append=True)


class Pipe(Stream):
    """The end of a pipe to write to; what is written is read from its `outlet`."""

    def __init__(self) -> None:
        self.content, self.outlet = bytearray(), PipeOutlet(self)

    @property
    def full(self) -> bool:  # type: ignore[override]
        """Whether the reader has some catching up to do."""
        return len(self.content) > PIPE_SIZE and self.outlet.refs > 0

    def write(self, data: bytes) -> None:
        """Put `data` in the pipe; EPIPE once nobody can read it."""
        if not self.outlet.refs:
            raise failure(errno.EPIPE, "")
        self.content += data


class PipeOutlet(Stream):
    """The end of a pipe to read from."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def read(self, size: int) -> bytes | None:
        """What is in the pipe; None while it is empty and somebody may still write."""
        data = bytes(self.pipe.content[:size])
        del self.pipe.content[:size]
        return data or (None if self.pipe.refs else b"")


def encode(text: str | bytes) -> bytes:
    """Text as bytes; bytes that were no UTF-8 come back as they were."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    """Bytes as text; `encode` restores them exactly."""
    return data.decode("utf-8", "surrogateescape")
