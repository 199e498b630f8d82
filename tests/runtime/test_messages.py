"""Messages with descriptors beside them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from minidocker.runtime.messages import receive, send


def test_what_comes_is_not_inherited_by_a_program_that_is_started_meanwhile() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, Path(os.devnull).open() as null:
        send(ours, {"a": 1}, [null.fileno(), null.fileno()])
        message, fds = receive(theirs)
        assert message == {"a": 1} and len(fds) == 2
        assert not any(map(os.get_inheritable, fds))
        for fd in fds:
            os.close(fd)
