"""A forecast: what a build would take from the cache, what it would build and why, before anything is built.

A step's key is the digest of facts, and after a miss the next key is known too, as it names the step above and not its
result. So the whole Dockerfile can be followed without running any of it, and nothing is written. One thing cannot be
known: a `COPY --from` of a stage that would be built again may take the same files as last time, or others. Such a
step `depends`, and so does what lies below it.

    >>> Decision(False, "depends on what stage build makes this time", "sha256:…", depends=True).word
    'depends'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from minidocker.build.builder import Builder, discard
from minidocker.build.cache import Cache, Decision, Facts, Record, key_of, listing_digest
from minidocker.build.cachefrom import CacheSource
from minidocker.build.config import DEFAULT_PATH
from minidocker.build.copying import Chosen, Source
from minidocker.build.gitref import COMMIT, parse, redacted
from minidocker.build.making import Make
from minidocker.build.mounts import Placed
from minidocker.build.plan import Lane, lanes
from minidocker.build.remotes import Remote, Remotes
from minidocker.build.stage import StageBuild
from minidocker.build.step import Build
from minidocker.build.telling import Event, Teller
from minidocker.content import Store
from minidocker.dockerfile import Instruction, Stage
from minidocker.image import Image, Layer
from minidocker.images import Images
from minidocker.layer import Changeset


class Unknown(Exception):
    """What only shows when it is made, or asked for."""


@dataclass
class Forecast(Build):
    """What a build would do: its steps with their decisions, but no image and no new layers.

    The `seconds` of a step are those that it took when it was built last, 0 where it never was. `lanes` are the stages
    that are needed, and what goes on side by side.
    """

    lanes: tuple[Lane, ...] = ()

    @property
    def saved(self) -> float:
        """The seconds that the cache saves."""
        return sum(step.seconds for step in self.steps if step.decision.hit)

    @property
    def cost(self) -> float:
        """The seconds that it took the last time to build what would be built, or may have to be, again."""
        return sum(step.seconds for step in self.steps if not step.decision.hit)

    @property
    def seconds(self) -> float:
        """The same, where stages go on side by side."""
        return max((lane.ends for lane in self.lanes), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        steps = [
            {
                "number": step.number,
                "stage": next(lane.name for lane in self.lanes if lane.first <= step.number <= lane.last),
                "line": step.line,
                "instruction": step.text,
                "decision": step.decision.word,
                "reason": step.decision.reason,
                "seconds": round(step.seconds, 6),
            }
            for step in self.steps
        ]
        unused = [stage.title for stage in self.stages if not stage.used]
        sums = {name: round(getattr(self, name), 6) for name in ("saved", "cost", "seconds")}
        return {"steps": steps, "stages": [asdict(lane) for lane in self.lanes], "unused": unused, **sums}

    def __repr__(self) -> str:
        words = [step.decision.word for step in self.steps]
        tally = ", ".join(f"{words.count(word)} {word}" for word in ("hit", "miss", "depends") if word in words)
        return f"<Forecast: {len(words)} steps: {tally}>"


class Planned(Layer):
    """A layer that would be made. COPY and WORKDIR can be computed; what a RUN changes, nobody knows before."""

    def __init__(self, store: Store, text: str, known: Changeset | None) -> None:
        self.store, self.created_by, self.diff_id, self.below, self.known = store, text, "", (), known

    @property
    def changes(self) -> Changeset:
        """What it changes. Raises Unknown."""
        if self.known is None:
            raise Unknown
        return self.known


class Unmade(Image):
    """One of this course's base images that is not here yet: the build would make it first."""

    def __init__(self, images: Images, name: str) -> None:
        self.images, self.store, self.id = images, images.store, f"{name}, not made yet"
        self.raw = {"config": {"Env": [f"PATH={DEFAULT_PATH}"]}, "rootfs": {"diff_ids": [self.id]}}
        self.layers = [Planned(images.store, name, None)]


