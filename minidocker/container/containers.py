"""The containers of one store: made, found, listed, pruned; and their names.

containers/<id>/config.json     what a container is
containers/names/<name>         the id of the container of that name
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from minidocker import journal
from minidocker.container import links, mountpoints, networking, spec
from minidocker.container.commit import thaw
from minidocker.container.container import Container
from minidocker.container.execution import Execution
from minidocker.container.options import limits, sharing
from minidocker.container.state import LIVE
from minidocker.content import FileLock, Store, glance, read_json, temp_path, unwritable, write_json
from minidocker.errors import (
    APIError,
    Conflict,
    ContainerError,
    ImageNotFound,
    InvalidArgument,
    NotFound,
    NullResource,
    Unsupported,
)
from minidocker.filters import texts
from minidocker.image import Image
from minidocker.images import Images
from minidocker.network import Networks
from minidocker.platforms import Platform
from minidocker.runtime import Box, Process, Runtime, Stdio, monitor
from minidocker.runtime.policy import policy_of, restarts
from minidocker.times import NEVER
from minidocker.volume import Volumes

Found = list[Container]  # `list` itself is a method of Docker's


class Containers:
    """The containers of one store."""

    def __init__(self, store: Store, images: Images, runtime_of: Callable[[str], Runtime]) -> None:
        self.store, self.images, self.runtime_of = store, images, runtime_of
        self.folder, self.volumes = store.root / "containers", Volumes(store)
        self.networks = Networks(store, self.given, self.lives)
        self.networks.users = self.users
        self._names = self.folder / "names"
        self._names.mkdir(parents=True, exist_ok=True)

    @property
    def runtime(self) -> Runtime:
        """What runs them."""
        return self.runtime_of("")

    # Making

    def create(self, image: str | Image, command: str | list[str] | None = None, **options: Any) -> Container:
        """Make a container, not running yet. Options are those of Docker's SDK; what is not done is refused by name.

        Raises ImageNotFound, InvalidArgument, Conflict (the name is in use), Unsupported.
        """
        return self._create(image, command, options)

    def _create(
        self, image: str | Image, command: Any, options: Mapping[str, Any], throwaway: bool = False
    ) -> Container:
        with self.store.keep():
            name = image if isinstance(image, str) else (image.tags or [image.id])[0]
            options, platform = dict(options), options.get("platform") or ""
            options.pop("platform", None)
            if isinstance(image, str):
                image = self._suiting(image, platform)
            runtime = self.runtime_of(str(options.get("runtime") or ""))  # there is one of that name
            options = self.networks.named(sharing.with_ids(options, self))
            default = "none" if runtime.no_bridge(str(self.networks.folder)) else "bridge"
            config = spec.container_config(image, name, command, options, default)
            config |= self._links(options.get("links"), config, default)
            container = Container(self, config)
            container.warnings = discarded(config) + limits.discard(
                config["HostConfig"], lambda: container.runtime.supports()
            )
            container.throwaway |= throwaway
            config["Mounts"] = mountpoints.with_borrowed(config, self.get)
            with mountpoints.provided(self.volumes, config["Mounts"]):
                self._enter(container)
            links.enter(self, container)
        container.image = image
        try:
            mountpoints.fill(container, self.volumes)
        except BaseException:
            container.remove(v=True)
            raise
        return container

    def _links(self, asked: Any, config: Mapping[str, Any], default: str) -> dict[str, Any]:
        """Whom a new container is linked to. Raises InvalidArgument, Unsupported."""
        mode = config["HostConfig"]["NetworkMode"]
        found = links.choose(self, asked, mode)
        if found and (mode, default) == ("default", "none"):
            why = self.runtime.no_bridge(str(self.networks.folder))
            raise Unsupported(f"links need the default network, and there is none here: {why}")
        return {"Links": found} if found else {}

    def unlink(self, name: str) -> None:
        """Remove a link, as `docker rm --link` does: `app/database`. Raises Conflict, NotFound."""
        links.remove(self, name)

    def _suiting(self, name: str, platform: str) -> Image:
        """An image that is here, and for the platform that is asked for. Raises ImageNotFound."""
        found = self.images.get(name)
        if platform and not self.images.suits(name, platform):
            actual = Platform.of(found.raw)
            raise ImageNotFound(
                f"image with reference {name} was found but does not match the specified platform: wanted "
                f"{Platform.parse(platform)}, actual: {actual}"
            )
        return found

    def run(
        self,
        image: str | Image,
        command: str | list[str] | None = None,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        **options: Any,
    ) -> Any:
        """Create and start; return its output, or with `detach=True` the container. Raises ContainerError."""
        if options.get("network") and options.get(
            "network_mode"
        ):  # in the words of Docker's SDK, which raises the same
            raise RuntimeError('The options "network" and "network_mode" can not be used together.')
        stream, detach = options.pop("stream", False), options.pop("detach", False)
        if not (stdout or stderr or detach):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        if remove and detach:
            options["auto_remove"] = True
        options["detach"] = detach
        try:
            container = self._create(image, command, options, throwaway=remove)
        except ImageNotFound:
            if not isinstance(image, str):
                raise
            self.images.fetch(image, options.get("platform") or "")
            container = self._create(image, command, options, throwaway=remove)
        remove = remove or container.config["HostConfig"]["AutoRemove"]
        try:
            container.start(Stdio(attached=not (detach or stream)))
        except BaseException:
            if remove:
                container.remove(v=True, force=True)
            raise
        if detach:
            return container
        silent = container.config["HostConfig"]["LogConfig"]["Type"] == "none"
        if silent:  # there is nothing to read, so all that is said is that it has ended; with None, as by Docker's SDK
            return self._finish(container, False, False, remove)
        return (self._stream if stream else self._finish)(container, stdout, stderr, remove)

    def _stream(self, container: Container, stdout: bool, stderr: bool, remove: bool) -> Iterator[bytes]:
        """What it prints, while it runs."""
        try:
            with container.watching():
                yield from container.logs(stdout, stderr, stream=True)
                self._check(container)
        finally:
            if remove:
                container.remove(v=True, force=True)

    def _finish(self, container: Container, stdout: bool, stderr: bool, remove: bool) -> bytes | None:
        """All that it printed, when it has ended; None where nothing is asked for."""
        try:
            with container.watching():
                monitor.await_end(container.path)
                output: bytes | None = container.logs(stdout, stderr) if stdout or stderr else None
                self._check(container, output is not None)
        finally:
            if remove:
                container.remove(v=True, force=True)
        return output

    def _check(self, container: Container, logged: bool = True) -> None:
        if status := container.state()["ExitCode"]:
            said = container.logs(stdout=False, stderr=True) if logged else None
            config = container.config["Config"]
            raise ContainerError(container, status, config["Cmd"], config["Image"], said)

    def _enter(self, container: Container) -> None:
        """Make the folder: the name is taken, and the container is there as a whole, or not at all."""
        id, config = container.id, container.config
        if (owner := self._owner(config["Name"])) is not None:
            self.reap(Container(self, owner))
        with self.store.lock():
            if not config["Name"]:
                config["Name"] = next(name for name in spec.random_names() if self._owner(name) is None)
            self._check_free(config["Name"])
            folder = temp_path(self.store.root / "tmp" / id)
            folder.mkdir(mode=0o700)
            try:
                write_json(folder / "config.json", config, sync=not container.throwaway)
                (self._names / config["Name"]).write_text(id)
                folder.rename(self.folder / id)
            except BaseException as error:
                shutil.rmtree(folder, ignore_errors=True)
                (self._names / config["Name"]).unlink(missing_ok=True)
                if isinstance(error, OSError):
                    raise unwritable(self.store.root, error) from error
                raise
        self.tell(config, "create")

    def tell(self, config: Mapping[str, Any], action: str, attributes: Mapping[str, str] | None = None) -> None:
        """Write down what happened to the container of a configuration, under the name that it has by now."""
        now = self._read(config["Id"]) or config
        journal.append_of(str(self.store.root), now, action, attributes or {})

    # Finding

    def get(self, container_id: str) -> Container:
        """The container of a name, an id, or the start of an id. Raises NotFound."""
        if not container_id:
            raise NullResource("Resource ID was not provided")
        config = self._owner(container_id.lstrip("/")) or self._by_id(container_id)
        if config is None or self.reap(container := Container(self, config)):
            raise NotFound(f"No such container: {container_id}")
        return container

    def execution(self, id: str) -> Execution:
        """One of the programs that were to be run in a container (`exec_create`), by its id. Raises NotFound."""
        if re.fullmatch("[0-9a-f]{64}", id):
            for path in self.folder.glob(f"*/execs/{id}.json"):
                return Execution(self.get(path.parent.parent.name), read_json(path))
        raise NotFound(f"No such exec instance: {id}")

    def list(
        self,
        all: bool = False,
        before: str | None = None,
        limit: int = -1,
        since: str | None = None,
        filters: Mapping[str, Any] | None = None,
        sparse: bool = False,
        ignore_removed: bool = False,
    ) -> Found:
        """Containers, newest first: those that run, or `all`. Filters: name, id, status, label, ancestor, exited…"""
        from minidocker.container.filters import container_filter

        conditions = {key: texts(value) for key, value in (filters or {}).items()}
        conditions |= {key: [value] for key, value in (("before", before), ("since", since)) if value}
        tests = [container_filter(self, key, wanted) for key, wanted in conditions.items()]
        ids = self._ids()
        if not (all or limit > 0 or "status" in conditions):
            ids = filter(self._ran, ids)
            tests.insert(0, lambda container: container.status in LIVE)
        found = [container for container in self._every(ids) if _passes(container, tests)]
        return found[:limit] if limit > 0 else found

    def prune(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove all that do not run: `{"ContainersDeleted": […], "SpaceReclaimed": bytes}`. Filters: label, until."""
        from minidocker.container.filters import prune_filter

        tests = [prune_filter(key, texts(value)) for key, value in (filters or {}).items()]
        gone, freed = [], 0
        for id in self._ids():
            if self._read(id) is None and not monitor.lives(self.folder / id):  # cut short by a power cut
                _wipe(self.folder / id)
        for container in self._every():
            if container.status not in LIVE and _passes(container, tests):
                size = container.changes().size
                try:
                    container.remove()
                except (NotFound, Conflict):  # somebody else removed or started it
                    continue
                freed += size
                gone.append(container.id)
        self.store.tell("container", "prune", "", {"reclaimed": str(freed)})
        return {"ContainersDeleted": gone or None, "SpaceReclaimed": freed}

    def revive(self) -> Found:
        """Start those that Docker's daemon starts with itself, as after a reboot of the machine; returns them.

        `always` means always, `unless-stopped` not what a person stopped, and `on-failure` what failed. Of one that
        cannot start, its state says why. What a commit paused that was killed goes on. Nobody calls this but a daemon:
        without one, they stay as they are.
        """
        found = []
        for container in self._every():
            with suppress(APIError, OSError):
                thaw(container)
            state, (policy, most) = container.state(), policy_of(container.config)
            ended = state["Status"] == "exited" and state["StartedAt"] != NEVER
            by_hand = policy != "always" and (container.path / "stopped").exists()
            if ended and restarts(policy, most, state["ExitCode"], state.get("RestartCount", 0), by_hand):
                with suppress(APIError):
                    container.start()
                    found.append(container)
        return found

    def in_use(self) -> dict[str, tuple[str, bool]]:
        """Container id -> (image id, whether it runs)."""
        return {c.id: (c.config["Image"], c.status in LIVE) for c in self._every()}

    def lives(self, id: str) -> bool:
        """Whether a container runs, or somebody is just starting it."""
        if monitor.lives(self.folder / id):
            return True
        lock = FileLock(self.folder / id / "start.lock")
        try:
            idle = lock.acquire(blocking=False)
        except OSError:
            return False
        if idle:
            lock.release()
        return not idle

    def given(self, container: Any) -> Container:
        """A container, or the one of a name or id. Raises NotFound."""
        return container if isinstance(container, Container) else self.get(container)

    def users(self, network: str) -> dict[str, dict[str, Any]]:
        """The containers that run in the network `host` or `none`: their endpoints there, which have no address."""
        return {
            one.id: networking.without_cable(one, one.state())
            for one in self.list()
            if network in networking.wanted(one)
        }

    def read(self, id: str) -> dict[str, Any]:
        """The `config.json` of an id. Raises NotFound."""
        found = self._read(id)
        if found is None:
            raise NotFound(f"No such container: {id}")
        return found

    def _read(self, id: str, how: Callable[[str], Any] = read_json) -> dict[str, Any] | None:
        try:
            config: dict[str, Any] = how(f"{self.folder}/{id}/config.json")
        except (FileNotFoundError, NotADirectoryError, ValueError):  # or one to throw away, cut short by a power cut
            return None
        return config

    def _ids(self) -> Iterable[str]:
        return (name for name in os.listdir(self.folder) if len(name) == 64)  # noqa: PTH208  (there may be hundreds)

    def _by_id(self, start: str) -> dict[str, Any] | None:
        ids = [id for id in self._ids() if id.startswith(start)]
        if len(ids) > 1:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {start}")
        return self._read(ids[0]) if ids else None

    def _ran(self, id: str) -> bool:
        """Whether the last that was written of a container is that it runs: of all others, no more need be read."""
        try:
            return glance(f"{self.folder}/{id}/state.json")["Status"] in LIVE
        except (FileNotFoundError, ValueError):  # never started; or cut short by a power cut, and so not running
            return False

    def _every(self, ids: Iterable[str] | None = None) -> Found:
        ids = self._ids() if ids is None else ids
        known = [config for id in ids if (config := self._read(id, glance))]
        configs = sorted(known, key=lambda config: config["Created"], reverse=True)
        return [found for config in configs if not self.reap(found := Container(self, config))]

    def reap(self, container: Container) -> bool:
        """Whether it is gone: a `--rm` container that has ended goes when somebody looks, and nobody watches it."""
        if not container.config["HostConfig"]["AutoRemove"]:
            return False
        lock = FileLock(container.path / "watch.lock")
        try:
            if container.status != "exited" or not lock.acquire(blocking=False):
                return False
            try:
                container.remove(v=True)
            finally:
                lock.release()
        except (NotFound, FileNotFoundError):
            pass
        return True

    # Names

    def _owner(self, name: str) -> dict[str, Any] | None:
        """The configuration of the container of a name, which is looked for where the note of it was lost."""
        if not spec.is_name(name):
            return None
        try:
            id = (self._names / name).read_text()
        except FileNotFoundError:
            return None
        candidates = [id] if id else self._ids()
        return next((config for id in candidates if (config := self._read(id)) and config["Name"] == name), None)

    def _check_free(self, name: str) -> None:
        if (owner := self._owner(name)) is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner["Id"]}". You have to '
                "remove (or rename) that container to be able to reuse that name."
            )

    def rename(self, container: Container, name: str) -> None:
        """Move a container to another name. Raises Conflict, InvalidArgument, NotFound."""
        if not name:
            raise InvalidArgument("Neither old nor new names may be empty")
        with self.store.lock():
            config = self.read(container.id)
            if name.removeprefix("/") == config["Name"]:
                raise InvalidArgument("Renaming a container with the same name as its current name")
            try:
                name = spec.check_name(f"/{name.removeprefix('/')}")
                self._check_free(name)
            except APIError as error:
                raise type(error)(f"Error when allocating new name: {error.explanation}") from None
            (self._names / name).write_text(container.id)
            write_json(container.path / "config.json", config | {"Name": name})
            (self._names / config["Name"]).unlink(missing_ok=True)
        self.networks.renamed(container.id, name)
        self.tell(config, "rename", {"oldName": f"/{config['Name']}"})

    def change(self, container: Container, **changes: Any) -> None:
        """Write down that something about a container is otherwise: for its monitor too, where it has one."""
        with self.store.lock():
            container.config = self.read(container.id) | changes
            write_json(container.path / "config.json", container.config)

    # Removing

    def delete(self, container: Container) -> None:
        """Take a container that does not run out of sight at once, then delete its files."""
        gone = temp_path(self.store.root / "tmp" / container.id)
        with self.store.lock():
            try:
                container.config = self.read(container.id)
                container.path.rename(gone)
            except FileNotFoundError:
                raise NotFound(f"No such container: {container.id}") from None
            (self._names / container.name).unlink(missing_ok=True)
        self.tell(container.config, "destroy")
        container.runtime.remove(Box(gone, (), Process(()), **limits.boxed(container.config)))
        shutil.rmtree(gone, ignore_errors=True)


def discarded(config: Mapping[str, Any]) -> list[str]:
    """What Docker warns of: published ports, where there is nothing to publish."""
    host = config["HostConfig"]
    if host["NetworkMode"] == "host" and (host["PortBindings"] or host["PublishAllPorts"]):
        return ["Published ports are discarded when using host network mode"]
    return []


def _wipe(folder: Path) -> None:
    """Delete a container's folder; an overlay leaves one in it that its owner, unless root, may not even read."""
    for above, names, _ in os.walk(folder):
        for name in names:
            with suppress(OSError):
                if not (Path(above) / name).is_symlink():
                    (Path(above) / name).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _passes(container: Container, tests: Iterable[Any]) -> bool:
    """Whether it passes all the tests; one that goes away meanwhile does not."""
    try:
        return all(test(container) for test in tests)
    except NotFound:
        return False
