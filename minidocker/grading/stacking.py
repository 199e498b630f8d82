"""Exercise 03: who answers for a path, what a directory lists, what an append copies up, what a removal leaves.

In these tasks layers are a list of dicts, bottom first, path -> entry: `[{"/etc": directory()}, {"/etc": WHITEOUT}]`.
Each lists the directories on the way to what it has. An opaque directory is marked as in a layer's tar, by a whiteout
of the name `.wh..wh..opq` in it. In the transplant every view of a stack is put together by the learner's functions,
and every `>>` and `rm` of the simulated runtime goes through them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker import layer, union
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, core, counted, operate
from minidocker.grading.show import Entries, show_layer, show_stack
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.layer import WHITEOUT, Changeset
from minidocker.tree import Tree, directory, file, parents, prefix, relink
from minidocker.union import Answer, Union

if TYPE_CHECKING:
    from minidocker.engine import Engine

# Specifications

OPAQUE = ".wh..wh..opq"
DIR = directory()
ETC: Entries = {"/etc": DIR, "/etc/motd": file(b"hello")}
AGAIN: Entries = {"/etc": DIR, "/etc/motd": file(b"hi")}
WITHOUT: Entries = {"/etc": DIR, "/etc/motd": WHITEOUT}
FRESH: Entries = {"/etc": DIR, f"/etc/{OPAQUE}": WHITEOUT, "/etc/issue": file(b"mini")}
GONE: Entries = {"/etc": WHITEOUT}
FILE: Entries = {"/etc": file(b"a file now")}
PARENTS = "Look at parents(path) in each layer too: one that is there and no directory ends the search."
ENDS = "A whiteout ends the search: what lies below it is not seen, and the answer is None."

ANSWERS = Task(
    "3.1",
    "answers",
    ("layers", "path"),
    "This is what the kernel does each time a container opens a file",
    (
        Case(
            "only the lowest layer has it", ([ETC, {}], "/etc/motd"), 0, "Layers are numbered from the bottom, from 0."
        ),
        Case("two layers have it", ([ETC, AGAIN], "/etc/motd"), 1, "Start at the top: the first that has it answers."),
        Case("no layer has it", ([ETC, AGAIN], "/etc/issue"), None, "Nobody has it: None."),
        Case("a whiteout hides it", ([ETC, WITHOUT], "/etc/motd"), None, ENDS),
        Case(
            "it was deleted, and made again", ([ETC, WITHOUT, AGAIN], "/etc/motd"), 2, "A whiteout hides what is below."
        ),
        Case("its directory was deleted", ([ETC, GONE], "/etc/motd"), None, PARENTS),
        Case("a file took the place of its directory", ([ETC, FILE], "/etc/motd"), None, PARENTS),
        Case(
            "its directory was deleted, and made again",
            ([ETC, GONE, {"/etc": DIR}], "/etc/motd"),
            None,
            "A directory says nothing of what lies in it: go on down, to the whiteout of the parent.",
        ),
        Case(
            "its directory is opaque",
            ([ETC, FRESH], "/etc/motd"),
            None,
            "An opaque directory ends the search as well: opaque(layer, parent).",
        ),
        Case(
            "an opaque directory's own file",
            ([ETC, FRESH], "/etc/issue"),
            1,
            "Opaque hides what lies in the layers below, not what its own layer has: ask for the path first.",
        ),
    ),
    (
        "for number in reversed(range(len(layers))): goes from the top to the bottom.",
        "Has this layer the path itself? Then you are done: its number, or None for a WHITEOUT.",
        "If not: any parent that is opaque here, or is here and is no directory, means None. Else go on down.",
    ),
    union.lookup,
    show_stack,
    2,
)

TMP: Entries = {"/tmp": DIR, "/tmp/a": file(b"1"), "/tmp/b": file(b"2"), "/tmpfile": file(b"3")}
DEEP: Entries = {"/v": DIR, "/v/log": DIR, "/v/log/old": file(b"1")}

LISTING = Task(
    "3.2",
    "listing",
    ("layers", "path"),
    "This is what `ls` shows in a container",
    (
        Case("one layer", ([TMP], "/tmp"), ["a", "b"], "Names, not paths: what follows the last slash."),
        Case("two layers add up", ([TMP, {"/tmp": DIR, "/tmp/0": file()}], "/tmp"), ["0", "a", "b"], "Sorted, please."),
        Case(
            "both have a name", ([TMP, TMP], "/tmp"), ["a", "b"], "A name is listed once, however many layers have it."
        ),
        Case("a whiteout", ([TMP, {"/tmp": DIR, "/tmp/a": WHITEOUT}], "/tmp"), ["b"], "A whiteout takes a name away."),
        Case(
            "a whiteout, and the name again",
            ([TMP, {"/tmp": DIR, "/tmp/a": WHITEOUT}, {"/tmp": DIR, "/tmp/a": file(b"new")}], "/tmp"),
            ["a", "b"],
            "A whiteout takes away what layers below have, not what comes above it: go from the bottom up.",
        ),
        Case("only what lies directly in it", ([TMP | DEEP], "/"), ["tmp", "tmpfile", "v"], "parent(below) == path"),
        Case(
            "the directory was deleted, and made again",
            ([TMP, {"/tmp": WHITEOUT}, {"/tmp": DIR, "/tmp/c": file()}], "/tmp"),
            ["c"],
            "A whiteout of the directory itself takes all names away that were there; they do not come back.",
        ),
        Case(
            "it was a file for a while",
            ([TMP, {"/tmp": file(b"x")}, {"/tmp": DIR, "/tmp/c": file()}], "/tmp"),
            ["c"],
            "A file in the place of the directory ends all names below it, as a whiteout does.",
        ),
        Case(
            "a parent of it was deleted, and both were made again",
            ([DEEP, {"/v": WHITEOUT}, {"/v": DIR, "/v/log": DIR, "/v/log/new": file()}], "/v/log"),
            ["new"],
            "As in 3.1, look at parents(path) too.",
        ),
        Case(
            "a parent of it is opaque",
            ([DEEP, {"/v": DIR, f"/v/{OPAQUE}": WHITEOUT, "/v/log": DIR}], "/v/log"),
            [],
            "An opaque directory hides all that lies below it in lower layers, however deep.",
        ),
        Case(
            "it is opaque",
            ([ETC, FRESH], "/etc"),
            ["issue"],
            f"Opaque: names from below go, those of its own layer stay; and {OPAQUE} is a mark, not a name.",
        ),
    ),
    (
        "names = set(), and then layer by layer, bottom first: each may take all names away, or one, or add one.",
        "All go where path or one of its parents is no directory in this layer, or is opaque.",
        "Then, for each `below` of the layer with parent(below) == path: discard its name for a WHITEOUT, else add it.",
    ),
    Union.listdir,
    show_stack,
    3,
)

LOWER: Entries = {
    "/": DIR,
    "/tmp": directory(0o1777),
    "/tmp/log": file(b"one\n", 0o600, uid=7),
    "/tmpfile": file(b"stays"),
    "/motd": file(b"hi"),
}
LOGGED: Entries = {"/tmp": directory(0o1777), "/tmp/log": file(b"one\ntwo\n", 0o600, uid=7)}
WHOLE = "A layer holds whole files: copy the old entry up, with all of its bytes, then add the new ones."
WAY = "List the directories on the way too, as they are: a layer that has /tmp/log has /tmp. (But not `/`.)"

APPEND = Task(
    "3.3",
    "append",
    ("lower", "upper", "path", "data"),
    "One byte more in a file of the image costs the container the whole file",
    (
        Case("a file of the image", (LOWER, {}, "/motd", b"!"), {"/motd": file(b"hi!")}, WHOLE),
        Case(
            "in a directory of the image",
            (LOWER, {}, "/tmp/log", b"two\n"),
            LOGGED,
            f"replace(entry, data=Bytes(…)) keeps mode and owner. {WAY}",
        ),
        Case(
            "once more",
            (LOWER, LOGGED, "/tmp/log", b"3\n"),
            LOGGED | {"/tmp/log": file(b"one\ntwo\n3\n", 0o600, uid=7)},
            "It was copied up before: now upper has it, and upper comes first.",
        ),
        Case("a new file", (LOWER, {}, "/new", b"x"), {"/new": file(b"x")}, "Where nobody has it: file(data)."),
        Case(
            "a file that was deleted",
            (LOWER, {"/motd": WHITEOUT}, "/motd", b"x"),
            {"/motd": file(b"x")},
            "The whiteout in upper hides the old file: it does not come back. It begins with nothing, as a new one.",
        ),
        Case(
            "the directory is the container's own",
            (LOWER, {"/srv": directory(0o700)}, "/srv/log", b"x"),
            {"/srv": directory(0o700), "/srv/log": file(b"x")},
            "Only directories that upper does not list yet come from lower.",
        ),
        Case(
            "the directory was changed before",
            (LOWER, {"/tmp": directory(0o700)}, "/tmp/log", b"two\n"),
            LOGGED | {"/tmp": directory(0o700)},
            "A directory that upper lists stays as upper has it.",
        ),
    ),
    (
        "Start with new = dict(upper). The old entry is new.get(path), else lower.get(path).",
        "for up in parents(path): list it in new, unless it is `/` or there already.",
        "replace(old, data=Bytes(old.data.read() + data)); without an old one, or where it is a WHITEOUT, file(data).",
    ),
    Union.write,
    show_layer,
    2,
)

REMOVE = Task(
    "3.4",
    "remove",
    ("lower", "upper", "path"),
    "Deleting in a container frees nothing of the image: it writes",
    (
        Case(
            "a file of the image", (LOWER, {}, "/motd"), {"/motd": WHITEOUT}, "The image has it: a WHITEOUT hides it."
        ),
        Case(
            "a file of the container's own",
            (LOWER, {"/new": file(b"x")}, "/new"),
            {},
            "No layer below has it: take it out of upper, and there is nothing to hide.",
        ),
        Case(
            "a file that was copied up",
            (LOWER, LOGGED, "/tmp/log"),
            {"/tmp": directory(0o1777), "/tmp/log": WHITEOUT},
            "Take it out of upper, and hide the image's own as well, or that would be seen again.",
        ),
        Case(
            "in a directory of the image",
            (LOWER, {}, "/tmp/log"),
            {"/tmp": directory(0o1777), "/tmp/log": WHITEOUT},
            WAY,
        ),
        Case(
            "a directory of the image, with what the container has in it",
            (LOWER, LOGGED | {"/tmp/new": file()}, "/tmp"),
            {"/tmp": WHITEOUT},
            "All that upper has below it goes, and one whiteout at the top hides all of the image's.",
        ),
        Case(
            "a name that begins alike",
            (LOWER, {"/tmp": directory(0o700), "/tmpfile": file(b"new")}, "/tmp"),
            {"/tmp": WHITEOUT, "/tmpfile": file(b"new")},
            "Is /tmpfile below /tmp? What lies below starts with '/tmp/', slash included.",
        ),
    ),
    (
        "First leave out of upper the path itself, and what starts with path + '/'.",
        "Then, only if path is in lower: new[path] = WHITEOUT.",
        "And with the whiteout the directories on the way to it, as in 3.3.",
    ),
    Union._drop,
    show_layer,
    1,
)
TASKS = (ANSWERS, LISTING, APPEND, REMOVE)

# The transplant

DOCKERFILE = """\
FROM minidocker/base
WORKDIR /app
COPY notes.txt draft.txt ./
RUN chmod 600 notes.txt
RUN echo more >> notes.txt && rm draft.txt
RUN mkdir old && echo 1 > old/a && echo 2 >> old/a
RUN rm -r old && mkdir old && echo 3 >> old/b && ls old > listed.txt
"""
BY_HAND = Changeset({"/app": directory(), "/app/old": directory(), "/app/old/c": file(b"4")}, {"/app/old"})


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Build an image on the learner's view of a stack, and look into one with an opaque directory."""
    files = {"Dockerfile": DOCKERFILE, "notes.txt": "notes\n", "draft.txt": "a draft\n"}
    return operate(counted(namespace, TASKS), grafts, _live, files, runtime="simulated")


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    image, _ = engine.images.build(path=str(folder), tag="app")
    opaque = engine.images.create({}, [*image.layers, engine.images.add_layer(BY_HAND)])
    told = [image.lookup(f"/app/{name}") for name in ("notes.txt", "draft.txt")]
    answering = [next((str(one.layer) for one in said if one.verdict == "answers"), "none") for said in told]
    facts = {
        "the image's id": image.id,
        "layers that answer for notes.txt and draft.txt": " and ".join(answering),
        "ls old, in an opaque directory": " ".join(opaque.tree().children("/app/old")),
    }
    return Outcome(facts, core(image, engine, title))


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    merge = _merge(organs)
    return {
        layer.merge: merge,
        union.lookup: _lookup(organs),
        Union.write: _write(organs["append"], Union.write, merge),
        Union._drop: _drop(organs["remove"], merge),
    }


