"""Exercise 01: a blob verified, a layer applied, a layer made of two trees, a stack named by its chain ids.

In these tasks a tree, and a layer too, is a dict of paths to entries: `{"/": directory(), "/etc/motd": file(b"hi")}`;
in a layer `WHITEOUT` stands for what is removed. The engine's own functions know more (opaque directories, implied
parents, hard links); `_merge` and `_diff` translate between the two, so that it can live on the learner's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker import content, layer
from minidocker.errors import CorruptBlob
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, core, counted, operate
from minidocker.grading.show import Entries, show_layer, show_lines, show_tree
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.layer import WHITEOUT, Changeset
from minidocker.tree import Tree, directory, file, parents

if TYPE_CHECKING:
    from minidocker.engine import Engine

# Specifications


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


HELLO = _digest(b"hello")
ROOT = {"/": directory()}
ETC = ROOT | {"/etc": directory(), "/etc/motd": file(b"hi")}
TMP = ETC | {"/tmp": directory(), "/tmp/a": file(b"1"), "/tmp/b": file(b"2"), "/tmpfile": file(b"stays")}
SLASH = "Is /tmpfile below /tmp? What lies below starts with '/tmp/', slash included."
TOP_ONLY = "One whiteout at the top of what vanished is enough: look whether its parent is still there, as a directory."

VERIFY = Task(
    "1.1",
    "verify",
    ("blob", "digest"),
    "A registry, a disk or a mirror may hand over other bytes: the digest tells",
    (
        Case(
            "the digest of these bytes",
            (b"hello", HELLO),
            True,
            "hashlib.sha256(blob).hexdigest() gives the hex digits.",
        ),
        Case("other bytes", (b"hello!", HELLO), False, "One byte more is another blob."),
        Case("the name of the algorithm is missing", (b"hello", HELLO[7:]), False, "A digest is `algorithm:hex`."),
        Case(
            "another algorithm's name",
            (b"hello", "md5:" + HELLO[7:]),
            False,
            "Only `sha256:` says which digits follow.",
        ),
        Case(
            "hex digits in capitals", (b"hello", "sha256:" + HELLO[7:].upper()), False, "The digits are in lower case."
        ),
    ),
    (
        "A digest names its algorithm, then the hex digits: sha256:2cf24d…",
        "hashlib.sha256(blob).hexdigest() gives the digits for these bytes.",
        "Build the digest that the blob should have, and compare the two texts.",
    ),
    content.file_digest,
    show_lines,
    1,
)
APPLY = Task(
    "1.2",
    "apply",
    ("lower", "layer"),
    "This is what a container sees: the image, layer on layer",
    (
        Case(
            "a new file",
            (ETC, {"/etc/issue": file(b"mini")}),
            ETC | {"/etc/issue": file(b"mini")},
            "Copy lower, then add.",
        ),
        Case(
            "a file again",
            (ETC, {"/etc/motd": file(b"bye")}),
            ETC | {"/etc/motd": file(b"bye")},
            "The layer's entry wins.",
        ),
        Case(
            "a whiteout removes a file",
            (ETC, {"/etc": directory(), "/etc/motd": WHITEOUT}),
            ROOT | {"/etc": directory()},
            "WHITEOUT is a sign to remove; it is never seen in the tree.",
        ),
        Case(
            "a whiteout for what is not there",
            (ETC, {"/etc/x": WHITEOUT}),
            ETC,
            "Nothing to remove is no error: pop(path, None).",
        ),
        Case(
            "a whiteout removes a directory with all below it",
            (TMP, {"/tmp": WHITEOUT}),
            ETC | {"/tmpfile": file(b"stays")},
            SLASH,
        ),
        Case(
            "a file in the place of a directory",
            (TMP, {"/tmp": file(b"now a file")}),
            ETC | {"/tmp": file(b"now a file"), "/tmpfile": file(b"stays")},
            "Nothing can lie below a file: what was below goes.",
        ),
        Case(
            "a directory again, with another mode",
            (TMP, {"/tmp": directory(0o1777)}),
            TMP | {"/tmp": directory(0o1777)},
            "Below a directory that stays a directory, all stays.",
        ),
    ),
    (
        "Start with a copy, dict(lower): the tree that you were given belongs to others too.",
        "For each entry of the layer that is no directory, first remove what lies below its path.",
        "Then take the path itself out for a WHITEOUT, and put the entry in for all else.",
    ),
    layer.merge,
    show_tree,
    3,
)
MAKE_LAYER = Task(
    "1.3",
    "make_layer",
    ("lower", "upper"),
    "This is what `docker commit` and every build step record",
    (
        Case("nothing happened", (ETC, ETC), {}, "Equal trees differ in nothing: an empty dict."),
        Case(
            "a new file",
            (ROOT | {"/etc": directory()}, ETC),
            {"/etc/motd": file(b"hi")},
            "Take what lower does not have.",
        ),
        Case(
            "other content",
            (ETC, ETC | {"/etc/motd": file(b"ho")}),
            {"/etc/motd": file(b"ho")},
            "Entries can be compared: lower.get(path) != entry.",
        ),
        Case(
            "only the mode is another",
            (ETC, ETC | {"/etc/motd": file(b"hi", mode=0o600)}),
            {"/etc/motd": file(b"hi", mode=0o600)},
            "Compare whole entries: a new mode is a change, and the layer gets the whole file.",
        ),
        Case(
            "a file vanished",
            (ETC, ROOT | {"/etc": directory()}),
            {"/etc/motd": WHITEOUT},
            "What lower has and upper has not needs a WHITEOUT.",
        ),
        Case("a directory vanished", (TMP, ETC | {"/tmpfile": file(b"stays")}), {"/tmp": WHITEOUT}, TOP_ONLY),
        Case(
            "a file stands where a directory was",
            (TMP, ETC | {"/tmp": file(b"x"), "/tmpfile": file(b"stays")}),
            {"/tmp": file(b"x")},
            "A file hides all that was below it: no whiteouts are needed there. " + TOP_ONLY,
        ),
    ),
    (
        "Two parts: what is new or another in upper, and what is gone from lower.",
        "New or another: lower.get(path) != entry.",
        "Gone: a path of lower that upper does not have, whose parent(path) upper still has, as a directory.",
    ),
    layer.diff,
    show_layer,
    3,
)
CHAIN = Task(
    "1.4",
    "chain_ids",
    ("diff_ids",),
    "So a folder that holds a whole stack unpacked has a name",
    (
        Case("no layers", ([],), [], "No layers, no chain ids."),
        Case("the lowest layer", (["sha256:aa"],), ["sha256:aa"], "The lowest layer's chain id is its diff id."),
        Case(
            "two layers",
            (["sha256:aa", "sha256:bb"],),
            ["sha256:aa", _digest(b"sha256:aa sha256:bb")],
            "sha256 of the text 'CHAIN DIFF': a space between, `sha256:` kept in both and put before the result.",
        ),
        Case(
            "three layers",
            (["sha256:aa", "sha256:bb", "sha256:cc"],),
            [
                "sha256:aa",
                _digest(b"sha256:aa sha256:bb"),
                _digest(f"{_digest(b'sha256:aa sha256:bb')} sha256:cc".encode()),
            ],
            "Each one is made of the chain id below it, not of the diff id below it.",
        ),
    ),
    (
        "chain(1) = diff(1);  chain(n) = sha256(chain(n-1) + ' ' + diff(n))",
        "f'{chain[-1]} {diff_id}'.encode() are the bytes to hash.",
        "'sha256:' + hashlib.sha256(those bytes).hexdigest()",
    ),
    layer.chain_ids,
    show_lines,
    2,
)
TASKS = (VERIFY, APPLY, MAKE_LAYER, CHAIN)

# The transplant

DOCKERFILE = """\
FROM minidocker/base
WORKDIR /app
COPY hello.txt draft.txt ./
RUN echo more >> hello.txt && rm draft.txt
RUN mkdir notes && echo done > notes/today
"""


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Build one image with the reference's functions and with the learner's, and compare the digests."""
    files = {"hello.txt": "hello\n", "draft.txt": "a draft\n", "Dockerfile": DOCKERFILE}
    return operate(counted(namespace, TASKS), grafts, _live, files)


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    image, _ = engine.images.build(path=str(folder), tag="app")
    refused = "refused" if _refuses_corruption(engine.store) else "taken for good: verify must say False"
    engine.images.prune()
    return Outcome({"the image's id": image.id, "a corrupt blob": refused}, core(image, engine, title))


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    return {
        layer.merge: _merge(organs["apply"]),
        layer.diff: _diff(organs["make_layer"]),
        layer.chain_ids: organs["chain_ids"],
        content.Store.read: _read(organs["verify"]),
    }


