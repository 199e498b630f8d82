"""COPY and ADD as steps: where the files come from, what the cache knows them by, and the layer that they make.

They come from the context, another stage, an image, a here-document or (ADD only) a URL. What is far away is asked
for what it would give, and fetched only where no layer has been made of that yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from minidocker.build import config as conf
from minidocker.build.cache import Decision, Facts, key_of
from minidocker.build.copy import Copy, copy
from minidocker.build.gitref import redacted
from minidocker.build.making import Made, Maker
from minidocker.build.remotes import Remote, kind
from minidocker.build.selecting import CONTEXT, Found, contents, narrowed, select
from minidocker.build.stages import Graph
from minidocker.build.unpack import unpack
from minidocker.dockerfile import Instruction, Stage
from minidocker.image import Layer
from minidocker.tree import Tree, file

Part = tuple[Tree, list[Found]]  # of one tree that a COPY takes from, what
Chosen = list[Callable[[], Part]]  # what is far away is fetched when it is asked for


@dataclass(frozen=True)
class Source:
    """Where files are taken from: a tree, the key that names it ("" for the context), and what it is called.

    `layers` are those of which it consists, where it does.
    """

    key: str
    tree: Callable[[], Tree]
    where: str = CONTEXT
    layers: Sequence[Layer] | None = None


class Copying(Maker):
    """The steps of a stage that copy."""

    graph: Graph

    def copy(self, one: Instruction) -> Decision:
        """COPY and ADD: files of the context, of another stage, of an image, or of a URL."""
        source, text = self.source(one), conf.copy_text(one)
        facts: Facts = {
            "parent": key_of({"epoch": self.options.epoch}) if one.flags.get("link") else self.draft.key,
            "copy": [*map(redacted, one.args[:-1]), *(f"<<{heredoc.name}" for heredoc in one.heredocs)],
            "to": conf.destination(self.draft.config, one.args[-1]),
            "owner": str(one.flags.get("chown", "")),
            "mode": conf.chmod(one),
            "add": one.keyword == "ADD",
        }
        facts |= {flag: one.flags[flag] for flag in ("parents", "unpack") if flag in one.flags}
        facts |= {"exclude": list(exclude)} if (exclude := excluded(one)) else {}
        quick = key_of(facts | {"source": source.key}) if source.key and not self.options.no_cache else ""
        known = self.cache.alias(quick) if quick else ""
        if known and (record := self.build.made.get(known) or self.cache.find(known)[0]):
            return self.layer(one, record.facts, text, lambda: self.copied(one, facts, self.gather(one, source)[0]))
        chosen, facts["files"] = self.gather(one, source)
        if quick:
            self.cache.alias(quick, key_of(facts))
        return self.layer(one, facts, text, partial(self.copied, one, facts, chosen))

    def gather(self, one: Instruction, source: Source) -> tuple[Chosen, str]:
        """What a COPY takes, out of its sources and its here-documents, and the digest that stands for all of it."""
        remotes = {word: remote for word in one.args[:-1] if (remote := self.remote(one, word))}
        docs = Tree({f"/{doc.name}": file(doc.data.encode()) for doc in one.heredocs})
        chosen: Chosen = []
        rows = {remote.url: remote.evidence for remote in remotes.values()}
        with nullcontext() if source.key else self.build.context.lock:  # so that no file is read twice
            for far, words in groupby(one.args[:-1], lambda word: word in remotes):
                if far:
                    chosen += [partial(self.fetched, one, remotes[word]) for word in words]
                    continue
                tree = source.tree()
                found = select(tree, list(words), source.where, excluded(one), parents=bool(one.flags.get("parents")))
                chosen.append(partial(_part, tree, found, bool(one.flags.get("unpack", True))))
                rows |= contents(tree, found)
            found = select(docs, [f"/{doc.name}" for doc in one.heredocs])
            chosen.append(partial(_part, docs, found, False))
            return chosen, self.cache.put_files(rows | contents(docs, found))

    def remote(self, one: Instruction, word: str) -> Remote | None:
        """What a source gives that is no path; None where it is one. Raises DockerfileError, BuildError."""
        checksum, keep = str(one.flags.get("checksum", "")), one.flags.get("keep-git-dir")
        try:
            what = kind(word)
            if what and one.keyword == "COPY":
                raise one.error(f"source can't be a {what} for COPY")
            if checksum and len(one.args) > 2:
                raise one.error("checksum can't be specified for multiple sources")
            if checksum and not what:
                raise one.error("checksum requires HTTP(S) or Git sources")
            return self.build.remotes.ask(word, checksum, None if keep is None else bool(keep)) if what else None
        except ValueError as error:
            raise one.error(str(error)) from None

    def fetched(self, one: Instruction, remote: Remote) -> Part:
        """The files of a URL, fetched."""
        tree = remote.tree()
        top = "/" if remote.is_folder else tree.paths[-1]
        return _part(tree, narrowed(tree, [Found(top, top)], excluded(one)), bool(one.flags.get("unpack")))

    def copied(self, one: Instruction, facts: Facts, chosen: Chosen) -> Made:
        """The layer of a COPY. With `--link` it does not look at what is below."""
        lower = Tree() if one.flags.get("link") else self.draft.tree()
        owner = conf.owner(lower, facts["owner"]) if facts["owner"] else None
        archives = partial(unpack, scratch=self.build.scratch) if one.keyword == "ADD" else None
        request = Copy(facts["to"], owner, facts["mode"], archives, self.build.seconds)
        return nullcontext(copy([part() for part in chosen], request, lower))

    def source(self, one: Instruction) -> Source:
        """Where a COPY takes its files from."""
        return self.taken_from(one, self.graph.source(one), str(one.flags.get("from", "")))

    def taken_from(self, one: Instruction, stage: Stage | None, name: str) -> Source:
        """A stage, or the named context or image of that name, or the context where there is no name."""
        if stage is not None:
            draft = self.build.draft(stage)
            return Source(draft.key, draft.tree, f"file not found in stage {name}", draft.layers)
        if name and (context := self.build.files(name)) is not None:
            return Source("", lambda: context.tree, f"file not found in build context {name}")
        if name:
            image = self.build.find(name, one)
            key = key_of({"layers": image.diff_ids})
            return Source(key, image.tree, f"file not found in image {name}", image.layers)
        return Source("", lambda: self.build.context.tree)


def excluded(one: Instruction) -> Sequence[str]:
    """The patterns of `--exclude`."""
    patterns = one.flags.get("exclude", ())
    return patterns if isinstance(patterns, tuple) else ()


def _part(tree: Tree, found: list[Found], archives: bool) -> Part:
    """What is taken of a tree; `archives` says whether ADD may unpack any."""
    return tree, found if archives else [replace(each, archive=False) for each in found]
