"""One volume: what `docker volume inspect` says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidocker.drawn import Drawn

if TYPE_CHECKING:
    from minidocker.volume.volumes import Volumes

ANONYMOUS = "com.docker.volume.anonymous"  # the label of those that nobody gave a name


class Volume(Drawn):
    """A volume. Attributes and methods are those of Docker's SDK for Python."""

    def __init__(self, volumes: Volumes, record: Mapping[str, Any]) -> None:
        self.volumes, self.record = volumes, dict(record)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.record["Name"])

    @property
    def id(self) -> str:
        """Its name: a volume has no other id."""
        return self.name

    @property
    def short_id(self) -> str:
        """The first twelve characters of it."""
        return self.name[:12]

    @property
    def driver(self) -> str:
        """`local`, or the plugin that keeps it."""
        return str(self.record["Driver"])

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.record["Labels"] or {}

    @property
    def anonymous(self) -> bool:
        """Whether nobody gave it a name."""
        return ANONYMOUS in self.labels

    @property
    def mountpoint(self) -> str:
        """The folder of this machine where it is."""
        return str(self.record["Mountpoint"])

    @property
    def attrs(self) -> dict[str, Any]:
        """What `docker volume inspect` prints."""
        return {key: self.record[key] for key in sorted(self.record)}

    @property
    def users(self) -> list[str]:
        """The ids of the containers that have it, whether they run or not."""
        return self.volumes.users().get(self.name, [])

    def usage(self) -> dict[str, int]:
        """How many containers have it, and how many bytes it holds: the `UsageData` of `docker system df`."""
        return {"RefCount": len(self.users), "Size": self.volumes.size(self)}

    def remove(self, force: bool = False) -> None:
        """Delete it, and what it holds. Raises Conflict while a container has it, `force` or not."""
        self.volumes.remove(self.name, force)

    def reload(self) -> None:
        """Read it again."""
        self.record = self.volumes.get(self.name).record

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Volume) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<Volume: {self.short_id}>"