def _read(verify: Callable[[bytes, str], bool]) -> Callable[[content.Store, str], bytes]:
    """`Store.read`, with the learner's word on whether the bytes are right."""

    def read(store: content.Store, digest: str) -> bytes:
        data = b"".join(_raw(store, digest))
        if verify(data, digest) is not True:
            raise CorruptBlob(f"verify says that these bytes are not {digest}")
        return data

    return read


def _raw(store: content.Store, digest: str) -> Iterator[bytes]:
    with store.path(digest).open("rb") as blob:
        yield from iter(lambda: blob.read(1 << 20), b"")


def _merge(apply: Callable[[Entries, Entries], Entries]) -> Callable[..., Tree]:
    """`layer.merge`, by the learner's `apply`."""

    def merge(lower: Tree, *layers: Changeset) -> Tree:
        for changes in layers:
            lower = Tree(apply(lower.entries(), explicit(lower, changes)))
        return lower

    return merge


def explicit(lower: Tree, changes: Changeset) -> Entries:
    """A layer without opaque directories and implied parents: whiteouts and entries for all that they stand for."""
    entries = {path: WHITEOUT for top in changes.opaque for path in lower.below(top)}
    implied = {up for path in changes for up in parents(path)} - changes.keys()
    for path in implied:
        old = lower.get(path)
        entries[path] = old if old is not None and old.is_dir else directory()
    return dict(sorted((entries | dict(changes.items())).items()))


def _diff(make_layer: Callable[[Entries, Entries], Entries]) -> Callable[[Tree, Tree], Changeset]:
    """`layer.diff`, by the learner's `make_layer`; the directories on the way to a change are added here."""

    def diff(lower: Tree, upper: Tree) -> Changeset:
        entries = make_layer(lower.entries(), upper.entries())
        above = {up for path in entries for up in parents(path) if up != "/" and up in upper}
        return Changeset({path: upper[path] for path in above} | entries)

    return diff


def _refuses_corruption(store: content.Store) -> bool:
    """Damage a blob of this throw-away store: does the engine notice?"""
    blob = store.put(b"the right bytes", "text/plain")
    path = store.path(blob.digest)
    path.chmod(0o644)
    path.write_bytes(b"other bytes")
    try:
        store.read(blob.digest)
    except CorruptBlob:
        return True
    finally:
        path.unlink()
    return False