def plain(organs: Organs, below: list[Entries], changes: Changeset) -> Entries:
    """A layer as the tasks have it: opaque directories marked, implied ones listed as they are seen below."""
    entries = dict(changes.items()) | {prefix(top) + OPAQUE: WHITEOUT for top in changes.opaque}
    for up in sorted({up for path in changes for up in parents(path)} - {"/"} - changes.keys()):
        number = organs["answers"]([*below, entries], up)
        old = None if number is None else below[number][up]
        entries[up] = old if old is not None and old.is_dir else directory()
    return entries


def _lookup(organs: Organs) -> Callable[..., list[Answer]]:
    """`union.lookup`: the one layer that answers, if any does."""

    def lookup(layers: list[Changeset], path: str) -> list[Answer]:
        stack: list[Entries] = []
        for changes in layers:
            stack.append(plain(organs, stack, changes))
        number = organs["answers"](stack, path)
        return [] if number is None else [Answer(number, "answers", stack[number][path])]

    return lookup


def _merge(organs: Organs) -> Callable[..., Tree]:
    """`layer.merge`: a walk through what is listed, taking each entry from the layer that answers."""

    def merge(lower: Tree, *layers: Changeset) -> Tree:
        stack = [lower.entries()]
        for changes in layers:
            stack.append(plain(organs, stack, changes))
        return Tree.trusted(relink(dict(walk(stack, "/"))))

    def walk(stack: list[Entries], path: str) -> Iterator[tuple[str, Any]]:
        number = organs["answers"](stack, path)
        if number is None:
            return
        entry = stack[number][path]
        yield path, replace(entry, link=f"{number}:{entry.link}") if entry.link else entry  # links stay in their layer
        for name in organs["listing"](stack, path) if entry.is_dir else ():
            yield from walk(stack, prefix(path) + name)

    return merge


