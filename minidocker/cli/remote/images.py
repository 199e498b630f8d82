"""The images of a daemon, as our commands know images."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from minidocker.cli.remote import Api
from minidocker.errors import APIError, BuildError, Unsupported
from minidocker.reference import Reference

Listener = Callable[[dict[str, Any]], None] | None
# Of a build's options, those that the classic builder has; the others are BuildKit's, which another protocol serves.
CLASSIC = set(
    "path fileobj custom_context dockerfile tag buildargs labels nocache pull target platform network_mode "
    "cache_from".split()
)
Found = list["Image"]  # `list` itself is a method below


class Images:
    """All of them."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.registries = self  # where our commands look for push

    def list(self, filters: Mapping[str, Any] | None = None) -> Found:
        """Those that are listed."""
        return [Image(self.api, one) for one in self.api.images(filters=dict(filters or {}))]

    def names(self) -> dict[str, Sequence[str]]:
        """Image id -> its names."""
        return {image.id: image.tags for image in self.list()}

    def get(self, name: str) -> Image:
        """The one of a name or id. Raises ImageNotFound."""
        return Image(self.api, self.api.inspect_image(name))

    def makes(self, name: str) -> bool:
        """Whether the engine would have to make it; a daemon does that when it pulls."""
        return False

    def suits(self, name: str, platform: str = "") -> bool:
        """Whether it is there; the daemon itself looks at the platform, and says so where another one is."""
        try:
            self.get(name)
        except APIError as error:
            if error.status_code != 404:
                raise
            return False
        return True

    def remove(self, name: str, force: bool = False) -> Any:
        """Remove a name, or an image."""
        return self.api.remove_image(name, force=force)

    def prune(self, filters: Mapping[str, Any] | None = None) -> Any:
        """Remove those that nobody uses."""
        return self.api.prune_images(dict(filters or {}))

    def prune_builds(self, filters: Mapping[str, Any] | None = None, all: bool | None = None, **space: int) -> Any:
        """Forget what builds have made."""
        if space.get("max_used_space") or space.get("min_free_space"):
            raise Unsupported("a daemon of API 1.41 knows --keep-storage only")
        params = {"filters": json.dumps(dict(filters or {})), "all": int(bool(all))}
        params |= {"keep-storage": space["reserved_space"]} if space.get("reserved_space") else {}
        found = self.api._result(self.api._post(self.api._url("/build/prune"), params=params), True)
        return {"CachesDeleted": None, "SpaceReclaimed": 0} | found

    # To and from registries

    def pull(
        self,
        repository: str,
        all_tags: bool = False,
        platform: str | None = None,
        on_event: Listener = None,
    ) -> None:
        """From a registry, through the daemon."""
        name = Reference.parse(repository)
        tag = None if all_tags else name.digest or name.tag
        short = repository.partition("@")[0]
        short = short if short.rpartition("/")[2].find(":") < 0 else short.rpartition(":")[0]
        found = self.api.pull(short, tag=tag, all_tags=all_tags, platform=platform, stream=True, decode=True)
        _hear(found, on_event)

    def fetch(self, name: str, platform: str = "", on_event: Listener = None) -> None:
        """What a container needs."""
        self.pull(name, platform=platform or None, on_event=on_event)

    def push(self, name: Reference, all_tags: bool = False, _auth: Any = None, on_event: Listener = None) -> None:
        """To a registry, through the daemon."""
        found = self.api.push(name.name, None if all_tags else name.tag, stream=True, decode=True)
        _hear(found, on_event)

    def check(self, domain: str, given: Any) -> str:
        """Let the daemon ask a registry whether it knows us; the token that it gives."""
        from minidocker.registry.credentials import key_of

        wanted = {"username": given.username, "password": given.password, "serveraddress": key_of(domain)}
        found = self.api._result(self.api._post_json(self.api._url("/auth"), data=wanted), True)
        return str(found.get("IdentityToken") or "")

    # To and from files

    def saved(self, names: Sequence[str]) -> Iterator[bytes]:
        """All of these in one tar."""
        answer = self.api._get(self.api._url("/images/get"), params={"names": names}, stream=True, timeout=None)
        self.api._raise_for_status(answer)
        return iter(answer.iter_content(1 << 20))

    def loaded(self, source: Any) -> Iterator[str]:
        """What the daemon says of an archive that it loads."""
        with source.open("rb") if isinstance(source, Path) else source as file:
            for message in self.api.load_image(file, quiet=True):
                _raise_for(message)
                yield message.get("stream", "")

    def import_image(
        self, src: Any, repository: str = "", tag: str = "", changes: Any = None, message: str = ""
    ) -> Any:
        """Make an image out of a tar of a file system."""
        params = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": changes or [], "message": message}
        with src.open("rb") if isinstance(src, Path) else src as file:
            answer = self.api._post(self.api._url("/images/create"), data=file, params=params, timeout=None)
        lines = [json.loads(line) for line in self.api._result(answer).splitlines() if line.strip()]
        for line in lines:
            _raise_for(line)
        return SimpleNamespace(id=lines[-1]["status"])

    # Builds

    def build(self, on_event: Listener = None, **options: Any) -> tuple[Any, None]:
        """The daemon's classic builder. Raises BuildError."""
        given = {name: value for name, value in options.items() if value not in (None, "", [], {}, False)}
        if lacking := sorted(given.keys() - CLASSIC - {"load"}):
            raise Unsupported(
                f"a build through a daemon is the classic one, which has no {', '.join(lacking)}; "
                "leave it out, or build without -H"
            )
        given.pop("load", None)
        tags = given.pop("tag", [])
        if str(given.get("path", "")).startswith(("http://", "https://", "git://", "git@")):
            given["custom_context"] = False
        found = self.api.build(tag=tags[0] if tags else None, rm=True, forcerm=True, decode=True, **given)
        id = ""
        for message in found:
            if "error" in message:
                raise BuildError(message["error"], exit_code=(message.get("errorDetail") or {}).get("code") or 1)
            id = (message.get("aux") or {}).get("ID", id)
            if on_event is not None:
                on_event(message)
        for tag in tags[1:]:
            Image(self.api, {"Id": id}).tag(tag)
        return SimpleNamespace(id=id), None

    def forecast(self, **_: Any) -> Any:
        """Not through a socket."""
        raise Unsupported("a plan of a build needs the engine's own folder: leave -H out")


