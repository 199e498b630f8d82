"""What a build leaves behind to look at: its steps, each with the decision of the cache, and the stages as a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from minidocker.build.cache import Cache, Decision, Facts
from minidocker.build.contexts import Contexts
from minidocker.build.draft import Draft
from minidocker.build.run import Around
from minidocker.dockerfile import Dockerfile
from minidocker.dockerfile.lint import LintWarning
from minidocker.drawn import Drawn
from minidocker.image import Image, Layer


@dataclass(frozen=True)
class Options:
    """What `docker build` was asked for. `epoch` is SOURCE_DATE_EPOCH: then every time in the image is that one.

    `secrets` holds them by id, `ssh` the sockets of agents by id; `around` gives further fields of the `Box` of each
    RUN while it runs, whose output and errors are told `apart`.
    """

    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    network: str = "default"
    platform: str = ""
    epoch: int | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()
    inline_cache: bool = False
    contexts: Contexts = field(default_factory=Contexts)
    no_cache_filter: tuple[str, ...] = ()  # stages
    pull: bool = False
    around: Around = nullcontext
    apart: bool = False


@dataclass(frozen=True)
class Step:
    """One instruction that was carried out: what came of it, and whether from the cache.

    `number` of `total`; `text` and `line` are the Dockerfile's; `layer` is None where none was made; `history` is the
    entry in the image; `config_changes` what became different in the configuration, key -> (before, after). `facts`
    are what the cache was asked with. `after` is the image in the making as the step left it: its files, its
    configuration, the variables that the next step sees; of all that a later step changes nothing. `needs` are the
    last steps of the stages that it had to wait for; it `began` so many seconds after the build.
    """

    number: int
    total: int
    stage: str
    text: str
    line: int
    decision: Decision
    layer: Layer | None
    history: Mapping[str, Any]
    seconds: float
    config_changes: Mapping[str, tuple[Any, Any]]
    facts: Facts
    after: Draft
    needs: tuple[int, ...] = ()
    began: float = 0.0

    @property
    def files(self) -> dict[str, str]:
        """What a COPY or ADD took: path -> kind, mode, owner and digest. Empty when the cache was pruned."""
        if self.layer is None or "files" not in self.facts:
            return {}
        return Cache(self.layer.store).files(self.facts["files"])

    def __repr__(self) -> str:
        return f"<Step {self.number}/{self.total}: {self.text!r} {self.decision.reason}>"


@dataclass(frozen=True)
class StageNode:
    """A stage in the graph: what it is based on and copies from , and whether it was needed."""

    index: int
    name: str
    base: str
    copies: tuple[str, ...]
    used: bool

    @property
    def title(self) -> str:
        """Its name, or `stage-0` and so on."""
        return self.name or f"stage-{self.index}"


@dataclass
class Build(Drawn):
    """A build: the image, the steps, the stages. Iterating gives the events, as the log that Docker's SDK returns.

    `dockerfile` is what was built, `args` the build arguments that its FROM lines see, `options` what was asked for,
    `bases` the images that it took anything from, `began` and `ended` when (ns),
    `platforms` the image of each platform, `warnings` what Docker warns
    about in it.
    """

    image: Image | None = None
    steps: list[Step] = field(default_factory=list)
    stages: list[StageNode] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    dockerfile: Dockerfile | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    options: Options | None = None
    bases: Mapping[str, Image] = field(default_factory=dict)
    began: int = 0
    ended: int = 0
    platforms: Mapping[str, Image] = field(default_factory=dict)
    warnings: list[LintWarning] = field(default_factory=list)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.events)

    @property
    def log(self) -> str:
        """What the terminal shows."""
        return "".join(event["stream"] for event in self.events if "stream" in event)

    def __repr__(self) -> str:
        hits = sum(step.decision.hit for step in self.steps)
        made = self.image.short_id if self.image else "failed"
        return f"<Build: {made}, {len(self.steps)} steps, {hits} from the cache>"
