"""What a registry has under a name, as `images.get_registry_data` of Docker's SDK gives it: nothing is pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidocker.errors import InvalidArgument
from minidocker.platforms import Platform
from minidocker.reference import Reference

if TYPE_CHECKING:
    from minidocker.image import Image
    from minidocker.registry.service import Registries


class RegistryData:
    """`id` is the digest that the name stands for; `attrs` has its `Descriptor` and the `Platforms` that it is for."""

    def __init__(self, registries: Registries, image_name: str, attrs: dict[str, Any]) -> None:
        self._registries, self.image_name, self.attrs = registries, image_name, attrs

    @property
    def id(self) -> str:
        """The digest of the manifest or index."""
        return str(self.attrs["Descriptor"]["digest"])

    @property
    def short_id(self) -> str:
        """The first twelve hex digits of the id, with its algorithm."""
        return self.id[:19]

    def has_platform(self, platform: str | dict[str, str]) -> bool:
        """Whether there is an image for a platform, `os[/arch[/variant]]`. Raises InvalidArgument."""
        if isinstance(platform, dict):
            platform = "/".join(platform.get(key, "") for key in ("os", "architecture", "variant")).rstrip("/")
        elif not 0 < len(platform.split("/")) < 4:
            raise InvalidArgument(f'"{platform}" is not a valid platform descriptor')
        return Platform.parse(platform) in map(Platform.of, self.attrs["Platforms"])

    def pull(self, platform: str | None = None) -> Image:
        """Bring just this digest here."""
        name = Reference.parse(self.image_name)
        return self._registries.pull(Reference(name.domain, name.path, "", self.id), platform or "")

    def reload(self) -> None:
        """Ask again what the name stands for."""
        self.attrs = self._registries.inspect(self.image_name)

    def __repr__(self) -> str:
        return f"<RegistryData: {self.short_id}>"
