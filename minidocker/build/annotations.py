"""Annotations: notes in a manifest or an index, beside the labels in the configuration, and no part of the image id.

`--annotation KEY=VALUE` is for the manifest; before the key may stand which others are meant, and for which platform:
`index,manifest[linux/arm64]:KEY=VALUE`. In an output the same is `annotation.KEY=…`, `annotation-index.KEY=…`.

    >>> Notes.parse(["a=1", "index:b=2"]).of("index")
    {'b': '2'}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from minidocker.errors import InvalidArgument
from minidocker.platforms import Platform

KINDS = ("manifest", "manifest-descriptor", "index", "index-descriptor")
PLACE = re.compile(r"([a-z-]*)(?:\[([A-Za-z0-9_/-]+)\])?")
OPTION = re.compile(r"annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(.+)")


class Note(NamedTuple):
    """One annotation of a kind of thing, for one platform or for all (None)."""

    kind: str
    platform: Platform | None
    key: str
    value: str


class Notes(NamedTuple):
    """What is to be noted where."""

    notes: tuple[Note, ...] = ()

    @classmethod
    def parse(cls, given: Sequence[str]) -> Notes:
        """Read `--annotation`s. Raises InvalidArgument."""
        return cls(tuple(note for text in given for note in _notes(text)))

    @classmethod
    def of_options(cls, options: Mapping[str, str]) -> Notes:
        """Those among the options of an output. Raises InvalidArgument."""
        found = []
        for name, value in options.items():
            if not name.startswith("annotation"):
                continue
            match = OPTION.fullmatch(name)
            if match is None:
                raise InvalidArgument(f"invalid annotation {name}: annotation.KEY=VALUE is expected")
            found.append(_note(match[1] or "manifest", match[2], match[3], value))
        return cls(tuple(found))

    def joined(self, others: Notes) -> Notes:
        """These, and others that count for more."""
        return Notes((*self.notes, *others.notes))

    def of(self, kind: str, platform: Platform | None = None) -> dict[str, str]:
        """What is to be noted in such a thing."""
        wanted = (None, platform)
        return {n.key: n.value for n in self.notes if n.kind == kind and (n.platform in wanted or platform is None)}

    def check(self, indexed: bool, written: bool) -> None:
        """Refuse what would go nowhere: notes of an index where there is none, or where nothing is `written`."""
        for kind in KINDS[1:]:
            if self.of(kind) and kind.startswith("index") and not indexed:
                raise InvalidArgument(f"{kind} annotations not supported for single platform export")
            if self.of(kind) and not written:
                raise InvalidArgument(f"{kind} annotations need an output that has one: type=oci,dest=FILE")


def _notes(text: str) -> Iterator[Note]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidArgument(f"invalid annotation {text!r}, expected key=value")
    places, colon, name = key.partition(":")
    for place in places.split(",") if colon else [""]:
        match = PLACE.fullmatch(place)
        if match is None:
            wanted = "expected type and optional platform in square brackets"
            raise InvalidArgument(f"invalid annotation type {place!r}, {wanted}")
        yield _note(match[1] or "manifest", match[2], name if colon else key, value)


def _note(kind: str, platform: str | None, key: str, value: str) -> Note:
    if kind not in KINDS:
        raise InvalidArgument(f"unknown annotation type {kind!r}")
    return Note(kind, Platform.parse(platform) if platform else None, key, value)