class Image:
    """One image, as the listing or `inspect` has it."""

    def __init__(self, api: Api, attrs: dict[str, Any]) -> None:
        self.api, self.attrs, self.id = api, attrs, attrs["Id"]

    @property
    def tags(self) -> list[str]:
        """Its names."""
        return [name for name in self.attrs.get("RepoTags") or [] if name != "<none>:<none>"]

    @property
    def digests(self) -> list[str]:
        """Its names by digest."""
        return [name for name in self.attrs.get("RepoDigests") or [] if not name.startswith("<none>@")]

    @property
    def size(self) -> int:
        """How much room it takes."""
        return int(self.attrs.get("Size") or 0)

    def history(self) -> Any:
        """Its lines."""
        return self.api.history(self.id)

    def tag(self, name: str) -> None:
        """Give it one more name."""
        found = Reference.parse(name)
        self.api.tag(self.id, found.name, found.tag)


def _hear(messages: Iterable[dict[str, Any]], listener: Listener) -> None:
    for message in messages:
        _raise_for(message)
        if listener is not None:
            listener(message)


def _raise_for(message: Mapping[str, Any]) -> None:
    if "error" in message:
        raise APIError(str(message["error"]))


def show(event: dict[str, Any]) -> None:
    """What the classic builder says, as docker prints it."""
    from minidocker.cli.progress import printable

    text = event.get("stream") or event.get("status") or ""
    if "progress" not in event:
        line = (
            text if "stream" in event else f"{event['id']}: {text}\n" if event.get("id") else f"{text}\n" * bool(text)
        )
        print(printable(line, colours=True) if sys.stdout.isatty() else line, end="", flush=True)
