"""What the build cache still knows of an image: the lines that made it, what each took, what the last builds changed.

A layer is known by its digest, a build by its trail (`minidocker.build.cache`). Nothing is known of an image that was
loaded, nor of one whose trail is gone; then all of this is empty.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minidocker.build.cache import Cache, Record, Row, Trail, key_of

if TYPE_CHECKING:
    from minidocker.image import Image

Runs = list[list[Row]]  # the last builds of one stage, the latest first


@dataclass
class Recall:
    """What is known: of each layer (1 is the lowest) the step that made it; of lines without one, the numbers.

    `base` is the FROM as written, `base_id` the image that it was then; `runs` are the last builds of the stage.
    """

    cache: Cache
    base: str = ""
    base_id: str = ""
    base_layers: int = 0
    layers: dict[int, tuple[Row, Record]] = field(default_factory=dict)
    others: dict[str, list[int]] = field(default_factory=dict)
    runs: Runs = field(default_factory=list)

    @property
    def told(self) -> int:
        """How many layers are accounted for."""
        return self.base_layers + sum(layer > self.base_layers for layer in self.layers)

    def about(self, layer: int, created_by: str) -> dict[str, Any]:
        """The Dockerfile's line of an entry of the history, and the seconds that it took; each entry is asked once."""
        if layer in self.layers:
            row, record = self.layers[layer]
            return {"line": row.line, "seconds": record.seconds}
        lines = self.others.get(created_by)
        return {"line": lines.pop(0)} if lines and not layer else {}

    def record(self, row: Row) -> Record | None:
        """What came of a step of a build, if its layer is still here."""
        return self.cache.find(key_of(row.facts))[0]


def recall(image: Image) -> Recall:
    """What the cache of its store knows of an image: the Dockerfile that tells most of its layers, and says how."""
    cache, best = Cache(image.store), Recall(Cache(image.store))
    numbers: dict[str, list[int]] = {}
    for number, layer in enumerate(image.layers, 1):
        numbers.setdefault(layer.descriptor.digest, []).append(number)
    for path in sorted((cache.root / "builds").glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            trail = cache.last(str(json.loads(path.read_bytes())["origin"]))
            best = max(best, _told(cache, image, trail, numbers), key=lambda one: (one.told, one.base_layers))
    return best


def _told(cache: Cache, image: Image, trail: Trail, numbers: dict[str, list[int]]) -> Recall:
    """What the last builds of one Dockerfile tell; of each stage the build that made most of the image."""
    found = Recall(cache)
    for runs in trail.before.values():
        made = [_made(found, run, numbers) for run in runs]
        index = max(range(len(runs)), key=lambda index: (len(made[index]), -index))
        _base(found, image, runs[index])
        if made[index] and max(made[index]) > max(found.layers, default=0):
            found.runs = runs[index:]
        found.layers = made[index] | found.layers
        for row in runs[index] if made[index] else ():
            if "instruction" in row.facts:
                found.others.setdefault(str(row.facts["instruction"]), []).append(row.line)
    return found


def _made(found: Recall, run: list[Row], numbers: dict[str, list[int]]) -> dict[int, tuple[Row, Record]]:
    """Which layers the steps of one build made."""
    left = {digest: list(layers) for digest, layers in numbers.items()}
    made = {}
    for row in run:
        record = found.record(row) if "instruction" not in row.facts else None
        if record and record.layer and (layers := left.get(record.layer.digest)):
            made[layers.pop(0)] = row, record
    return made


def _base(found: Recall, image: Image, run: list[Row]) -> None:
    """What a build stood on, if the image does."""
    facts = run[0].facts
    layers = facts.get("layers") or []
    if facts.get("id") and image.diff_ids[: len(layers)] == layers and len(layers) > found.base_layers:
        found.base, found.base_id, found.base_layers = str(facts.get("image")), str(facts["id"]), len(layers)
