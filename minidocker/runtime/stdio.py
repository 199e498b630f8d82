"""The standard streams of one program: pipes, the log, and whoever is attached."""

from __future__ import annotations

import os
from functools import partial

from minidocker.runtime.logfile import Log, write_all
from minidocker.runtime.loop import Loop


class Streams:
    """What a program reads and writes, seen from its monitor: `theirs` are the ends that the program gets."""

    def __init__(self, log: Log | None, attached: list[int | None]) -> None:
        self.log, self.attached, self.loop = log, attached, Loop()
        pipes = [os.pipe() if log and stream else None for stream in range(3)]
        self.theirs = [pipe[1] if pipe else fd for pipe, fd in zip(pipes, attached, strict=True)]
        self._lent = [pipe[1] for pipe in pipes if pipe]
        self.outputs = {pipe[0]: stream for stream, pipe in enumerate(pipes) if pipe}

    def handed_over(self) -> None:
        """The program has its ends, or will never have them: close ours of them."""
        for fd in self._lent:
            os.close(fd)

    def close(self) -> None:
        """Close our ends."""
        for fd in self.outputs:
            os.close(fd)
        self.outputs.clear()

    def carry_until(self, child: int) -> None:
        """Carry the program's output to the log, and to whoever is attached, until it has ended and all is read."""
        ended: list[int] = []
        pidfd = os.pidfd_open(child)
        self.loop.watch(pidfd, ended.append)
        for fd in self.outputs:
            os.set_blocking(fd, False)
            self.loop.watch(fd, partial(self.carry, fd))
        while not ended:
            self.loop.turn()
        os.close(pidfd)
        for fd in list(self.outputs):
            while self.carry(fd):
                pass
        self.close()
        if self.log:
            self.log.flush()

    def carry(self, fd: int, _events: int = 0) -> bool:
        """Read what is there and pass it on; False where there is nothing (any more)."""
        stream = self.outputs[fd]
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self.loop.forget(fd)
            os.close(fd)
            del self.outputs[fd]
            return False
        if self.log:
            self.log.write(stream, data)
        to = self.attached[stream]
        if to is not None and not write_all(to, data):
            os.close(to)
            self.attached[stream] = None
        return True