class Peek(Cache):
    """The cache, looked at: what a build would write into it is kept in memory."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.aliases: dict[str, str] = {}
        self.listings: dict[str, Mapping[str, str]] = {}

    def fetch(self, source: CacheSource, key: str) -> Record | None:
        """A record that the build would take from elsewhere."""
        return source.find(key)

    def used(self, key: str) -> None:
        """Looking is not using."""

    def add(self, record: Record, text: str) -> None:
        """Nothing is built."""

    def alias(self, key: str, other: str = "") -> str:
        """The key that a cheaper one stands for, or would."""
        if other:
            self.aliases[key] = other
        return self.aliases.get(key) or super().alias(key)

    def put_files(self, files: Mapping[str, str]) -> str:
        """The digest of a listing."""
        digest = listing_digest(files)
        self.listings[digest] = files
        return digest

    def files(self, digest: str) -> dict[str, str]:
        """The listing of a digest."""
        return dict(self.listings[digest]) if digest in self.listings else super().files(digest)

    @cached_property
    def parents(self) -> frozenset[str]:
        """The keys on which anything was ever built."""
        texts = [path.read_text(errors="replace") for path in (self.root / "steps").glob("*.json")]
        there = [record["facts"].get("parent", "") for source in self.sources for record in source.records.values()]
        return frozenset([key for text in texts for key in re.findall(r'"parent": "([^"]*)"', text)] + there)


class Foreteller(Teller):
    """Tells of steps that were not carried out. `seconds` is what the one that goes on took when it was built last."""

    def __init__(self, on_event: object) -> None:
        super().__init__(on_event)  # type: ignore[arg-type]
        self.build: Forecast = Forecast()
        self.seconds = 0.0

    def hear(self, event: Event) -> None:
        """Keep an event, and hand it on; a step without the layer that it has not made."""
        if step := event.get("step"):
            layer = None if isinstance(step.layer, Planned) else step.layer
            event, self.seconds = {"step": replace(step, layer=layer, seconds=self.seconds)}, 0.0
        super().hear(event)


class StageForecast(StageBuild):
    """A stage that is only looked at."""

    build: Forecaster
    cache: Peek
    tell: Foreteller
    doubt = ""  # what the step that goes on depends on

    def compare(self, missed: int, key: str) -> Decision:
        """Whether a FROM stands on what it stood on the last time, if that can be known."""
        base, first = self.stage.base_image(self.graph.args), not self.trail.before.get(self.label)
        doubts = self.build.doubts
        doubt = doubts.get(key)
        made = self.graph.base(self.stage) is None and self.build.is_promised(base)
        if made and (self.cache.parents or not first):
            doubt, doubts[key] = f"depends on {base}, which is made first", f"depends on step {self.number}"
        decision = super().compare(missed, key)
        return Decision(False, doubt, key, depends=True) if doubt and not first else decision

    def step(self, written: Instruction) -> Decision:
        """Follow one instruction. What is below a doubt is in doubt."""
        doubts = self.build.doubts
        self.doubt = doubts.get(self.draft.said, "")
        decision = super().step(written)
        if doubt := self.doubt or doubts.get(decision.key):
            doubts[self.draft.said] = doubt
        return decision

    def gather(self, one: Instruction, source: Source) -> tuple[Chosen, str]:
        """What a COPY takes; of a stage that has to run first, and of a URL, that is a doubt."""
        try:
            return super().gather(one, source)
        except Unknown as unknown:
            stage, name = self.graph.source(one), str(one.flags.get("from"))
            return [], self.in_doubt(source.key or str(unknown), str(unknown) or made(stage, name))

    def shown(self, placed: list[Placed]) -> str:
        """What mounts show; of a stage that has to run first, that is a doubt."""
        try:
            return super().shown(placed)
        except Unknown:
            keys = [each.source.key for each in placed if each.source]
            name = next(each.spec.origin for each in placed if each.source and not known(each))
            return self.in_doubt(" ".join(keys), made(self.graph.named(name), name))

    def in_doubt(self, what: str, why: str) -> str:
        """A name for files that nobody can know yet."""
        doubt = f"some files of {what}"
        self.build.doubts[doubt] = f"depends on {why}"
        return doubt

    def decide(self, one: Instruction, facts: Facts, missed: int) -> tuple[Decision, Record | None]:
        """Ask the cache, if it can be known what to ask."""
        decision, record = super().decide(one, facts, missed)
        again = self.trail.again(self.label)
        last = record or (self.cache.find(key_of(again.facts))[0] if again else None)
        self.tell.seconds = last.seconds if last else 0.0
        doubt = self.build.doubts.get(facts.get("files", "")) or self.doubt
        if not doubt or decision.hit or self.options.no_cache or self.certain(facts, missed):
            return decision, record
        self.build.doubts[decision.key] = self.doubt or f"depends on step {self.number}"
        return Decision(False, doubt, decision.key, depends=True), None

    def certain(self, facts: Facts, missed: int) -> bool:
        """Whether a step has to miss whatever it copies, as nothing was ever built on its parent."""
        first = not self.trail.before.get(self.label)
        return not self.doubt and bool(missed or first) and facts["parent"] not in self.cache.parents

    def make(self, one: Instruction, facts: Facts, text: str, make: Make) -> Record:
        """Plan a layer: computed where that takes no program, no archive and nothing unknown."""
        record, planned = self.remember(one, facts), self.build.planned
        planned[record.key] = None
        if one.keyword in ("COPY", "FROM", "WORKDIR") and facts.get("files") not in self.build.doubts:
            try:
                with make() as changes:
                    planned[record.key] = changes
            except Unknown:
                pass
        return record

    def stored(self, record: Record, text: str) -> Layer:
        """A record's layer, if only a planned one."""
        elsewhere = record.layer is not None and not self.build.store.has(record.layer.digest)
        if record.key in self.build.planned or elsewhere:
            return Planned(self.build.store, text, self.build.planned.get(record.key))
        return super().stored(record, text)


