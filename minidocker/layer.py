"""A layer: the change between two file trees.

The OCI image specification calls it a *changeset*: what was added or modified, in full, and a *whiteout* for what
was removed. Three pure functions carry all of Docker's layering:

    diff(lower, upper) -> layer        what `docker commit` and each build step record
    merge(lower, layer, …) -> tree     what a container sees
    stack(layer, layer) -> layer       two changes as one, which is what `--squash` does

    >>> base = Tree({"/etc/motd": file(b"hello"), "/tmp/junk": file(b"x" * 9)})
    >>> now = Tree({"/etc/motd": file(b"changed"), "/tmp": directory()})
    >>> layer = diff(base, now)
    >>> [(path, entry.kind) for path, entry in layer.items()]
    [('/etc', 'dir'), ('/etc/motd', 'file'), ('/tmp', 'dir'), ('/tmp/junk', 'whiteout')]
    >>> merge(base, layer) == now
    True

On the wire a layer is a tar (`minidocker.layertar`), named by its digest, the *diff id*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property, reduce

from minidocker.tree import Entry, Tree, clean, directory, file, link_groups, parents, relink, slice_below

__all__ = ["WHITEOUT", "Changeset", "chain_ids", "diff", "directory", "file", "merge", "settle", "stack", "view"]

WHITEOUT = Entry("whiteout", 0)


class Changeset(Mapping[str, Entry]):
    """The entries of one layer: path -> `Entry` (or `WHITEOUT`), and the directories that are `opaque`.

    An opaque directory hides everything that lower layers have below it. A parent that is not listed is implied:
    it stays as the lower layers have it, or becomes a plain directory.

    >>> Changeset({"/a/b": file(b"hi"), "/old": WHITEOUT})
    Changeset(1 entries, 1 whiteouts, 0 opaque, 2 bytes)
    """

    def __init__(
        self, entries: Mapping[str, Entry] | None = None, opaque: frozenset[str] | set[str] = frozenset()
    ) -> None:
        found = relink({clean(path): entry for path, entry in (entries or {}).items()})
        self._entries = {path: found[path] for path in sorted(found)}
        self.opaque = frozenset(opaque)

    @cached_property
    def paths(self) -> list[str]:
        """All paths, sorted: parents come before what lies in them."""
        return list(self._entries)

    def items(self) -> ItemsView[str, Entry]:
        """Paths with their entries, sorted by path."""
        return self._entries.items()

    @property
    def size(self) -> int:
        """Bytes of file content, each hard-linked file counted once."""
        return sum(entry.size for path, entry in self._entries.items() if entry.link in ("", path))

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Changeset) and self._entries == other._entries and self.opaque == other.opaque

    def __hash__(self) -> int:
        return hash((len(self), self.opaque))

    def __repr__(self) -> str:
        gone = sum(entry.kind == "whiteout" for entry in self._entries.values())
        return f"Changeset({len(self) - gone} entries, {gone} whiteouts, {len(self.opaque)} opaque, {self.size} bytes)"


def diff(lower: Tree, upper: Tree, among: set[str] | None = None) -> Changeset:
    """The layer that turns `lower` into `upper`: `merge(lower, diff(lower, upper)) == upper`.

    The result is canonical, so that equal changes have equal digests: removals are explicit whiteouts (never opaque
    directories), every parent of a change is listed but `/`, and a hard-linked file comes with all of its names.
    `among` are the only paths that can have changed, for who knows them.
    """
    changed = {
        path
        for path in (upper.keys() if among is None else among)
        if path in upper and lower.get(path) is not upper[path] and not _same(lower.get(path), upper[path])
    }
    changed |= _regrouped(lower, upper, changed)
    gone = {
        path
        for path in (lower.keys() if among is None else among & lower.keys())
        if path not in upper and (up := next(parents(path))) in upper and upper[up].is_dir and lower[up].is_dir
    }
    above = {up for path in changed | gone for up in parents(path) if up != "/"}
    entries = {path: upper[path] for path in changed | above}
    return Changeset(entries | dict.fromkeys(gone, WHITEOUT))


def settle(lower: Tree, layer: Changeset) -> Changeset:
    """The canonical form of a layer: `diff(lower, merge(lower, layer))`, at the cost of the layer alone."""
    return diff(lower, merge(lower, layer), _hidden(lower, layer) | layer.keys() | directories(layer))


def merge(lower: Tree, *layers: Changeset) -> Tree:
    """What is seen when `layers` lie on `lower`, the last one on top."""
    return reduce(_merge, layers, lower)


def view(layers: tuple[Changeset, ...]) -> Tree:
    """What is seen through a whole stack, bottom first. Remembered, so that each further layer costs only itself.

    Remembered by identity: of two equal layers, the data of one may lie in a blob that is gone meanwhile.
    """
    if not layers:
        return Tree()
    key = tuple(map(id, layers))
    known = _views.get(key)
    if known is None:
        known = _views[key] = layers, merge(view(layers[:-1]), layers[-1])
        for old in list(_views)[:-16]:
            _views.pop(old, None)
    return known[1]


_views: dict[tuple[int, ...], tuple[tuple[Changeset, ...], Tree]] = {}  # keeps the layers too, so that ids stay theirs


def stack(first: Changeset, second: Changeset) -> Changeset:
    """Both layers as one: `merge(tree, stack(a, b)) == merge(merge(tree, a), b)` for every tree."""
    entries, opaque = dict(first.items()), set(first.opaque)
    hidden = hidden_by(second, lambda: first.paths)
    fresh = {  # directories that come new in `second` where `first` hid whatever was below
        path for path in directories(second) if (old := first.get(path)) is not None and not old.is_dir
    }
    for path in hidden:
        entries.pop(path, None)
        opaque.discard(path)
    for path in fresh:
        entries[path] = directory()
    _ungroup(link_groups(first), entries, hidden | second._entries.keys() | fresh)
    entries.update(second.items())
    replaced = {path for path, entry in second.items() if not entry.is_dir}
    return Changeset(entries, (opaque - replaced) | second.opaque | fresh)


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The name of each stack from the bottom up to a layer, by the OCI image configuration's formula.

    >>> [chain_id[:14] for chain_id in chain_ids(["sha256:aa", "sha256:bb"])]
    ['sha256:aa', 'sha256:b68ad68']
    """
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(f"sha256:{hashlib.sha256(f'{chain[-1]} {diff_id}'.encode()).hexdigest()}" if chain else diff_id)
    return chain


