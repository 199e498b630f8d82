"""Platforms: `linux/arm64`, `linux/arm/v7`; the names that people use for them, and the arguments that a build sees.

>>> str(Platform.parse("linux/aarch64")), str(Platform.parse("arm")), Platform.parse("linux/arm/v6").variant
('linux/arm64', 'linux/arm/v7', 'v6')
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from minidocker.errors import InvalidArgument
from minidocker.manifest import architecture

PART = re.compile(r"[A-Za-z0-9_.-]+")
SYSTEMS = ("linux", "windows", "darwin", "freebsd", "wasip1")  # those that a platform may be named after alone
ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "i386": ("386", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
IMPLIED = {("arm64", "v8"): "", ("arm64", "8"): "", ("amd64", "v1"): "", ("arm", ""): "v7"}


class Platform(NamedTuple):
    """What an image is for."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read and normalise; "" is this machine's, and so is the part that is not named. Raises InvalidArgument."""
        parts = text.lower().split("/") if text else ["linux"]
        if len(parts) > 3 or not all(PART.fullmatch(part) for part in parts):
            raise InvalidArgument(f'"{text}" is an invalid platform: os/architecture[/variant] is expected')
        if len(parts) == 1:
            parts = [parts[0], architecture()] if parts[0] in SYSTEMS else ["linux", parts[0]]
        arch, variant = ALIASES.get(parts[1], (parts[1], ""))
        variant = parts[2] if len(parts) > 2 else variant
        if variant.isdecimal():
            variant = f"v{variant}"
        return cls(parts[0], arch, IMPLIED.get((arch, variant), variant))

    @property
    def config(self) -> dict[str, str]:
        """The fields that it takes in a configuration, and in an index."""
        return {"architecture": self.architecture, "os": self.os} | ({"variant": self.variant} if self.variant else {})

    def __str__(self) -> str:
        return "/".join(part for part in self if part)

    @classmethod
    def of(cls, value: Any) -> Platform | None:
        """The platform in an index or a configuration, normalised; None where there is none."""
        if not isinstance(value, dict):
            return None
        parts = [str(value.get(key) or "") for key in ("os", "architecture", "variant")]
        try:
            return cls.parse("/".join(parts).rstrip("/")) if parts[0] and parts[1] else None
        except InvalidArgument:
            return None

    def runs(self) -> list[Platform]:
        """What runs on it, the best first, as containerd has it: older variants too, and 386 on amd64.

        >>> [str(one) for one in Platform.parse("linux/arm/v7").runs()]
        ['linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5']
        """
        number = int(self.variant[1:]) if re.fullmatch(r"v[0-9]", self.variant) else 0
        if self.architecture == "amd64":
            older = [f"{self.os}/amd64/v{n}" for n in range(number - 1, 0, -1)] + [f"{self.os}/386"]
        elif self.architecture == "arm":
            older = [f"{self.os}/arm/v{n}" for n in range(number - 1, 4, -1)]
        elif self.architecture == "arm64":
            older = [f"{self.os}/arm64/v8"] * (number > 8) + [f"{self.os}/arm/v{n}" for n in range(8, 4, -1)]
        else:
            older = []
        return [self, *map(Platform.parse, older)]


def platform_args(platform: str = "") -> dict[str, str]:
    """The build arguments that the builder sets by itself: TARGETPLATFORM, BUILDARCH…

    >>> platform_args("linux/arm/v7")["TARGETVARIANT"]
    'v7'
    """
    found: dict[str, str] = {}
    for side, one in (("BUILD", Platform.parse("")), ("TARGET", Platform.parse(platform))):
        parts = {"PLATFORM": str(one), "OS": one.os, "ARCH": one.architecture, "VARIANT": one.variant}
        found |= {side + name: value for name, value in parts.items()}
    return found
