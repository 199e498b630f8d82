"""Which registries are mirrors, or may be spoken to without TLS; how many layers at a time. Docker's `daemon.json`.

    {"registry-mirrors": ["https://mirror.example"], "insecure-registries": ["registry.lan:5000", "10.0.0.0/8"],
     "max-concurrent-downloads": 3, "max-concurrent-uploads": 5, "max-download-attempts": 5}

It is looked for in the engine's folder, then where Docker has it: `~/.config/docker` and `/etc/docker`; the first one
counts. What else stands in it is not for registries. Certificates are in Docker's places too:
`/etc/docker/certs.d/HOST[:PORT]/`, `*.crt` those to believe, `*.cert` and `*.key` those to show.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minidocker.content import parse_json
from minidocker.errors import InvalidArgument
from minidocker.reference import HUB

HUB_HOST = "registry-1.docker.io"
TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True)
class Endpoint:
    """Where a registry is spoken to: `name` as in image names, `host` with its port."""

    name: str
    scheme: str
    host: str
    verify: bool = True
    mirror: bool = False
    prefix: str = ""  # of a mirror that is not at the root of its server

    @property
    def url(self) -> str:
        """`https://registry-1.docker.io`."""
        return f"{self.scheme}://{self.host}{self.prefix}"


@dataclass(frozen=True)
class Settings:
    """What daemon.json says of registries."""

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    downloads: int = 3
    uploads: int = 5
    attempts: int = 5
    timeout: float = TIMEOUT
    pause: float = 0.5  # seconds before the second attempt; each one after waits twice as long

    @classmethod
    def read(cls, root: Path) -> Settings:
        """The settings of an engine. Raises InvalidArgument where the file is not what it should be."""
        for path in places(root):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            return cls.of(parse_json(data, str(path)), str(path))
        return cls()

    @classmethod
    def of(cls, value: dict[str, Any], where: str) -> Settings:
        """The settings in a daemon.json. Raises InvalidArgument."""
        mirrors, insecure = (_texts(value, key, where) for key in ("registry-mirrors", "insecure-registries"))
        for mirror in mirrors:
            check_mirror(mirror, where)
        downloads = _number(value, "max-concurrent-downloads", 3, where)
        uploads = _number(value, "max-concurrent-uploads", 5, where)
        return cls(mirrors, insecure, downloads, uploads, _number(value, "max-download-attempts", 5, where))

    def endpoints(self, domain: str, mirrors: bool = True) -> list[Endpoint]:
        """Where to ask for images of a registry, the first choice first."""
        found = [self._mirror(mirror) for mirror in self.mirrors] if mirrors and domain == HUB else []
        return found + self._registry(domain, HUB_HOST if domain == HUB else domain)

    def _mirror(self, url: str) -> Endpoint:
        parts = urlsplit(url)
        verify = not self.is_insecure(parts.netloc)
        return Endpoint(parts.netloc, parts.scheme, parts.netloc, verify, True, parts.path.rstrip("/"))

    def _registry(self, name: str, host: str) -> list[Endpoint]:
        if not self.is_insecure(host):
            return [Endpoint(name, "https", host)]
        return [Endpoint(name, "https", host, False), Endpoint(name, "http", host, False)]

    def is_insecure(self, host: str) -> bool:
        """Whether a registry may have a certificate of its own making, or none: loopback may, as with Docker."""
        name = urlsplit(f"//{host}").hostname or ""
        if host in self.insecure or name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self.insecure
        return address.is_loopback or any(address in network for network in map(_network, self.insecure) if network)


def places(root: Path) -> list[Path]:
    """Where daemon.json may be."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "docker"
    return [folder / "daemon.json" for folder in (root, own, Path("/etc/docker"))]


def certificates(host: str) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """The certificates to believe of a registry, and those (with their keys) to show it. Raises InvalidArgument."""
    believed: list[Path] = []
    shown: list[tuple[Path, Path]] = []
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "docker"
    for folder in (own / "certs.d" / host, Path("/etc/docker/certs.d") / host):
        if not folder.is_dir():
            continue
        believed += sorted(folder.glob("*.crt"))
        for path in sorted(folder.glob("*.cert")):
            key = path.with_suffix(".key")
            if not key.exists():
                raise InvalidArgument(f"missing key {key.name} for client certificate {path.name} in {folder}")
            shown.append((path, key))
    return believed, shown


def check_mirror(url: str, where: str) -> None:
    """Refuse what cannot be a mirror."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidArgument(f"{where}: invalid mirror: {url!r}: http:// or https:// and a host are expected")
    if parts.query or parts.fragment or parts.username is not None:
        raise InvalidArgument(f"{where}: invalid mirror: {parts.hostname}: only a host and a path are expected")


def _texts(value: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    found = value.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InvalidArgument(f"{where}: {key} must be a list of strings")
    return tuple(found)


def _number(value: dict[str, Any], key: str, usual: int, where: str) -> int:
    number = value.get(key, usual)
    if type(number) is not int or not 0 < number <= 100:
        raise InvalidArgument(f"{where}: {key} must be a number from 1 to 100")
    return number


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
