"""Exercise 07: what a cache key is made of, what counts of a file, what is left out of a context, which stages run.

In the transplant the engine adds to each step and to each file what may not count (line numbers, times), and that
changes at every look. Patterns are matched by the engine: the tasks are about which line of `.dockerignore` decides.
(Docker has one more rule there: a line that changes nothing for a directory is not asked again for what lies in it.)
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.build import cache
from minidocker.build.stages import Graph
from minidocker.dockerignore import Ignore
from minidocker.errors import DockerfileError
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, counted, operate
from minidocker.grading.show import Entries, show_ignored, show_text, show_words
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.notebook.pictures.svg import Figure
from minidocker.tree import Data, Entry, directory, file, symlink

if TYPE_CHECKING:
    from minidocker.dockerfile import Stage
    from minidocker.engine import Engine

# Specifications


NOISE = ("line", "comment", "started", "seconds")


def _facts(step: Mapping[str, Any]) -> str:
    facts = {name: value for name, value in step.items() if name not in NOISE}
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def _listing(files: Entries) -> str:
    what = {path: entry.data.digest if entry.kind == "file" else entry.target for path, entry in files.items()}
    return "\n".join(f"{path} {e.kind} {e.mode:o} {e.uid}:{e.gid} {what[path]}" for path, e in sorted(files.items()))


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _key(step: Mapping[str, Any]) -> str:
    return _digest(_facts(step))


def _fingerprint(files: Entries) -> str:
    return _digest(_listing(files))


def _hashed(text_of: Callable[[Any], str]) -> Callable[[str, Any, tuple[Any, ...]], Figure]:
    """Pictures of digests: the right one shows the text that it is of."""

    def show(title: str, value: str, arguments: tuple[Any, ...]) -> Figure:
        text = text_of(arguments[0])
        of = text.split("\n") if value == _digest(text) else ["another text than the expected one"]
        return show_text(
            title,
            [
                f"{value[:27]}…",
                "is the digest of",
                *(f"  {line[n : n + 52]}" for line in of for n in range(0, len(line) or 1, 52)),
            ],
        )

    return show


MAKE = {"env": {"CC": "gcc", "V": "1"}, "parent": "sha256:aa", "run": "make"}
COPIED = {"parent": "sha256:aa", "copy": ["app.py"], "to": "/app/", "files": "sha256:bb"}
TYPED = "How it was typed changes nothing in the result: `line` and `comment` stay out of the key."
WHEN = "When it ran and how long that took changes nothing in the result: `started` and `seconds` stay out."

KEY = Task(
    "7.1",
    "cache_key",
    ("step",),
    "Two steps with the same key have the same result, so the second need not run",
    (
        Case("the facts of a RUN", (MAKE,), _key(MAKE), "json.dumps(step, sort_keys=True, separators=(',', ':'))"),
        Case(
            "the same facts in another order",
            ({"run": "make", "parent": "sha256:aa", "env": {"V": "1", "CC": "gcc"}},),
            _key(MAKE),
            "Dicts remember an order, facts have none: sort_keys=True, which sorts the dicts inside too.",
        ),
        Case("another parent", (MAKE | {"parent": "sha256:ab"},), _key(MAKE | {"parent": "sha256:ab"}), "It counts."),
        Case("another line", (MAKE | {"line": 7},), _key(MAKE), TYPED),
        Case("a comment above it", (MAKE | {"line": 8, "comment": "# go!"},), _key(MAKE), TYPED),
        Case("another time", (MAKE | {"started": "10:47:03", "seconds": 2.5},), _key(MAKE), WHEN),
        Case("the facts of a COPY", (COPIED | {"line": 3},), _key(COPIED), "All else counts, also what only COPY has."),
    ),
    (
        "Leave four names out: line, comment, started and seconds. All others are facts.",
        "text = json.dumps(facts, sort_keys=True, separators=(',', ':'))",
        "'sha256:' + hashlib.sha256(text.encode()).hexdigest()",
    ),
    cache.key_of,
    _hashed(_facts),
    1,
)


APP: Entries = {"app.py": file(b"print(1)", mtime=100), "run.sh": file(b"exec", mode=0o755, mtime=100)}
SITE: Entries = {"www": directory(), "www/home": symlink("index"), "www/index": file(b"<html>")}

FINGERPRINT = Task(
    "7.2",
    "fingerprint",
    ("files",),
    "This is how a COPY notices that your files changed, and that they did not",
    (
        Case(
            "two files",
            (APP,),
            _fingerprint(APP),
            "One line a path: f'{path} {entry.kind} {entry.mode:o} {entry.uid}:{entry.gid} {content}'.",
        ),
        Case("in another order", (dict(reversed(APP.items())),), _fingerprint(APP), "sorted(files.items())"),
        Case(
            "touched",
            (APP | {"app.py": file(b"print(1)", mtime=2000)},),
            _fingerprint(APP),
            "A file that was only touched is the same file: times do not count, or each new clone would miss.",
        ),
        Case("other content", ({"a": file(b"2")},), _fingerprint({"a": file(b"2")}), "entry.data.digest"),
        Case(
            "the same size, other content",
            ({"a": file(b"3")},),
            _fingerprint({"a": file(b"3")}),
            "A size is no proof: the digest is.",
        ),
        Case(
            "another mode",
            ({"a": file(b"2", mode=0o755)},),
            _fingerprint({"a": file(b"2", mode=0o755)}),
            "A file that may be executed now is another file: the mode counts, in octal digits ({entry.mode:o}).",
        ),
        Case("another owner", ({"a": file(b"2", uid=7)},), _fingerprint({"a": file(b"2", uid=7)}), "uid:gid counts."),
        Case(
            "a directory and a link",
            (SITE,),
            _fingerprint(SITE),
            "Only a file has content: of anything else take entry.target, where a link points (empty for a directory).",
        ),
        Case("no files", ({},), _fingerprint({}), "The digest of an empty text."),
    ),
    (
        "Go through sorted(files.items()), and make one line of text for each.",
        "content = entry.data.digest if entry.kind == 'file' else entry.target",
        "'sha256:' + hashlib.sha256('\\n'.join(lines).encode()).hexdigest()",
    ),
    cache.listing_digest,
    _hashed(_listing),
    2,
)

LAST = "Of the lines that match, the last one decides: go through all of them, and let each change your mind."

LEFT_OUT = Task(
    "7.3",
    "left_out",
    ("lines", "path"),
    "This decides what the builder sees of your folder, and what can make COPY miss",
    (
        Case("a pattern", (["*.log"], "a.log"), True, "matches(pattern, path) tells whether a pattern fits a path."),
        Case("nothing fits", (["*.log"], "a.txt"), False, "What no line speaks of stays in."),
        Case("no lines", ([], "a.txt"), False, "What no line speaks of stays in."),
        Case("an exception", (["*.log", "!keep.log"], "keep.log"), False, "A line that begins with ! takes back in."),
        Case("an exception for another", (["*.log", "!keep.log"], "a.log"), True, "The exception has to match too."),
        Case("an exception before the rule", (["!keep.log", "*.log"], "keep.log"), True, LAST),
        Case("out, in, and out again", (["*", "!*.md", "secret.md"], "secret.md"), True, LAST),
        Case(
            "what lies in a directory",
            ([".git"], ".git/refs/head"),
            True,
            "A directory goes with all that is in it: does the pattern match one of above(path)?",
        ),
        Case(
            "a star and a directory",
            (["*.log"], "logs/a.log"),
            False,
            "A * stops at a slash, other than in .gitignore: matches() knows, if you give it the path as it is.",
        ),
        Case(
            "an exception within a directory",
            (["docs", "!docs/api"], "docs/api/index.md"),
            False,
            "Both lines match a directory above the path; the last one decides.",
        ),
        Case("a comment", (["# *.md", "#a.md"], "#a.md"), False, "A line that begins with # is a comment, no pattern."),
        Case("an empty line", (["", "  ", "*.md"], "a.md"), True, "Empty lines say nothing; matches() refuses them."),
    ),
    (
        "out = False, and then line by line: one that matches sets it to True, or with a ! to False.",
        "A line matches if it matches the path, or one of above(path).",
        "Before: skip what is blank, or begins with #. line.removeprefix('!') is the pattern.",
    ),
    Ignore.excludes,
    show_ignored,
    2,
)

PLAN = Task(
    "7.4",
    "plan",
    ("needs", "target"),
    "A stage that the target does not need is never built",
    (
        Case("one stage", ({"app": []}, "app"), ["app"], "The target itself comes last."),
        Case(
            "it needs another", ({"build": [], "app": ["build"]}, "app"), ["build", "app"], "What it needs comes first."
        ),
        Case(
            "and that needs one more",
            ({"base": [], "build": ["base"], "app": ["build"]}, "app"),
            ["base", "build", "app"],
            "What is needed has needs itself.",
        ),
        Case(
            "a stage that nobody needs",
            ({"build": [], "test": ["build"], "app": ["build"]}, "app"),
            ["build", "app"],
            "Start at the target, not at the first stage: test is not on the way.",
        ),
        Case(
            "another target",
            ({"build": [], "test": ["build"], "app": ["build"]}, "test"),
            ["build", "test"],
            "The target need not be the last stage of the file.",
        ),
        Case(
            "two that need the same",
            ({"base": [], "a": ["base"], "b": ["base"], "app": ["a", "b"]}, "app"),
            ["base", "a", "b", "app"],
            "A stage is built once, however many need it.",
        ),
        Case(
            "a circle",
            ({"a": ["b"], "b": ["c"], "c": ["b"]}, "a"),
            ValueError,
            "b needs c, and c needs b: neither can be first. Remember on which way you came, and raise ValueError.",
        ),
        Case("itself", ({"a": ["a"]}, "a"), ValueError, "The smallest circle: raise ValueError."),
        Case(
            "the order of needs",
            ({"app": ["b", "a"], "a": [], "b": ["c"], "c": []}, "app"),
            ["c", "b", "a", "app"],
            "First all that the first one needs and that one itself, then the next.",
        ),
    ),
    (
        "A function in the function: visit(stage) visits all that the stage needs, and then appends the stage.",
        "A stage that is in the list already is not visited again.",
        "visit(stage, way): if the stage is in `way`, raise ValueError; what it needs is visited with way + [stage].",
    ),
    Graph.plan,
    show_words,
    3,
)
TASKS = (KEY, FINGERPRINT, LEFT_OUT, PLAN)

# The transplant

DOCKERFILE = """\
FROM minidocker/base AS build
WORKDIR /src
COPY main.txt .
RUN cat main.txt > app.txt && echo built >> app.txt
FROM build AS test
RUN exit 1
FROM minidocker/base
COPY --from=build /src/app.txt /app/
COPY . /docs/
CMD ["cat", "/app/app.txt"]
"""
FILES = {
    "Dockerfile": DOCKERFILE,
    ".dockerignore": "# not for images\nDockerfile\n*.log\n!keep.log\n.git\n",
    "main.txt": "main\n",
    "keep.log": "kept\n",
    "noise.log": "1\n",
    ".git/index": "1\n",
    "notes/today": "notes\n",
}


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Build three times, with edits that should not matter and one that does: hits and misses must be the same."""
    return operate(counted(namespace, TASKS), grafts, _live, FILES)


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    from minidocker.notebook.pictures.ladder import ladder

    facts = {}
    for name, edit in {
        "the first build": _nothing,
        "after what should not matter": _noise,
        "after an edit": _edit,
    }.items():
        edit(folder)
        image, build = engine.images.build(path=str(folder), tag="app")
        facts[name] = " ".join(step.decision.word for step in build.steps)
    facts["stages that were built"] = ", ".join(dict.fromkeys(step.stage or "(the last)" for step in build.steps))
    return Outcome(facts | {"the image's id": image.id}, ladder(title, build.steps))