def directories(layer: Changeset) -> set[str]:
    """Every directory that a layer lists or implies."""
    found: set[str] = set()
    for path, entry in layer.items():
        for up in [path, *parents(path)] if entry.is_dir else parents(path):
            if up in found:
                break  # and so are all above it
            found.add(up)
    return found


def hidden_by(layer: Changeset, paths: Callable[[], list[str]], holds: Callable[[str], object] = bool) -> set[str]:
    """Which of the lower paths vanish under `layer`, unless it lists them again; and all its whiteouts.

    `paths` gives them, sorted; it is asked only if something may lie below what the layer puts there: if it `holds`.
    """
    tops = {path for path, entry in layer.items() if not entry.is_dir and holds(path)} | layer.opaque
    below = paths() if tops else []
    hidden = {path for top in tops for path in slice_below(below, top)}
    return hidden | {path for path, entry in layer.items() if entry.kind == "whiteout"}


def _hidden(lower: Tree, layer: Changeset) -> set[str]:
    """`hidden_by` over a whole tree."""
    return hidden_by(layer, lambda: lower.paths, lambda path: path in lower and lower[path].is_dir)


def _same(a: Entry | None, b: Entry) -> bool:
    """Whether two entries are equal, leaving aside which hard-link group they belong to."""
    return a is not None and (a == b or (a.link != b.link and replace(a, link=b.link) == b))


def _regrouped(lower: Tree, upper: Tree, changed: set[str]) -> set[str]:
    """Paths to list again because the set of names of their file is not what `merge` would leave of the lower one."""
    again: set[str] = set()
    old, new = lower.links, upper.links
    alone = {path: [path] for group in old.values() for path in group if path in upper and not upper[path].link}
    for group in [*new.values(), *alone.values()]:
        labels = {lower[path].link if path in lower else "" for path in group}
        kept = [path for path in old.get(next(iter(labels)), group[:1]) if path in upper and path not in changed]
        if len(labels) > 1 or kept != group:
            again.update(group)
    return again


def _ungroup(groups: Mapping[str, list[str]], entries: dict[str, Entry], touched: Set[str]) -> bool:
    """Relabel what is left of lower hard-link groups that lost names; whether there are any."""
    hit = [(label, group) for label, group in groups.items() if not touched.isdisjoint(group)]
    left = [(label, [path for path in group if path not in touched]) for label, group in hit]
    relink(entries, [(label, group) for label, group in left if group])
    return bool(hit)


def _merge(lower: Tree, layer: Changeset) -> Tree:
    entries = lower.entries()
    hidden = _hidden(lower, layer)
    for path in hidden:
        entries.pop(path, None)
    implied = directories(layer) - layer.keys()
    new = {up for up in implied if up not in entries or not entries[up].is_dir}
    entries.update((up, directory()) for up in new)
    regrouped = _ungroup(lower.links, entries, hidden | layer.keys() | new)
    entries.update((path, entry) for path, entry in layer.items() if entry.kind != "whiteout")
    tree = Tree.trusted(entries)
    if not regrouped and not any(entry.link for entry in layer.values()):
        tree.__dict__["links"] = lower.links  # what the cached property would find
    return tree
