"""The engine: one folder on disk, and the surface of Docker's SDK for Python over it.

>>> import tempfile, minidocker
>>> folder = tempfile.TemporaryDirectory()
>>> engine = minidocker.connect(folder.name, runtime="simulated")
>>> engine.containers.run("minidocker/base", "echo hello", remove=True)
b'hello\\n'
>>> engine.close()
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.container import Containers
from minidocker.content import Store
from minidocker.drawn import Drawn
from minidocker.errors import ImageNotFound, InvalidArgument, Unsupported
from minidocker.image import Image
from minidocker.images import Guard, Images, is_id, unguarded
from minidocker.reference import Reference
from minidocker.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from minidocker.build import Build
    from minidocker.build.forecast import Forecast
    from minidocker.dockerfile.lint import LintWarning
    from minidocker.events import Events
    from minidocker.registry.data import RegistryData
    from minidocker.registry.service import Registries
    from minidocker.volume import Volumes


class Engine(Drawn):
    """One root folder with its images and containers. Use `minidocker.connect()` to get one."""

    remote = False  # it is in this process, as opposed to one behind a socket

    def __init__(self, root: Path, runtime: str = "") -> None:
        self.root = root
        self._others: dict[str, Runtime] = {}  # runtimes that single containers asked for
        if runtime:
            self.runtime = choose_runtime(runtime, root)
        self.store = Store(root)
        self.images = ImageCollection(self)
        self.containers = Containers(self.store, self.images, self.runtime_of)
        self.networks = self.containers.networks

    @cached_property
    def runtime(self) -> Runtime:
        """What runs the containers: chosen when it is first asked for, as trying out the machine takes a moment."""
        return choose_runtime("", self.root)

    def runtime_of(self, name: str = "") -> Runtime:
        """The runtime of a name; none said, the engine's. Raises InvalidArgument in Docker's words."""
        if not name or name == self.runtime.name:
            return self.runtime
        if name not in self._others:
            self._others[name] = choose_runtime(name, self.root)
        return self._others[name]

    @property
    def volumes(self) -> Volumes:
        """The volumes: what outlives containers."""
        return self.containers.volumes

    def version(self) -> dict[str, Any]:
        """What `docker version` prints of the server."""
        from minidocker import about

        return about.version(self)

    def info(self) -> dict[str, Any]:
        """What `docker info` prints."""
        from minidocker import about

        return about.info(self)

    def df(self) -> dict[str, Any]:
        """What takes how much room: `docker system df`."""
        from minidocker.build.records import usage

        containers = self.containers.list(all=True)
        return {
            "LayersSize": self.images.disk_usage(),
            "Images": [self.images.summary(image) for image in self.images.list()],
            "Containers": [container.summary(size=True) for container in containers],
            "Volumes": [volume.attrs | {"UsageData": volume.usage()} for volume in self.volumes.list()],
            "BuildCache": (cache := usage(self.store)),
            "BuilderSize": sum(record["Size"] for record in cache),
        }

    def events(
        self, since: Any = None, until: Any = None, filters: Mapping[str, Any] | None = None, decode: bool | None = None
    ) -> Events:
        """What happens from now on, or since a moment, until another: lines of JSON, or with `decode` dictionaries.

        Whatever does it (this engine, another one, a container's monitor), it is seen here. `close()` ends it.
        """
        from minidocker.events import Events

        return Events(self.root, since, until, filters, bool(decode))

    def login(
        self,
        username: str,
        password: str | None = None,
        email: str | None = None,
        registry: str | None = None,
        reauth: bool = False,
        dockercfg_path: str | None = None,
    ) -> dict[str, Any]:
        """Ask a registry (Docker Hub, where none is named) whether it knows us; pull and push then say who we are.

        Until the engine is closed: `minidocker login` remembers it for longer. Raises APIError where it does not.
        """
        return self.images.registries.login(username, password or "", registry or "", reauth, dockercfg_path or "")

    def ping(self) -> bool:
        """Whether the engine answers."""
        return (self.root / "oci-layout").exists()

    def close(self) -> None:
        """Let go of the processes that belong to this engine; containers run on."""
        for runtime in (self.__dict__.get("runtime"), *self._others.values()):
            closing = getattr(runtime, "close", None)
            if closing is not None:
                closing()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Engine: {self.root} ({self.runtime.name})>"


class ImageCollection(Images):
    """The images of an engine: those in the store, those to be built, and this course's own bases."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.store)
        self.engine = engine

    def get(self, name: str) -> Image:
        """The image of a name or id. One of this course's base images is made right here. Raises ImageNotFound."""
        try:
            return super().get(name)
        except ImageNotFound:
            from minidocker import base

            if (made := base.ensure(self, name)) is not None:
                return made
            raise

    def makes(self, name: str) -> bool:
        """Whether a name is one of this course's base images, and `get` would have to make it first."""
        from minidocker import base

        return base.is_base(name) and not self.find(name)

    def build(self, **options: Any) -> tuple[Image, Any]:
        """Build an image, as Docker's SDK: `(image, log)`; the log is a `Build`, events that draw themselves."""
        from minidocker.build import build_image

        build: Build = build_image(self.engine, **options)
        assert build.image is not None
        return build.image, build

    def forecast(self, **options: Any) -> Forecast:
        """What `build` with the same arguments would take from the cache, and build; nothing is built, or written."""
        from minidocker.build import build_image
        from minidocker.build.forecast import Forecast, Forecaster

        if "," in (options.get("platform") or ""):
            raise Unsupported("a plan is of one platform: ask for each")
        forecast = build_image(self.engine, **options, builder=Forecaster)
        assert isinstance(forecast, Forecast)
        return forecast

    def check(self, **options: Any) -> list[LintWarning]:
        """What Docker warns about in a Dockerfile, as `docker build --check`; the arguments are those of `build`.

        Raises DockerfileError, with the `warnings` so far, for a Dockerfile that cannot be built.
        """
        from minidocker.build.checking import check

        return check(self.engine, **options).warnings

    def in_use(self) -> dict[str, tuple[str, bool]]:
        """Container id -> (image id, whether it runs)."""
        return self.engine.containers.in_use()

    def summary(self, image: Image) -> dict[str, Any]:
        """What `docker images` has of one image (the API's `GET /images/json`)."""
        from minidocker.times import unix_time

        users = [used for used, _ in self.in_use().values() if used == image.id]
        return {
            "Id": image.id,
            "ParentId": "",
            "RepoTags": image.tags,
            "RepoDigests": image.digests,
            "Created": unix_time(image.raw.get("created")),
            "Size": image.size,
            "VirtualSize": image.size,
            "SharedSize": -1,
            "Labels": image.labels,
            "Containers": len(users),
        }

    def load(self, data: Any) -> list[Image]:
        """Load the images of a tar (`docker save`'s, or an OCI layout's): bytes, an open file, or chunks."""
        from minidocker.archive import load

        images = [image for image, _ in load(self, data)]
        for image in images:
            self.tell("load", image.id, labels=image.labels)
        return images

    def import_image(
        self, src: Any, repository: str = "", tag: str = "", changes: Any = None, message: str = ""
    ) -> Image:
        """Make an image of one layer out of a tar of a file system, as `docker import`."""
        from minidocker.archive import import_
        from minidocker.build.config import apply_changes
        from minidocker.filters import texts
        from minidocker.times import now

        moment = now()
        config = apply_changes({}, [line for text in texts(changes) for line in text.splitlines()])
        history = [{"created": moment, "comment": message or "Imported from -"}]
        if repository:
            Reference.parse(f"{repository}:{tag}" if tag else repository)
        image = import_(self, src, {"created": moment, "config": config, "history": history})
        if repository:
            image.tag(repository, tag)
        self.tell("import", image.id, labels=image.labels)
        return image

    def pull(
        self,
        repository: str,
        tag: str | None = None,
        all_tags: bool = False,
        platform: str | None = None,
        auth_config: Mapping[str, Any] | None = None,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        **others: Any,
    ) -> Any:
        """Bring an image here from a registry: Docker Hub, or the one that its name begins with; or all tagged ones.

        This course's base images are made on this machine instead. `on_event` gets Docker's stream of messages.
        Raises ImageNotFound, and APIError where the registry is not there or says no.
        """
        from minidocker import base

        if wrong := others.keys() - {"stream", "decode"}:
            raise TypeError(f"pull() got an unexpected keyword argument {min(wrong)!r}")
        name = reference_of(repository, None if all_tags else tag)
        if (made := base.ensure(self, str(name))) is not None:
            return [made] if all_tags else made
        if all_tags:
            return self.registries.pull_all(name, platform or "", auth_config, on_event)
        return self.registries.pull(name, platform or "", auth_config, on_event)

    def fetch(
        self,
        name: str,
        platform: str = "",
        on_event: Callable[[dict[str, Any]], None] | None = None,
        guard: Guard = unguarded,
    ) -> Image:
        """Pull an image that something needs. Where there is no registry to ask, it is not found. Raises APIError."""
        from minidocker import base
        from minidocker.registry.wire import Unreachable

        if is_id(name):
            raise ImageNotFound(f"No such image: {name}")
        try:
            with guard(self.registries.stop):
                image: Image = self.pull(name, platform=platform, on_event=on_event)
            return image
        except Unreachable as error:
            why = f"No such image: {Reference.parse(name)}, and it cannot be pulled: {error.explanation}"
            raise ImageNotFound(f"{why}. {base.HINT}") from error

    def push(
        self,
        repository: str,
        tag: str | None = None,
        stream: bool = False,
        auth_config: Mapping[str, Any] | None = None,
        decode: bool = False,
        all_tags: bool = False,
    ) -> Any:
        """Send an image to the registry that its name begins with; Docker's stream of messages.

        As with Docker's SDK, these are one text, or with `stream` come one by one, or with `decode` as dictionaries;
        and where it fails, the last one has `error`.
        """
        from minidocker.registry.service import streamed

        name = reference_of(repository, tag)
        if name.digest:
            raise InvalidArgument("cannot push a digest reference")
        messages = streamed(lambda listen: self.registries.push(name, all_tags, auth_config, listen))
        if decode:
            return messages
        lines = (json.dumps(message) + "\r\n" for message in messages)
        return lines if stream else "".join(lines)

    def push_one(self, name: Reference) -> None:
        """Send an image to the registry of its name. Raises APIError."""
        self.registries.push(name, all_tags=False)

    @cached_property
    def registries(self) -> Registries:
        """All registries, as this engine sees them."""
        from minidocker.registry.service import Registries

        return Registries(self)

    def acting_for(self, logins: Mapping[str, Any]) -> ImageCollection:
        """The same images, for somebody whom registries know by these logins alone: registry -> `auth_config`."""
        from minidocker.registry.service import Registries

        images = ImageCollection(self.engine)
        images.registries = Registries(images, logins)
        return images

    def get_registry_data(self, name: str, auth_config: Mapping[str, Any] | None = None) -> RegistryData:
        """What a registry has under a name, and for which platforms; nothing is pulled."""
        return self.registries.data(name, auth_config)

    def prune_builds(
        self,
        filters: Mapping[str, Any] | None = None,
        keep_storage: int | None = None,
        all: bool | None = None,
        reserved_space: int = 0,
        max_used_space: int = 0,
        min_free_space: int = 0,
    ) -> dict[str, Any]:
        """Forget what earlier builds made: `{"CachesDeleted": […], "SpaceReclaimed": bytes}`.

        Of records that no build is using, those that the filters name (until, id, type, …), the longest unused first,
        as long as more is left than the limits (bytes) allow; without limits, all of them.
        """
        from minidocker.build.records import Limits, prune

        limits = Limits(keep_storage or reserved_space, max_used_space, min_free_space)
        before = self.disk_usage()
        gone = prune(self.engine.store, filters, limits if limits != Limits() else None)
        self.collect()
        freed = max(0, before - self.disk_usage()) + sum(record["Size"] for record in gone if not record["Layer"])
        self.engine.store.tell("builder", "prune", "", {"reclaimed": str(freed)})
        return {"CachesDeleted": [record["ID"] for record in gone] or None, "SpaceReclaimed": freed}

    def search(self, term: str, **_: Any) -> None:
        """Search Docker Hub: not there, as it is a service of that one registry and of no specification."""
        raise Unsupported(
            f"cannot search for {term!r}: minidocker does not search Docker Hub; use https://hub.docker.com"
        )


def reference_of(repository: str, tag: str | None) -> Reference:
    """`("app", "1")`, `("app:1", None)` and `("app", "sha256:…")` as a name. Raises InvalidArgument."""
    if tag and tag.startswith("sha256:"):
        return Reference.parse(f"{repository}@{tag}")
    if tag and ":" not in repository.rpartition("/")[2]:
        return Reference.parse(f"{repository}:{tag}")
    name = Reference.parse(repository)
    return Reference(name.domain, name.path, tag, name.digest) if tag else name


def connect(root: str | os.PathLike[str] | None = None, runtime: str | None = None) -> Engine:
    """Open the engine on a folder (`$MINIDOCKER_ROOT`, else the user's data folder), made where it is not there.

    `runtime` is `namespaces` or `simulated` (`$MINIDOCKER_RUNTIME`); else the best that this machine can do.
    """
    return Engine(root_folder(root), runtime or os.environ.get("MINIDOCKER_RUNTIME") or "")


def root_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the engine that is meant. Raises Unsupported for the address of a daemon."""
    text = str(root or os.environ.get("MINIDOCKER_ROOT") or data_folder())
    if text.startswith(("unix://", "tcp://", "http://", "https://", "npipe://", "ssh://")):
        raise Unsupported(
            f"{text} is a daemon's address, and not a folder: `minidocker.connect({text!r})` and "
            f"`minidocker -H {text}` lead there, and MINIDOCKER_HOST instead of MINIDOCKER_ROOT"
        )
    return Path(text).expanduser().absolute()


def choose_runtime(name: str, folder: Path) -> Runtime:
    """The runtime of a name, or the best that this machine can do. Raises InvalidArgument, Unsupported."""
    if not name:
        from minidocker.runtime import probe

        name = probe.choose(folder)
    if name == "namespaces":
        from minidocker.runtime.namespaces import Namespaces

        return Namespaces(folder)
    if name == "simulated":
        from minidocker.runtime.simulated.runtime import Simulated

        return Simulated()
    from minidocker.runtime import oci

    return oci.find(name, folder)


def data_folder() -> Path:
    """Where this user's programs keep their data, by the habits of the system."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "minidocker"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "minidocker"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "minidocker"