def _nothing(folder: Path) -> None:
    pass


def _noise(folder: Path) -> None:
    """A touched file, files that are left out, and a comment that moves each line."""
    os.utime(folder / "main.txt", (2_000_000_000, 2_000_000_000))
    for name in ("noise.log", ".git/index"):
        (folder / name).write_bytes(b"2\n")
    (folder / "Dockerfile").write_bytes(f"# a comment\n{DOCKERFILE}".encode())


def _edit(folder: Path) -> None:
    (folder / "main.txt").write_bytes(b"edited\n")


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    return {
        cache.key_of: _key_of(organs["cache_key"]),
        cache.listing_digest: _listing_digest(organs["fingerprint"]),
        Ignore.excludes: _excludes(organs["left_out"]),
        Graph.plan: _plan(organs["plan"]),
    }


def _key_of(cache_key: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    """`cache.key_of`, of a step that is typed elsewhere and runs at another time at every look."""
    looks = itertools.count(1)

    def key_of(facts: dict[str, Any]) -> str:
        look = next(looks)
        return cache_key(facts | {"line": look, "comment": f"# look {look}", "started": look, "seconds": look / 10})

    return key_of


KINDS: dict[str, Entry] = {entry.kind: entry for entry in (file(), directory(), symlink(""))}


class Known(Data):
    """Bytes of which only the digest is known."""

    def __init__(self, digest: str) -> None:
        self.size = 0
        self.__dict__["digest"] = digest  # what the cached property would compute


def _listing_digest(fingerprint: Callable[[Entries], str]) -> Callable[[Mapping[str, str]], str]:
    """`cache.listing_digest`, of files that are touched at every look."""
    looks = itertools.count(1)

    def listing_digest(files: Mapping[str, str]) -> str:
        now = next(looks)
        return fingerprint({path: _entry(evidence, now) for path, evidence in files.items()})

    return listing_digest


def _entry(evidence: str, mtime: int) -> Entry:
    """The file that the cache tells of in one line: `file 644 0:0 sha256:…`."""
    kind, mode, owner, content = (f"{evidence} 755 0:0 " if evidence == "dir" else evidence).split(" ", 3)
    uid, _, gid = owner.partition(":")
    bare = replace(KINDS[kind], mode=int(mode, 8), uid=int(uid), gid=int(gid), mtime=mtime)
    return replace(bare, data=Known(content)) if kind == "file" else replace(bare, target=content)


def _excludes(left_out: Callable[[list[str], str], bool]) -> Callable[[Ignore, str], bool]:
    """`Ignore.excludes`, of lines that were cleaned before."""

    def excludes(ignore: Ignore, path: str) -> bool:
        lines = [f"{'!' if pattern.exception else ''}{pattern.text}" for pattern in ignore.patterns]
        return left_out(["# patterns", "", *lines], path.strip("/"))

    return excludes


def _plan(plan: Callable[[dict[str, list[str]], str], list[str]]) -> Callable[..., list[Stage]]:
    """`Graph.plan`, of names. (The triggers of bases, that the engine knows of, copy from no stage here.)"""

    def planned(graph: Graph, target: Stage, known: Callable[[Stage], Stage] | None = None) -> list[Stage]:
        named = {stage.title: stage for stage in graph.dockerfile.stages}
        needs = {name: [one.title for one in graph.needs(stage)] for name, stage in named.items()}
        try:
            order = [named[name] for name in plan(needs, target.title)]
        except ValueError as error:
            raise DockerfileError(f"circular dependency detected: {error}", graph.dockerfile.name) from error
        return [known(stage) if known else stage for stage in order]

    return planned
