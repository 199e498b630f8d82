"""Exercise 04: the life of containers as a table, which container is meant, the restart policy, `docker diff`.

The engine's own `diff` asks the runtime what was written; `_diff` gives the learner's the two trees instead. What is
transplanted runs simulated, where a program that somebody waits for runs in this very process, with its monitor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.container import Container, Containers, life
from minidocker.errors import APIError, InvalidArgument, NotFound
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, core, counted, operate
from minidocker.grading.show import NARROW, Entries, show_lines
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.layer import view
from minidocker.notebook.pictures.svg import Figure, arrow, rect, text
from minidocker.runtime import Stdio, policy
from minidocker.tree import directory, file

if TYPE_CHECKING:
    from minidocker.engine import Engine


def show_move(title: str, value: Any, arguments: tuple[Any, ...]) -> Figure:
    """A state, a verb, and where that leads; None is Docker's refusal."""
    state, verb = arguments
    to = "refused" if value is None else str(value)
    drawn = [
        text(0, 16, title, "md-h"),
        rect(0, 32, 110, 34, "md-box", rx=17),
        text(55, 53, state, text_anchor="middle"),
        arrow(110, 49, 256, 49, "md-dash" if value is None else ""),
        text(183, 42, verb, "md-s", text_anchor="middle"),
        rect(258, 32, 110, 34, "md-box", "md-dash" if value is None else "", rx=17),
        text(313, 53, to, text_anchor="middle"),
    ]
    twin = f"{title}\n  {state} -- {verb} -> {to}"
    return Figure(title, f"{state}, {verb}: {to}", "".join(drawn), NARROW, 74, twin)


# Specifications

