"""An engine behind a socket, ours or Docker's: what the commands ask of an engine, asked through Docker's SDK.

    __init__      the engine as a whole; errors in our own words
    containers    create, start, attach, exec, logs, cp …
    images        list, build, pull, push, save, load …
    others        volumes and networks

Only what commands use is here. What needs the engine's own folder (`registry serve`, `system fsck`, a plan of a build)
is refused by name; see `LOCAL`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import GeneratorType
from typing import Any

from minidocker.cli.flags import Exit
from minidocker.errors import APIError, Conflict, DockerException, ImageNotFound, InvalidArgument, NotFound, Unsupported

# Commands that work in the folder of an engine, and so on this machine's own only.
LOCAL = {
    *("image explain", "registry serve", "registry garbage-collect", "system fsck", "tour", "doctor", "daemon"),
    *("plugin enable", "plugin disable", "plugin inspect", "plugin ls", "manifest inspect", "search"),
}
KINDS: dict[int, type[APIError]] = {400: InvalidArgument, 404: NotFound, 409: Conflict, 501: Unsupported}


class Remote:
    """The engine of a daemon."""

    remote = True

    def __init__(self, host: str, tls: Any = None) -> None:
        self.host = host
        self.api = Api(client(host, tls).api, host)

    @cached_property
    def containers(self) -> Any:
        """Its containers."""
        from minidocker.cli.remote.containers import Containers

        return Containers(self.api)

    @cached_property
    def images(self) -> Any:
        """Its images."""
        from minidocker.cli.remote.images import Images

        return Images(self.api)

    @cached_property
    def volumes(self) -> Any:
        """Its volumes."""
        from minidocker.cli.remote.others import Volumes

        return Volumes(self.api)

    @cached_property
    def networks(self) -> Any:
        """Its networks."""
        from minidocker.cli.remote.others import Networks

        return Networks(self.api)

    def version(self) -> dict[str, Any]:
        """`GET /version`."""
        found: dict[str, Any] = self.api.version()
        return found

    def info(self) -> dict[str, Any]:
        """`GET /info`."""
        found: dict[str, Any] = self.api.info()
        return found

    def df(self) -> dict[str, Any]:
        """`GET /system/df`; an engine says null where there is nothing of a kind."""
        found = self.api.df()
        whole: dict[str, Any] = found | {
            key: found.get(key) or [] for key in ("Images", "Containers", "Volumes", "BuildCache")
        }
        return whole

    @contextmanager
    def events(
        self, since: Any = None, until: Any = None, filters: Any = None, decode: bool = True
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """`GET /events`."""
        span = {name: value and timestamp(value) for name, value in (("since", since), ("until", until))}
        found = self.api.events(filters=filters, decode=decode, **span)
        try:
            yield found
        finally:
            self.api.close()

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()


def client(host: str, tls: Any = None, timeout: int = 3600) -> Any:
    """Docker's own client of a daemon. Raises Unsupported where the SDK is not installed."""
    try:
        import docker  # type: ignore[import-untyped]
    except ImportError as error:
        raise Unsupported(
            f"to drive the daemon at {host}, minidocker needs Docker's SDK for Python: "
            "pip install 'minidocker-course[remote]'"
        ) from error
    with translated(host):
        found = docker.DockerClient(base_url=host, version="1.24", tls=tls or False, timeout=timeout)
        found.api.trust_env = False  # else $REQUESTS_CA_BUNDLE is believed instead of the authority that was named
        found.api._version = found.api._retrieve_server_version()
        return found


class Api:
    """Docker's low-level client, its errors in our words."""

    def __init__(self, api: Any, host: str) -> None:
        self._api, self._host = api, host

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._api, name)
        return self._asking(found) if callable(found) else found

    def _asking(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*given: Any, **options: Any) -> Any:
            with translated(self._host):
                answer = ask(*given, **options)
            return self._pieces(answer) if isinstance(answer, GeneratorType) else answer

        return asked

    def _pieces(self, answer: Iterator[Any]) -> Iterator[Any]:
        with translated(self._host):
            yield from answer


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Errors of Docker's SDK, and of its connection, as ours."""
    import requests
    from docker import errors

    try:
        yield
    except errors.APIError as error:
        status, words = error.status_code or 500, str(error.explanation or error)
        missing = isinstance(error, errors.ImageNotFound)
        raise (ImageNotFound if missing else KINDS.get(status, APIError))(words) from None
    except errors.DockerException as error:
        if "Error while fetching server API version" in str(error) and "SSL" not in str(error):
            raise unreachable(host) from None
        raise DockerException(str(error)) from None
    except requests.exceptions.SSLError as error:
        raise DockerException(f"error during connect: {error}") from None
    except requests.exceptions.ConnectionError:
        raise unreachable(host) from None
    except requests.exceptions.RequestException as error:
        raise DockerException(f"error during connect: {error}") from None


def unreachable(host: str) -> DockerException:
    """In docker's words."""
    return DockerException(f"Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")


def check(name: str, host: str) -> None:
    """Leave, where a command is not one for a daemon."""
    if name in LOCAL:
        raise Exit(
            1, f"minidocker {name}: this works in the engine's own folder, and so not through {host}: leave -H out"
        )


def timestamp(given: str) -> str:
    """A moment that a user gave, as the API has it: seconds since 1970, and nanoseconds.

    >>> timestamp("1970-01-01T00:01:00.5Z")
    '60.500000000'
    """
    from minidocker.times import nanoseconds

    try:
        whole, part = divmod(nanoseconds(given), 10**9)
    except ValueError:
        raise InvalidArgument(f'failed to parse value as time or duration: "{given}"') from None
    return f"{whole}.{part:09}"


def client_tls(files: dict[str, str], verify: bool) -> Any:
    """How Docker's SDK is told of certificates: `files` are ca, cert and key."""
    try:
        from docker import tls
    except ImportError as error:
        raise Unsupported(f"TLS to a daemon needs Docker's SDK for Python: pip install docker ({error})") from error
    if bool(files.get("cert")) != bool(files.get("key")):
        raise InvalidArgument("a certificate needs its key: --tlscert and --tlskey belong together")
    pair = (files["cert"], files["key"]) if files.get("cert") and files.get("key") else None
    return tls.TLSConfig(client_cert=pair, ca_cert=files.get("ca") or None, verify=verify)
