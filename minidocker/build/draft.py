"""An image in the making: what a stage has become so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from minidocker.build.config import DEFAULT_PATH, environment
from minidocker.image import Image, Layer
from minidocker.layer import view
from minidocker.tree import Tree

DROPPED = ("rootfs", "history", "config", "created", "container", "container_config", "docker_version", "id", "parent")
CACHES = ("minidocker.cache.v0", "moby.buildkit.cache.v0")  # of the base's own build


@dataclass
class Draft:
    """An image in the making. `key` names its file system, `said` all of its instructions, for the cache.

    `missed` and `unsaid` are the numbers of the last steps that changed the one and the other (0: none did). `env` is
    what a program of the build sees: the image's variables and the build arguments; `args` are those declared here.
    """

    raw: dict[str, Any]
    config: dict[str, Any]
    env: dict[str, str]
    layers: list[Layer] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    key: str = ""
    said: str = ""
    missed: int = 0
    unsaid: int = 0
    own_cmd: bool = False  # this stage has a CMD: a later ENTRYPOINT keeps it

    @classmethod
    def scratch(cls) -> Draft:
        """`FROM scratch`: no files, and BuildKit's two defaults."""
        path = {"PATH": DEFAULT_PATH}
        return cls({}, {"Env": [f"PATH={DEFAULT_PATH}"], "WorkingDir": "/"}, path)

    @classmethod
    def on(cls, image: Image) -> Draft:
        """`FROM image`: its layers, configuration and history; a PATH where it has none."""
        raw = {key: value for key, value in image.raw.items() if key not in (*DROPPED, *CACHES)}
        env = environment(image.config)
        env.setdefault("PATH", DEFAULT_PATH)
        config = {**image.config, "Env": [f"{name}={value}" for name, value in env.items()]}
        return cls(raw, config, env, list(image.layers), _history(image))

    def copy(self) -> Draft:
        """The draft as it is now, whatever becomes of this one."""
        return replace(
            self,
            raw=dict(self.raw),
            config=dict(self.config),
            env=dict(self.env),
            layers=list(self.layers),
            history=list(self.history),
            args=list(self.args),
        )

    def branch(self) -> Draft:
        """`FROM stage`: it inherits all, the values of build arguments too, but declares its own ARGs."""
        return replace(self.copy(), args=[], own_cmd=False)

    def tree(self) -> Tree:
        """The file system so far."""
        return view(tuple(layer.changes for layer in self.layers))


def _history(image: Image) -> list[dict[str, Any]]:
    """The history of a base; an image that says nothing of a layer gets a line for it, since each must have one."""
    history = [dict(line) for line in image.raw.get("history") or []]
    missing = len(image.layers) - sum(not line.get("empty_layer") for line in history)
    created = {"created": image.raw["created"]} if image.raw.get("created") else {}
    return [{**created, "created_by": ""} for _ in range(missing)] + history
