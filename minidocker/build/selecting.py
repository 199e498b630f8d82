"""What a COPY or ADD takes: its sources, as paths of a tree, and what of each directory.

A source leads through links, which stay inside the tree; `*`, `?` and `[a-z]` are those of Go's `filepath.Match`. With
`--exclude`, patterns as in `.dockerignore` leave out what is below a source; with `--parents` a source is itself such a
pattern, `**` and all, below the root of the tree, or below what stands before a `/./` in it.

    >>> tree = Tree({"/x/a.txt": file(), "/x/y/b.txt": file(), "/x/y/c.md": file()})
    >>> [found.below(tree) for found in select(tree, ["x/./**/*.txt"], parents=True)]
    [['/x/a.txt', '/x/y', '/x/y/b.txt']]
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from minidocker.dockerignore import Ignore, Pattern, match
from minidocker.errors import BuildError
from minidocker.tree import Entry, Tree, clean, file, parents, prefix

__all__ = ["CONTEXT", "Found", "contents", "file", "lead", "narrowed", "select"]

CONTEXT = "file not found in build context or excluded by .dockerignore"


@dataclass(frozen=True)
class Found:
    """A source: the path that was asked for, and the one that it leads to in the tree.

    `names` are those below a directory that are taken; None is all of them. Not every `archive` is to be unpacked.
    """

    asked: str
    path: str
    names: tuple[str, ...] | None = None
    parents: bool = False
    archive: bool = True

    def below(self, tree: Tree) -> list[str]:
        """The paths below a directory that are taken, sorted."""
        return tree.below(self.path) if self.names is None else [prefix(self.path) + name for name in self.names]


def select(
    tree: Tree,
    sources: Sequence[str],
    where: str = CONTEXT,
    exclude: Sequence[str] = (),
    *,
    parents: bool = False,
) -> list[Found]:
    """What the sources name, in their order; for wildcards sorted, and nothing where nothing matches.

    Raises BuildError where a source without wildcards names nothing; `where` says in what it was looked for.

    >>> tree = Tree({"/a.txt": file(), "/b.txt": file(), "/c.md": file()})
    >>> [found.path for found in select(tree, ["*.txt", "./x/../c.md"])]
    ['/a.txt', '/b.txt', '/c.md']
    """
    found = [one for source in sources for one in (_pivoted if parents else _select)(tree, source, where)]
    return narrowed(tree, found, exclude)


def narrowed(tree: Tree, found: list[Found], exclude: Sequence[str]) -> list[Found]:
    """What `--exclude` leaves of sources. Raises BuildError for a pattern that is none."""
    ignore = _patterns(exclude)
    return [one for one in (_filtered(tree, one, ignore) for one in found) if one] if ignore.patterns else found


def contents(tree: Tree, selected: Sequence[Found]) -> dict[str, str]:
    """What a copy of these would take: path -> kind, mode, owner and digest; no times. This is the cache's evidence."""
    rows: dict[str, str] = {}
    for found in selected:
        entry = tree[found.path]
        if not entry.is_dir:
            rows[found.asked[1:]] = evidence(entry)
            continue
        rows[prefix(found.asked)[1:] or "."] = "dir"
        skip, start = len(prefix(found.path)), prefix(found.asked)[1:]
        rows.update((start + path[skip:], evidence(tree[path])) for path in found.below(tree))
    return rows


def evidence(entry: Entry) -> str:
    """What of an entry a layer depends on, in a line."""
    what = entry.data.digest if entry.kind == "file" else entry.target
    more = "".join(f" {name}={value.hex()}" for name, value in entry.xattrs)
    return f"{entry.kind} {entry.mode:o} {entry.uid}:{entry.gid} {what}{more}"


def is_pattern(path: str) -> bool:
    """Whether a source has wildcards."""
    return bool(re.search(r"[*?\[]", re.sub(r"\\.", "", path)))


def _select(tree: Tree, source: str, where: str) -> Iterator[Found]:
    path = clean(source)
    if not is_pattern(path):
        yield Found(path, lead(tree, path, source, where))
        return
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if is_pattern(part))
    above, pattern = "/".join(parts[:first]) or "/", "/".join(parts[first:])
    top = lead(tree, above, above, where)
    try:
        names = [path[len(prefix(top)) :] for path in tree.below(top)]
        matching = [name for name in names if name.count("/") == pattern.count("/") and match(pattern, name)]
    except ValueError as error:
        raise BuildError(f"COPY failed: {source}: {error}") from None
    for name in matching:
        yield Found(prefix(above) + name, lead(tree, prefix(above) + name, source, where))


def _pivoted(tree: Tree, source: str, where: str) -> Iterator[Found]:
    """`--parents`: the directory before `/./`, and of it what matches the rest."""
    above, pivot, rest = source.partition("/./")
    above, pattern = (above or "/", rest) if pivot else ("/", source)
    pattern = clean(pattern)[1:]
    exact = not is_pattern(above) and not is_pattern(pattern)
    if exact:
        lead(tree, clean(f"{above}/{pattern}"), source, where)
    wanted = _patterns([pattern])
    for found in _select(tree, above, where):
        if not pattern or not tree[found.path].is_dir:
            yield replace(found, parents=True)
            continue
        names = _names(tree, found, lambda name: wanted.excludes(name))
        if exact and not names:  # it is behind a link: links are copied here, not followed
            raise BuildError(
                f'failed to compute cache key: "{clean(source)}" not found: {where}: it leads through a link'
            )
        yield replace(found, names=names, parents=True)


def _filtered(tree: Tree, found: Found, ignore: Ignore) -> Found | None:
    """What `--exclude` leaves of a source: patterns are relative to it; a file is left out by its own name."""
    if not tree[found.path].is_dir:
        return None if ignore.excludes(posixpath.basename(found.asked)) else found
    return replace(found, names=_names(tree, found, lambda name: not ignore.excludes(name)))


def _names(tree: Tree, found: Found, wanted: Callable[[str], bool]) -> tuple[str, ...]:
    """The names below a directory that are wanted, and the directories on the way to them."""
    skip = len(prefix(found.path))
    names = {path[skip:] for path in found.below(tree) if wanted(path[skip:])}
    names |= {up[1:] for name in names for up in parents("/" + name)} - {""}
    return tuple(sorted(names))


def _patterns(texts: Sequence[str]) -> Ignore:
    try:
        return Ignore(tuple(Pattern.parse(text) for text in texts if text.strip()))
    except ValueError as error:
        raise BuildError(f"invalid excludepatterns: [{' '.join(texts)}]: {error}") from None


def lead(tree: Tree, path: str, source: str, where: str) -> str:
    """Where a source leads to, or the error that says that it leads nowhere."""
    why = "no such file or directory"
    try:
        if (there := tree.resolve(path)) in tree:
            return there
    except OSError as error:
        why = (error.strerror or why).lower()
    missing = f'failed to compute cache key: "{path}" not found'
    if posixpath.normpath(source.lstrip("/") or ".").split("/")[0] == "..":
        raise BuildError(f"{missing}: forbidden path outside the build context: {source} ()")
    raise BuildError(f"{missing}: {where}: stat {source}: {why}")