NOTHING = "There is nothing to do, and that is no error: the state stays."
DEAD = "Without a process there is nothing to send a signal to, to freeze, or to let go on: None."
AFTER = Task(
    "4.1",
    "after",
    ("state", "verb"),
    "This table is all that the engine knows of a container's life",
    (
        Case("a new one starts", ("created", "start"), "running", "start leads to running, from created and exited."),
        Case(
            "one that ended starts again", ("exited", "start"), "running", "exited is not the end: it may start again."
        ),
        Case("one that runs is started", ("running", "start"), "running", NOTHING),
        Case("one that is about to run again is started", ("restarting", "start"), "restarting", NOTHING),
        Case("one that is paused is started", ("paused", "start"), None, "Docker wants unpause for that, and refuses."),
        Case("one that runs stops", ("running", "stop"), "exited", "stop and kill lead to exited."),
        Case("one that is paused stops", ("paused", "stop"), "exited", "Docker lets it go on, so that it can end."),
        Case("one that waits for its restart stops", ("restarting", "stop"), "exited", "Then it does not come back."),
        Case("one that never ran is stopped", ("created", "stop"), "created", NOTHING),
        Case("one that ended is stopped", ("exited", "stop"), "exited", NOTHING),
        Case("one that is paused is killed", ("paused", "kill"), "exited", "KILL reaches even what is frozen."),
        Case("one that ended is killed", ("exited", "kill"), None, DEAD),
        Case("one that waits for its restart is killed", ("restarting", "kill"), None, DEAD),
        Case("one that runs is paused", ("running", "pause"), "paused", "pause freezes it where it stands."),
        Case("one that is paused is paused", ("paused", "pause"), None, "Docker says: is already paused."),
        Case("one that never ran is paused", ("created", "pause"), None, DEAD),
        Case("one that is paused goes on", ("paused", "unpause"), "running", "unpause leads back to running."),
        Case("one that runs is unpaused", ("running", "unpause"), None, "Docker says: is not paused."),
        Case("one that ended is removed", ("exited", "remove"), "removed", "Only what does not run can be removed."),
        Case("one that never ran is removed", ("created", "remove"), "removed", "Only what runs is protected."),
        Case("one that runs is removed", ("running", "remove"), None, "Docker wants it stopped first, or --force."),
        Case("one that is gone is started", ("removed", "start"), None, "From removed nothing leads anywhere: None."),
    ),
    (
        "A dict of dicts says it all: TABLE = {'start': {'created': 'running', …}, 'stop': {…}, …}.",
        "TABLE[verb].get(state) is None for all that the table does not list.",
        "List what stays as it is, too: for stop, 'created': 'created' and 'exited': 'exited'.",
    ),
    life.after,
    show_move,
    2,
)
WEB, DB = "3f" + "a" * 62, "3e" + "b" * 62
NAMES, IDS = {"web": WEB, "3e": WEB, "db": DB}, [WEB, DB]
FIND = Task(
    "4.2",
    "find",
    ("word", "names", "ids"),
    "So `docker stop 3f` and `docker stop web` mean the same container",
    (
        Case("a name", ("web", NAMES, IDS), WEB, "names[word] is the id of the container that has the name."),
        Case("a name with Docker's slash before it", ("/web", NAMES, IDS), WEB, 'word.removeprefix("/")'),
        Case("a whole id", (WEB, NAMES, IDS), WEB, "An id begins with itself: id.startswith(word)."),
        Case("the beginning of an id", ("3fa", NAMES, IDS), WEB, "The ids that start with the word: is it one?"),
        Case("a name that an id begins with", ("3e", NAMES, IDS), WEB, "A name goes before the beginning of an id."),
        Case("the beginning of a name", ("we", NAMES, IDS), None, "Names are not cut short, only ids are."),
        Case("the middle of an id", ("aaa", NAMES, IDS), None, "Only the beginning of an id counts: startswith."),
        Case("nobody", ("nobody", NAMES, IDS), None, "None stands for: no such container."),
        Case("a beginning of two ids", ("3", NAMES, IDS), ValueError, "Docker does not guess: raise ValueError()."),
    ),
    (
        "Three questions in this order: is it a name? How many ids start with it? Is it exactly one?",
        "found = [id for id in ids if id.startswith(word)]",
        "More than one: raise ValueError(word). Else found[0] where there is one, and None where there is none.",
    ),
    Containers.get,
    show_lines,
    1,
)
COUNT = "`count` is how often it was restarted already: count < most."
RESTARTS = Task(
    "4.3",
    "restarts",
    ("policy", "most", "code", "count", "by_hand"),
    "The monitor of a container asks this each time that process 1 ends",
    (
        Case("no policy", ("no", 0, 1, 0, False), False, '"no" is the default: it stays down.'),
        Case("always, after a failure", ("always", 0, 1, 0, False), True, '"always" does not look at the code.'),
        Case("always, after a success", ("always", 0, 0, 5, False), True, "…not even at 0, nor at the count."),
        Case("always, but a person stopped it", ("always", 0, 137, 0, True), False, "A person has the last word."),
        Case("unless-stopped", ("unless-stopped", 0, 0, 0, False), True, "While all runs, it is like always."),
        Case("unless-stopped, stopped", ("unless-stopped", 0, 0, 0, True), False, "A person has the last word."),
        Case("on-failure, after a success", ("on-failure", 0, 0, 0, False), False, "Exit code 0 is no failure."),
        Case("on-failure, after a failure", ("on-failure", 0, 3, 9, False), True, "`most` of 0 means: no limit."),
        Case("on-failure:2, the first failure", ("on-failure", 2, 3, 0, False), True, COUNT),
        Case("on-failure:2, after one restart", ("on-failure", 2, 3, 1, False), True, COUNT),
        Case("on-failure:2, after two restarts", ("on-failure", 2, 3, 2, False), False, COUNT),
        Case("on-failure, stopped", ("on-failure", 0, 143, 0, True), False, "A person has the last word."),
    ),
    (
        "First of all: if by_hand, it stays down, whatever the policy.",
        'on-failure: code != 0 and (most == 0 or count < most); "always" and "unless-stopped": True.',
        "Return True or False, not a number: bool(…) or a comparison.",
    ),
    policy.restarts,
    show_lines,
    2,
)
ROOT = {"/": directory()}
ETC = ROOT | {"/etc": directory(), "/etc/motd": file(b"hi"), "/etc/passwd": file(b"root")}
TMP = ETC | {"/tmp": directory(), "/tmp/a": file(b"1"), "/tmp/b": file(b"2")}
UP = "Every directory on the way to a change is listed too, with C; the root is not."
DIFF = Task(
    "4.4",
    "diff",
    ("lower", "upper"),
    "This is what `docker diff` prints",
    (
        Case("nothing was written", (ETC, ETC), [], "Equal trees: an empty list."),
        Case("a new file at the top", (ROOT, ROOT | {"/note": file(b"x")}), ["A /note"], "The root is never listed."),
        Case(
            "a new file in an old directory",
            (ETC, ETC | {"/etc/new": file()}),
            ["C /etc", "A /etc/new"],
            f"{UP} Sort by path.",
        ),
        Case(
            "other content",
            (ETC, ETC | {"/etc/motd": file(b"ho")}),
            ["C /etc", "C /etc/motd"],
            "What both have, and is another entry now, is C: lower[path] != upper[path].",
        ),
        Case("another mode", (TMP, TMP | {"/tmp": directory(0o700)}), ["C /tmp"], "Compare whole entries."),
        Case(
            "a file deleted",
            (ETC, {path: entry for path, entry in ETC.items() if path != "/etc/motd"}),
            ["C /etc", "D /etc/motd"],
            "What lower has and upper has not is D. " + UP,
        ),
        Case("a directory deleted", (TMP, ETC), ["D /tmp"], "Only its top is listed: its parent is still there."),
        Case(
            "a new directory",
            (ETC, ETC | {"/app": directory(), "/app/x": file()}),
            ["A /app", "A /app/x"],
            "What is new is A, the directory and all in it.",
        ),
        Case(
            "a file in the place of a directory",
            (TMP, ETC | {"/tmp": file(b"x")}),
            ["C /tmp"],
            "What was below a directory that became a file is not listed.",
        ),
        Case(
            "all at once, sorted by path",
            (TMP, ROOT | {"/etc": directory(), "/etc/motd": file(b"ho"), "/tmp": directory(), "/tmp/c": file()}),
            ["C /etc", "C /etc/motd", "D /etc/passwd", "C /tmp", "D /tmp/a", "D /tmp/b", "A /tmp/c"],
            "Sort by path, not by letter.",
        ),
    ),
    (
        "Collect a dict path -> letter: A and C from upper, D from lower, then C for the directories on the way.",
        "D: not in upper, and parent(path) is in upper, as a directory: upper[parent(path)].kind == 'dir'.",
        "For every path found go up: while (path := parent(path)) != '/': letters.setdefault(path, 'C').",
    ),
    Container.diff,
    show_lines,
    3,
)
TASKS = (AFTER, FIND, RESTARTS, DIFF)

