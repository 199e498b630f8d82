"""The volumes of one store: made, found, listed, pruned.

    volumes/<name>/volume.json    what a volume is: driver, options, labels
    volumes/<name>/_data/         what it holds (driver `local`, without options)
    volumes/<name>/filling        there while content of an image is being copied into it
    volumes/.lock                 held by whoever makes or removes one, or a container that is to have one

A container has a volume for as long as its `config.json` names it, so nobody has to be told when one goes.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minidocker.content import FileLock, Store, read_json, temp_path, unwritable, write_json
from minidocker.errors import APIError, Conflict, NotFound
from minidocker.filters import texts
from minidocker.layer import Changeset
from minidocker.runtime import Bind, Runtime
from minidocker.times import now
from minidocker.volume import local
from minidocker.volume.filters import prune_filter, volume_filter
from minidocker.volume.volume import ANONYMOUS, Volume

Found = list[Volume]  # `list` itself is a method of Docker's
Ids = list[str]


class Volumes:
    """The volumes of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.warnings: list[str] = []  # of the last listing: drivers that did not answer
        self.folder = store.root / "volumes"
        self._lock, self._mutex, self._depth = FileLock(self.folder / ".lock"), threading.RLock(), 0

    # Making

    def create(
        self,
        name: str | None = None,
        driver: str | None = None,
        driver_opts: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or find the one that has this name already. Without a name it is anonymous.

        Raises InvalidArgument, Unsupported, NotFound (no such driver), Conflict (the name is another driver's).
        """
        options = {str(key): str(value) for key, value in sorted((driver_opts or {}).items())}
        own = {str(key): str(value) for key, value in sorted((labels or {}).items())}
        if not name:
            name, own = os.urandom(32).hex(), {ANONYMOUS: "", **own}
        with self.locked():
            if (there := self._read(name)) is not None:
                if driver and driver != there.driver:
                    words = f"driver '{there.driver}' already has volume '{name}': volume name must be unique"
                    raise Conflict(f"create {name}: {words}")
                return there
            return self._make(name, driver or local.DRIVER, options, own)

    def _make(self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        if driver != local.DRIVER:
            raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
        local.check_name(name)
        local.check_options(name, options)
        made = temp_path(self.store.root / "tmp" / name[:64])
        record = {
            "CreatedAt": f"{now().partition('.')[0]}Z",
            "Driver": driver,
            "Labels": labels or None,
            "Name": name,
            "Options": options or None,
            "Scope": "local",
        }
        try:
            (made / "_data").mkdir(parents=True)
            (made / "_data").chmod(0o755)  # whatever the umask says
            write_json(made / "volume.json", record)
            made.rename(self.folder / name)
        except OSError as error:
            shutil.rmtree(made, ignore_errors=True)
            raise unwritable(self.store.root, error) from error
        self.tell("create", name, driver)
        return self.get(name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from making or removing volumes: for as long as a container is made that has some."""
        with self._mutex:
            if not self._depth:
                self.folder.mkdir(mode=0o700, exist_ok=True)
                self._lock.acquire()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self._lock.release()

    # Finding

    def get(self, volume_id: str) -> Volume:
        """The volume of a name. Raises NotFound."""
        if (found := self._read(volume_id)) is None:
            raise NotFound(f"get {volume_id}: no such volume")
        return found

    def list(self, filters: Mapping[str, Any] | None = None) -> Found:
        """Volumes by name. Filters: dangling, driver, label, name."""
        wanted = {key: texts(value) for key, value in (filters or {}).items()}
        used = self.users() if "dangling" in wanted else {}
        tests = [volume_filter(key, values, used) for key, values in wanted.items()]
        return [volume for volume in self._every() if all(test(volume) for test in tests)]

    def prune(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove the anonymous volumes that no container has: `{"VolumesDeleted": […], "SpaceReclaimed": bytes}`.

        Filters: label, label!, and `all`, with which those that have a name go, too.
        """
        wanted = {"all": ["false"]} | {key: texts(value) for key, value in (filters or {}).items()}
        tests = [prune_filter(key, values) for key, values in wanted.items()]
        gone, freed = [], 0
        for volume in self.list({"dangling": True, "driver": local.DRIVER}):
            if all(test(volume) for test in tests):
                size = self.size(volume)
                with suppress(Conflict, NotFound):  # somebody was quicker
                    self.remove(volume.name)
                    gone.append(volume.name)
                    freed += size
        self.store.tell("volume", "prune", "", {"reclaimed": str(freed)})
        return {"VolumesDeleted": gone or None, "SpaceReclaimed": freed}

    def users(self) -> dict[str, Ids]:
        """Volume -> the ids of the containers that have it."""
        found: dict[str, list[str]] = {}
        for path in sorted((self.store.root / "containers").glob("*/config.json")):
            with suppress(OSError, ValueError):  # removed meanwhile, or cut short by a power cut
                for point in read_json(path).get("Mounts") or ():
                    if point["Type"] == "volume":
                        found.setdefault(point["Name"], []).append(path.parent.name)
        return found

    def size(self, volume: Volume) -> int:
        """Bytes that it holds; what lies elsewhere is not counted."""
        if volume.driver != local.DRIVER or volume.record["Options"]:
            return 0
        return local.size_of([Path(volume.mountpoint)])

    # Using

    def where(self, name: str, mountpoint: str) -> dict[str, Any]:
        """What a volume is to a runtime: a `folder` (`owned`: that is ours alone), or the options of a `memory`."""
        found = self._read(name)
        if found is None or found.driver != local.DRIVER:
            return {"folder": mountpoint, "owned": False}
        options = found.record["Options"]
        return local.shown(options, Path(found.mountpoint)) | {"owned": not options}

    def fill(self, name: str, content: Callable[[], Changeset | None], runtime: Runtime) -> None:
        """Let a volume that holds nothing begin with this; whoever comes at the same time waits for it.

        Where that was cut short, it is done again: nobody can have used the volume meanwhile.
        """
        where, note = self.where(name, ""), self.folder / name / "filling"
        if "memory" in where or not where["folder"]:
            return
        with FileLock(self.folder / name / ".lock"):
            if (note.exists() or local.is_empty(Path(where["folder"]))) and (first := content()):
                note.touch()
                try:
                    runtime.fill(Bind(where["folder"], "/", owned=where["owned"]), first)
                except OSError as error:
                    raise unwritable(Path(where["folder"]), error) from error
                note.unlink()

    # Removing

    def remove(self, name: str, force: bool = False) -> None:
        """Delete a volume. Raises Conflict while a container has it; NotFound, but for `force`."""
        gone = temp_path(self.store.root / "tmp" / "volume")
        with self.locked():
            volume = self._read(name)
            if volume is None:
                if force:
                    return
                raise NotFound(f"get {name}: no such volume")
            if users := self.users().get(name):
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
            (self.folder / name).rename(gone)
        self.tell("destroy", name, volume.driver)
        local.delete(gone)

    def remove_anonymous(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Remove those of a container's volumes that have no name, and that no other container has."""
        for point in points:
            if point["Type"] == "volume":
                with suppress(NotFound, Conflict):
                    if self.get(point["Name"]).anonymous:
                        self.remove(point["Name"])

    def tell(self, action: str, name: str, driver: str, **more: str) -> None:
        """Write down what happened to a volume."""
        self.store.tell("volume", action, name, {"driver": driver, **more})

    # On disk

    def _every(self) -> Found:
        names = sorted(path.parent.name for path in self.folder.glob("*/volume.json"))
        return [volume for name in names if (volume := self._read(name))]

    def _read(self, name: str) -> Volume | None:
        if not local.NAME.fullmatch(name) or len(name) > 255:
            return None
        try:
            record = read_json(self.folder / name / "volume.json")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise APIError(f"get {name}: {self.folder / name / 'volume.json'} is no JSON: {error}") from None
        return Volume(self, record | {"Mountpoint": str(self.folder / name / "_data")})
