"""What pushes and pulls remember: which repositories have a blob, and what a layer became when it was compressed.

    cache/registry.json   {"places": {"sha256:…": ["127.0.0.1:5000/app"]}, "packed": {"<diff id>": {descriptor}}}

From it comes that a second push asks whether a layer is there without compressing it again, and that a blob which
another repository of the same registry has is mounted and not sent. It may be wrong, or gone: that costs time only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minidocker.content import Descriptor, Store, read_json, write_json
from minidocker.errors import InvalidArgument

if TYPE_CHECKING:
    from minidocker.registry.client import Repository

MAX_PLACES = 5  # repositories of a blob
MAX_NOTES = 5000


class Known:
    """The notes of one store."""

    def __init__(self, store: Store) -> None:
        self.store, self.path = store, store.root / "cache" / "registry.json"

    def read(self) -> dict[str, dict[str, Any]]:
        """All of it, as far as it makes sense."""
        try:
            value = read_json(self.path)
            return {key: value[key] if isinstance(value[key], dict) else {} for key in ("places", "packed")}
        except (OSError, ValueError, KeyError, TypeError):
            return {"places": {}, "packed": {}}

    def elsewhere(self, repository: Repository, digest: str) -> list[str]:
        """The other repositories of a registry that had a blob, the last one first."""
        places, prefix = self.read()["places"].get(digest), f"{repository.endpoint.name}/"
        if not isinstance(places, list):
            return []
        found = [one.removeprefix(prefix) for one in places if isinstance(one, str) and one.startswith(prefix)]
        return [path for path in found if path != repository.path][::-1]

    def packed(self, diff_id: str) -> Descriptor | None:
        """What a layer became when it was compressed for a push."""
        with suppress(InvalidArgument):
            return Descriptor.from_json(self.read()["packed"].get(diff_id))
        return None

    def note(self, repository: Repository, digests: Iterable[str], packed: Mapping[str, Descriptor]) -> None:
        """A repository has these blobs."""
        here = f"{repository.endpoint.name}/{repository.path}"
        with self.store.lock(), suppress(OSError):
            value = self.read()
            for digest in digests:
                old = [one for one in value["places"].pop(digest, []) if one != here]
                value["places"][digest] = [*old, here][-MAX_PLACES:]
            for diff_id, blob in packed.items():
                value["packed"].pop(diff_id, None)
                value["packed"][diff_id] = blob.to_json()
            value = {key: dict(list(notes.items())[-MAX_NOTES:]) for key, notes in value.items()}
            self.path.parent.mkdir(exist_ok=True)
            write_json(self.path, value, sync=False)