# The transplant

SERVER = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.02; done"]
CLUMSY = ["sh", "-c", "echo oops >> /log; echo draft > /menu; rm -r /attic /shelf/a; mkdir -p /in/box; exit 3"]
FILES = {"menu": "apples\n", "shelf/a": "a\n", "shelf/b": "b\n", "attic/box/c": "c\n"}
RECIPE = "FROM minidocker/base\nCOPY --chmod=755 . /\n"
VERBS = "pause unpause kill stop start start pause start pause remove unpause remove stop kill start pause kill remove"
TOO_OFTEN = 4  # a policy that has the transplant restart something this often would never end


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Two containers live, with the reference's functions and with the learner's: are they the same lives?"""
    return operate(counted(namespace, TASKS), grafts, _live, FILES, runtime="simulated")


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    return {
        life.after: organs["after"],
        Containers.get: _get(organs["find"]),
        policy.restarts: _restarts(organs["restarts"]),
        Container.diff: _diff(organs["diff"]),
    }


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    engine.images.build(path=str(folder), text=RECIPE, tag="shop")
    web = engine.containers.create("shop", SERVER, name="web")
    other = engine.containers.create("shop", "true", name=web.id[:6])  # its name is how another's id begins
    words = (web.id[:6], web.id[:9], "/web", "we")
    facts = {"who is meant": ", ".join(_meant(engine, word, web, other) for word in words)}
    facts["web's life"] = ", ".join(f"{verb}: {_after(web, verb)}" for verb in VERBS.split())
    twice = {"Name": "on-failure", "MaximumRetryCount": 2}
    clumsy = engine.containers.create("shop", CLUMSY, name="clumsy", restart_policy=twice)
    clumsy.start(Stdio(attached=True))
    facts["restarts of clumsy"] = str(clumsy.state()["RestartCount"])
    facts["docker diff clumsy"] = ", ".join("CAD"[line["Kind"]] + " " + line["Path"] for line in clumsy.diff())
    image = clumsy.commit("saved")
    return Outcome(facts | {"the id of what is committed": image.id}, core(image, engine, title))


def _meant(engine: Engine, word: str, *known: Container) -> str:
    try:
        return ("web", "the other")[known.index(engine.containers.get(word))]
    except APIError:
        return "nobody"


def _after(container: Container, verb: str) -> str:
    """The state that a verb leads to, or that Docker refuses it."""
    try:
        getattr(container, verb)(**({"timeout": 2} if verb == "stop" else {}))
        return container.status
    except NotFound:
        return "removed" if verb == "remove" else "no such container"
    except APIError:
        return "refused"


def _get(find: Callable[..., str | None]) -> Callable[[Containers, str], Container]:
    """`Containers.get`, by the learner's `find`."""

    def get(containers: Containers, container_id: str) -> Container:
        ids = list(containers._ids())
        names = {containers.read(id)["Name"]: id for id in ids}
        try:
            found = find(container_id, names, ids)
        except ValueError:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {container_id}") from None
        if found is None:
            raise NotFound(f"No such container: {container_id}")
        return Container(containers, containers.read(found))

    return get


def _restarts(restarts: Callable[..., bool]) -> Callable[[str, int, int, int, bool], bool]:
    """`policy.restarts`, by the learner's; one that would go on for ever is ended."""

    def judge(name: str, most: int, code: int, count: int, by_hand: bool) -> bool:
        if count >= TOO_OFTEN:
            raise RecursionError(f"restarts said yes {count} times to {name}:{most}, and would go on for ever")
        return restarts(name, most, code, count, by_hand)

    return judge


def _diff(diff: Callable[[Entries, Entries], list[str]]) -> Callable[[Container], list[dict[str, Any]]]:
    """`Container.diff`, by the learner's."""

    def lines(container: Container) -> Iterator[dict[str, Any]]:
        lower = view(tuple(layer.changes for layer in container.image.layers))
        for line in diff(lower.entries(), container.tree().entries()):
            letter, _, path = line.partition(" ")
            yield {"Path": path, "Kind": "CAD".index(letter)}

    return lambda container: list(lines(container))
