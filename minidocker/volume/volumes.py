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
from typing import TYPE_CHECKING, Any

from minidocker.content import FileLock, NestedLock, Store, read_json, temp_path, unwritable, write_json
from minidocker.errors import APIError, Conflict, NotFound
from minidocker.filters import texts
from minidocker.layer import Changeset
from minidocker.plugin.client import PluginError, Unknown
from minidocker.plugin.volumedriver import VolumeDriver
from minidocker.times import now
from minidocker.volume import local
from minidocker.volume.filters import prune_filter, volume_filter
from minidocker.volume.volume import ANONYMOUS, Volume

if TYPE_CHECKING:
    from minidocker.runtime import Runtime

Found = list[Volume]  # `list` itself is a method of Docker's
Ids = list[str]


class Volumes:
    """The volumes of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._listing = threading.local()  # what is told of a listing is for who asked for it
        self.folder = store.root / "volumes"
        self._lock = NestedLock(self.folder / ".lock")

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
            if (there := self._find(name)) is not None:
                if driver and driver != there.driver:
                    words = f"driver '{there.driver}' already has volume '{name}': volume name must be unique"
                    raise Conflict(f"create {name}: {words}")
                if there.driver != local.DRIVER and self._read(name) is None:  # from now on we know it, too
                    self._write(there.record, "")
                return there
            return self._make(name, driver or local.DRIVER, options, own)

    def _make(self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        local.check_name(name)
        scope = "local"
        if driver == local.DRIVER:
            local.check_options(name, options)
        else:
            with self._for("create", name):
                plugin = VolumeDriver.find(self.store.root, driver)
                plugin.create(name, options)
                scope = plugin.scope()
        record = {
            "CreatedAt": f"{now().partition('.')[0]}Z",
            "Driver": driver,
            "Labels": labels or None,
            "Name": name,
            "Options": options or None,
            "Scope": scope,
        }
        self._write(record, "_data" if driver == local.DRIVER else "")
        self.tell("create", name, driver)
        return self.get(name)

    def _write(self, record: Mapping[str, Any], folder: str) -> None:
        """Let a volume be there, as a whole."""
        made = temp_path(self.store.root / "tmp" / record["Name"][:64])
        try:
            made.mkdir()
            (made / folder).mkdir(exist_ok=True)
            (made / folder).chmod(0o755)  # whatever the umask says
            write_json(made / "volume.json", record)
            made.rename(self.folder / record["Name"])
        except OSError as error:
            shutil.rmtree(made, ignore_errors=True)
            raise unwritable(self.store.root, error) from error

    @contextmanager
    def _for(self, verb: str, name: str) -> Iterator[None]:
        """Say of what a plugin says for what it was asked."""
        try:
            yield
        except (PluginError, NotFound) as error:
            raise type(error)(f"{verb} {name}: {error.explanation}") from None

    def locked(self) -> NestedLock:
        """Keep everybody else from making or removing volumes: for as long as a container is made that has some."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        return self._lock

    # Finding

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of this thread's last listing: drivers that did not answer."""
        return tuple(getattr(self._listing, "warnings", ()))

    def get(self, volume_id: str) -> Volume:
        """The volume of a name, ours or a plugin's. Raises NotFound."""
        if (found := self._find(volume_id)) is None:
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
        return {"VolumesDeleted": gone, "SpaceReclaimed": freed}

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
            return {"folder": mountpoint, "owned": False, "plugin": found.driver if found else ""}
        options = found.record["Options"]
        return local.shown(options, Path(found.mountpoint)) | {"owned": not options}

    def mount(self, volume: Mapping[str, Any], id: str) -> str:
        """Have a volume for a container; the folder where it is. Raises APIError where its plugin has none to give."""
        folder, driver = str(volume["Source"]), str(volume["Driver"])
        if driver != local.DRIVER:
            try:
                folder = VolumeDriver.find(self.store.root, driver).mount(volume["Name"], id)
            except (PluginError, NotFound) as error:
                raise APIError(f"error while mounting volume '{folder}': {error.explanation}") from None
            if not Path(folder).is_dir():
                words = f"plugin {driver} says that it is in {folder!r}, where no folder is"
                raise APIError(f"error while mounting volume '{volume['Name']}': {words}")
        about = {"container": id, "destination": volume["Destination"], "propagation": volume["Propagation"]}
        self.tell("mount", volume["Name"], driver, **about, **{"read/write": str(volume["RW"]).lower()})
        return folder

    def fill(self, point: Mapping[str, Any], content: Callable[[], Changeset | None], runtime: Runtime) -> None:
        """Let a volume that holds nothing begin with this; whoever comes at the same time waits for it.

        Where that was cut short, it is done again: nobody can have used the volume meanwhile.
        """
        name = point["Name"]
        where, note, id = self.where(name, point["Source"]), self.folder / name / "filling", os.urandom(32).hex()
        if "memory" in where:
            return
        plugin = VolumeDriver.find(self.store.root, where["plugin"]) if where.get("plugin") else None
        if plugin:
            where["folder"] = plugin.mount(name, id)
        try:
            self._fill(where, note, content, runtime)
        finally:
            if plugin:
                plugin.unmount(name, id)

    def _fill(
        self, where: Mapping[str, Any], note: Path, content: Callable[[], Changeset | None], runtime: Runtime
    ) -> None:
        from minidocker.runtime import Bind  # not above: a monitor that removes volumes has no room for all of it

        with FileLock(note.with_name(".lock")):
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
            volume = self._find(name)
            if volume is None:
                if force:
                    return
                raise NotFound(f"get {name}: no such volume")
            if users := self.users().get(name):
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
            if volume.driver != local.DRIVER:
                try:
                    with self._for("remove", name):
                        VolumeDriver.find(self.store.root, volume.driver).remove(name)
                except APIError:
                    if not force:
                        raise
            with suppress(FileNotFoundError):  # one that its plugin alone knew
                (self.folder / name).rename(gone)
        self.tell("destroy", name, volume.driver)
        local.delete(gone)

    def remove_anonymous(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Remove those of a container's volumes that have no name, and that no other container has."""
        for point in points:
            if point["Type"] == "volume":
                with suppress(NotFound, Conflict):
                    if (volume := self._read(point["Name"])) and volume.anonymous:
                        self.remove(point["Name"])

    def tell(self, action: str, name: str, driver: str, **more: str) -> None:
        """Write down what happened to a volume."""
        self.store.tell("volume", action, name, {"driver": driver, **more})

    # On disk

    def _every(self) -> Found:
        """Ours, and those that plugins have; of plugins that do not answer, `warnings` tells."""
        names = (path.parent.name for path in self.folder.glob("*/volume.json"))
        found = {name: volume for name in names if (volume := self._read(name))}
        warnings = self._listing.warnings = []
        for plugin in VolumeDriver.every(self.store.root):
            try:
                for each in plugin.list():
                    own = found.get(each["Name"])
                    if own is None or own.driver == plugin.name:
                        found[each["Name"]] = self._theirs(plugin, each, own)
            except Unknown:  # a plugin for something else
                continue
            except PluginError as error:
                warnings.append(error.explanation)
        return [found[name] for name in sorted(found)]

    def _theirs(self, plugin: VolumeDriver, said: Mapping[str, Any], own: Volume | None) -> Volume:
        """A volume, as its plugin describes it."""
        record = dict(own.record) if own else {"Name": said["Name"], "Driver": plugin.name, "Scope": "local"}
        record |= {"Mountpoint": str(said.get("Mountpoint") or "")}
        record |= {key: said[key] for key in ("CreatedAt", "Status") if said.get(key)}
        return Volume(self, {"Labels": None, "Options": None} | record)

    def _find(self, name: str) -> Volume | None:
        """Ours, or a plugin's. Raises PluginError where the plugin that has it does not answer."""
        own = self._read(name)
        if own and own.driver != local.DRIVER:
            with self._for("get", name):
                plugin = VolumeDriver.find(self.store.root, own.driver)
                return self._theirs(plugin, found, own) if (found := plugin.get(name)) else None
        if own or not local.NAME.fullmatch(name):
            return own
        for plugin in VolumeDriver.every(self.store.root):
            with suppress(PluginError):  # one says so with an error, another with nothing
                if (found := plugin.get(name)) is not None:
                    return self._theirs(plugin, found, None)
        return None

    def _read(self, name: str) -> Volume | None:
        if not local.NAME.fullmatch(name) or len(name) > 255:
            return None
        try:
            record = read_json(self.folder / name / "volume.json")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise APIError(f"get {name}: {self.folder / name / 'volume.json'} is no JSON: {error}") from None
        here = str(self.folder / name / "_data") if record["Driver"] == local.DRIVER else ""
        return Volume(self, record | {"Mountpoint": here})