def _write(organ: Callable[..., Entries], original: Callable[..., None], merge: Callable[..., Tree]) -> Any:
    """`Union.write`: what appends goes through the learner's function, but for hard links."""

    def write(
        view: Union, path: str, data: bytes, mode: int = 0o644, append: bool = False, uid: int = 0, gid: int = 0
    ) -> None:
        there = view._place(path, follow=True)
        old = view.get(there)
        if not append or (old is not None and (old.is_dir or old.link)):
            original(view, path, data, mode, append, uid, gid)
            return
        new = organ(view.lower.entries(), dict(view.changes().items()), there, data)
        made = replace(new[there], mode=mode, uid=uid, gid=gid) if old is None else new[there]
        _adopt(view, new | {there: replace(made, mtime=view._clock())}, merge)
        if old is None:
            view._touch_parent(there)

    return write


def _drop(remove: Callable[..., Entries], merge: Callable[..., Tree]) -> Callable[[Union, str], None]:
    """`Union._drop`, which is under `unlink`, `rmdir` and `rename`."""

    def drop(view: Union, path: str) -> None:
        _adopt(view, remove(view.lower.entries(), dict(view.changes().items()), path), merge)
        view._raised.discard(path)
        view._touch_parent(path)

    return drop


def _adopt(view: Union, upper: Entries, merge: Callable[..., Tree]) -> None:
    """Make `upper` the writable layer of a view."""
    view._entries = merge(view.lower, Changeset(upper)).entries()
    vars(view).pop("_children", None)  # who lies where is found anew when somebody looks
    view._raised |= upper.keys()
    view.writes += 1