class Unasked(Remotes):
    """Remote sources that nobody asks: known are a file whose `--checksum` is given, and a commit that is named."""

    def ask(self, source: str, checksum: str = "", keep: bool | None = None) -> Remote:
        """What the source gives, if that is known. Raises Unknown."""
        git = parse(source)
        if not (COMMIT.fullmatch(git.ref) if git else checksum):
            raise Unknown(f"what {git.shown if git else redacted(source)} gives this time")
        return super().ask(source, checksum, keep)


def made(stage: Stage | None, name: str) -> str:
    """What has to be made first: a stage again, or one of this course's own images."""
    return f"what stage {name} makes this time" if stage else f"{name}, which is made first"


def known(each: Placed) -> bool:
    """Whether it can be known what a mount shows."""
    try:
        return bool(each.files()) or True
    except Unknown:
        return False


class Forecaster(Builder):
    """A builder that only looks. `doubts` has the keys that nobody can know yet, each with what it depends on."""

    memory, teller, worker, remote = Peek, Foreteller, StageForecast, Unasked
    tell: Foreteller

    def build(self) -> Forecast:
        """Follow the Dockerfile. Raises what the build would raise, as far as that shows before anything runs."""
        self.doubts: dict[str, str] = {}
        self.planned: dict[str, Changeset | None] = {}
        try:
            with self.telling():
                stages = self.plan()
                for stage in stages:
                    self.draft(stage)
                self.tell.build.lanes = lanes(self.graph, stages, self.tell.build.steps)
                self.warn()
        finally:
            discard(self.scratch)
        return self.tell.build

    def find(self, name: str, one: Instruction) -> Image:
        """An image of the store, or the promise of one of this course's own bases."""
        return Unmade(self.images, name) if self.is_promised(name) else super().find(name, one)

    def fetched(self, name: str) -> Image:
        """An image that is here: a plan pulls none."""
        return self.images.get(name) if self.images.find(name) else Images.fetch(self.images, name)

    def is_promised(self, name: str) -> bool:
        """Whether the build would have to make an image, or take it out of a layout, first."""
        return self.contexts.is_layout(name) or self.images.makes(self.meant(name))
