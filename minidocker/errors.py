"""Every failure that a user can meet: Docker's exception names, each with its HTTP status and exit code.

    DockerException
    ├── APIError                 status_code, explanation, exit_code
    │   ├── InvalidArgument      400  malformed reference, bad option, bad Dockerfile
    │   │   ├── DockerfileError  400  file, line, instruction, what was expected
    │   │   ├── NullResource     400  no name, no id (also a ValueError)
    │   │   └── ImageLoadError   400  an archive that holds no image
    │   │       └── LayerError   400  a tar that is no layer, or a hostile one
    │   ├── NotFound             404
    │   │   └── ImageNotFound    404
    │   ├── Conflict             409  name in use, container running, image in use
    │   ├── CorruptBlob          500  the bytes are not those that the digest names
    │   ├── StartError           400  exit code 125, 126 or 127 as Docker's
    │   └── Unsupported          501  what minidocker, or this runtime, does not do; says the way out
    ├── BuildError               a build step failed: reason and log
    └── ContainerError           a container that was run to its end failed

The names, arguments and attributes are those of Docker's SDK for Python (`docker.errors`), and the words of each
message are those of Docker's engine where its clients match on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class DockerException(Exception):
    """Whatever went wrong in minidocker; the base of all the others."""

    exit_code = 1


class APIError(DockerException):
    """The engine says no. `explanation` says what was asked, why it cannot be, and what to do.

    >>> NotFound("No such container: web").status_code
    404
    """

    status_code = 500

    def __init__(self, explanation: str, *, exit_code: int | None = None) -> None:
        super().__init__(explanation)
        self.explanation = explanation
        if exit_code is not None:
            self.exit_code = exit_code

    @property
    def response(self) -> None:
        """There is no HTTP response behind an engine in this process; kept for code written for Docker's SDK."""
        return None

    def is_client_error(self) -> bool:
        """Whether the request was at fault (4xx)."""
        return 400 <= self.status_code < 500

    def is_server_error(self) -> bool:
        """Whether the engine was at fault (5xx)."""
        return 500 <= self.status_code < 600


class InvalidArgument(APIError):
    """What was asked for makes no sense."""

    status_code = 400


class DockerfileError(InvalidArgument):
    """A Dockerfile that cannot be read, with the place and what was expected there.

    >>> raise DockerfileError("COPY requires at least two arguments, but only one was provided", "Dockerfile", 3)
    Traceback (most recent call last):
    ...
    minidocker.errors.DockerfileError: Dockerfile:3: COPY requires at least two arguments, but only one was provided
    """

    def __init__(self, message: str, name: str = "Dockerfile", line: int = 0) -> None:
        super().__init__(f"{name}:{line}: {message}" if line else f"{name}: {message}")
        self.message, self.name, self.line = message, name, line
        self.text = ""  # the whole file, where it is known
        self.warnings: list[Any] = []  # what was noticed before it


class NullResource(InvalidArgument, ValueError):
    """No name and no id was given."""


class ImageLoadError(InvalidArgument):
    """An archive of which no image can be loaded."""


class LayerError(ImageLoadError):
    """A tar that is no valid layer: escapes, duplicates, truncation, trailing garbage."""


class NotFound(APIError):
    """There is no such container, exec instance, volume, network, path…"""

    status_code = 404


class ImageNotFound(NotFound):
    """There is no such image here."""


class Conflict(APIError):
    """The thing is in a state, or has a name, that does not allow this."""

    status_code = 409


class CorruptBlob(APIError):
    """A blob whose bytes are not those that its digest names."""


class StartError(APIError):
    """A container's program could not be started.

    `exit_code` is Docker's: 127 not found, 126 found but not executable, 125 anything else.
    """

    status_code = 400
    exit_code = 125

    def said(self, verb: str) -> str:
        """Its words as Docker's clients know them: what the runtime refused (to `create` or `exec`) says so.

        >>> StartError('exec: "x": permission denied').said("create")
        'OCI runtime create failed: unable to start container process: exec: "x": permission denied: unknown'
        """
        text = self.explanation
        if not text.startswith(("exec: ", "chdir to cwd ", "unable to apply ")):
            return text
        text = text.replace(": is a directory", ": permission denied")  # the one that older clients know, too
        action = "exec failed: exec failed" if verb == "exec" else f"{verb} failed"
        return f"OCI runtime {action}: unable to start container process: {text}: unknown"


class Unsupported(APIError):
    """Something of Docker's that minidocker, or the runtime in use, does not do."""

    status_code = 501


class BuildError(DockerException):
    """A build that failed; `msg` is the reason and `build_log` the events up to it, as from Docker's SDK."""

    def __init__(self, reason: str, build_log: Iterable[dict[str, Any]] = (), *, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.msg, self.build_log, self.exit_code = reason, build_log, exit_code


class ContainerError(DockerException):
    """A container that exited with a status other than 0 in `containers.run(…)` without `detach`."""

    def __init__(self, container: Any, exit_status: int, command: Any, image: Any, stderr: bytes | str | None) -> None:
        self.container, self.exit_status, self.command, self.image, self.stderr = (
            container,
            exit_status,
            command,
            image,
            stderr,
        )
        text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr
        tail = f": {text}" if text else ""
        super().__init__(f"Command '{command}' in image '{image}' returned non-zero exit status {exit_status}{tail}")
