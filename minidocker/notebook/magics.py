"""`%%dockerfile` and `%docker`: a cell that is a Dockerfile, and docker's command line in a cell.

Both work on the variable `engine` of the notebook where it is a minidocker engine, else on `minidocker.connect()`.

    %%dockerfile -t app {folder}   build this cell with the context `folder`; its result, the Build, draws itself
    %%dockerfile --check           build nothing: show what Docker would warn about, beside the lines
    %docker run --rm app           the command line, in this process, its output in the cell
"""

from __future__ import annotations

import re
import shlex
import sys
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any

from minidocker.errors import BuildError, DockerException, DockerfileError, InvalidArgument
from minidocker.notebook.pictures.ladder import ladder
from minidocker.notebook.pictures.lint import linted
from minidocker.notebook.pictures.svg import Figure

if TYPE_CHECKING:
    from minidocker.build import Build, Step
    from minidocker.engine import Engine

USAGE = "%%dockerfile [-t NAME] [--build-arg NAME=VALUE]... [--target STAGE] [--no-cache] [--check] [FOLDER]"
STEP = re.compile(r"Step \d+/(\d+) : (.*)")
VARIABLE = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
PROGRAMS = ("run", "exec", "start", "wait")  # commands whose exit code is that of the learner's own program


class Complaint(DockerException):
    """An error that shows as its message alone, without a traceback: what a learner can act on."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def load_ipython_extension(ipython: Any) -> None:
    """Add the magics to a running IPython, and make minidocker's own errors short there."""
    ipython.register_magic_function(lambda line, cell: dockerfile(line, cell, ipython), "cell", "dockerfile")
    ipython.register_magic_function(_literal(lambda line: docker(line, ipython)), "line", "docker")
    ipython.set_custom_exc((DockerException,), _short_traceback)


def dockerfile(line: str, cell: str, ipython: Any) -> Build | Figure:
    """Build the cell as a Dockerfile, with live progress; the Build is the cell's result, or with --check its warnings.

    Without FOLDER the context is empty. Raises Complaint, with the line of the Dockerfile that is to blame.
    """
    options = parse(shlex.split(line))
    if options.pop("check"):
        return checked(cell, options, ipython)
    with Progress(", ".join(options["tag"]) or "the build") as progress:
        try:
            _, build = engine_of(ipython).images.build(**options, text=cell, on_event=progress)
        except DockerfileError as error:
            raise Complaint(marked(cell, error.line, str(error))) from None
        except BuildError as error:
            raise Complaint(marked(cell, progress.line(cell), "".join([*progress.said, error.msg]))) from None
        except DockerException as error:
            raise Complaint(marked(cell, progress.line(cell), str(error))) from None
    made: Build = build
    return made


def checked(cell: str, options: dict[str, Any], ipython: Any) -> Figure:
    """The cell with what Docker would warn about. Raises Complaint for what it would not build."""
    try:
        return linted(cell, engine_of(ipython).images.check(**options, text=cell))
    except DockerfileError as error:
        raise Complaint(marked(cell, error.line, str(error))) from None


def docker(line: str, ipython: Any) -> None:
    """Run one docker command in this process. A program's own exit code is told; a failed command raises Complaint."""
    from minidocker.cli import main

    engine = engine_of(ipython)
    words = [with_variables(word, ipython.user_ns) for word in shlex.split(line)]
    code = main(["--root", str(engine.root), "--runtime", engine.runtime.name, *words])
    if not code:
        return
    if words and words[0] in PROGRAMS and code < 125:
        print(f"(exit code {code})", file=sys.stderr)
    else:
        raise Complaint(f"docker {line.strip()}: exit code {code}")


def with_variables(word: str, variables: Mapping[str, Any]) -> str:
    """A word with the notebook's variables filled in; Go's templates stay as they are.

    >>> with_variables("{folder}/x {{.Names}} {other}", {"folder": "/tmp", "Names": 1})
    '/tmp/x {{.Names}} {other}'
    """
    return VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), word)


def engine_of(ipython: Any) -> Engine:
    """The notebook's `engine` where it has one, else the user's own."""
    import minidocker

    found: Engine | None = ipython.user_ns.get("engine")
    if type(found).__name__ == "Engine" and type(found).__module__ == "minidocker.engine":
        assert found is not None
        return found
    made: Engine = minidocker.connect()
    return made


def parse(words: Sequence[str]) -> dict[str, Any]:
    """The options of `%%dockerfile`. Raises InvalidArgument with the usage.

    >>> parse(["-t", "app", "--build-arg", "V=1", "ctx"])["buildargs"]
    {'V': '1'}
    """
    found: dict[str, Any] = {"tag": [], "buildargs": {}, "target": "", "nocache": False, "check": False, "path": None}
    left = list(words)
    while left:
        word, _, value = left.pop(0).partition("=")
        if word in ("--no-cache", "--check"):
            found[word.replace("-", "")] = True
        elif word in ("-t", "--tag", "--build-arg", "--target"):
            if not (value or left):
                raise InvalidArgument(f"flag needs an argument: {word}\nUsage: {USAGE}")
            _set(found, word, value or left.pop(0))
        elif word.startswith("-") or found["path"]:
            raise InvalidArgument(f"unknown option: {word}\nUsage: {USAGE}")
        else:
            found["path"] = f"{word}={value}" if value else word
    return found


def _set(found: dict[str, Any], word: str, value: str) -> None:
    if word in ("-t", "--tag"):
        found["tag"].append(value)
    elif word == "--target":
        found["target"] = value
    else:
        name, _, rest = value.partition("=")
        found["buildargs"][name] = rest


def marked(text: str, line: int, message: str) -> str:
    """A message, with the line of a Dockerfile that it is about (0: none) and its neighbours.

    >>> print(marked("FROM scratch\\nCOPY a\\nCMD x", 2, "COPY needs two"))
    COPY needs two
        1 │ FROM scratch
    →   2 │ COPY a
        3 │ CMD x
    """
    lines = text.splitlines()
    around = range(max(line - 2, 1), min(line + 1, len(lines)) + 1) if line else range(0)
    shown = [f"{'→' if number == line else ' '} {number:>3} │ {lines[number - 1]}" for number in around]
    return "\n".join([message.rstrip(), *shown])


class Progress:
    """A ladder that grows while a build runs, and vanishes when it is done: the Build itself is drawn then."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.steps: list[Step] = []
        self.total = 0
        self.running: dict[int, str] = {}  # the instructions that are being carried out: of several stages, several
        self.outputs: dict[int, list[str]] = {}  # what their programs printed
        self.failed = 0
        self.handle: Any = None

    def __enter__(self) -> Progress:
        self.handle = _display().display(_display().HTML(""), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.handle is not None:
            self.handle.update(_display().HTML(""))

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event of the build."""
        number, text = int(event.get("id", 0)), event.get("stream", "")
        if found := STEP.match(text):
            self.running[number], self.total = found[2], int(found[1])
        elif "step" in event:
            insort(self.steps, event["step"], key=lambda step: step.number)
            self.running.pop(event["step"].number)
        elif "errorDetail" in event:
            self.failed = int(event.get("failed", 0))
        elif number:
            self.outputs.setdefault(number, []).append(text)
        if self.handle is not None and (found or "step" in event):
            running = [self.running[number] for number in sorted(self.running)]
            self.handle.update(ladder(f"building {self.title}", self.steps, self.total, running=running))

    @property
    def said(self) -> list[str]:
        """What the program of the step that failed printed."""
        return self.outputs.get(self.failed, [])

    def line(self, text: str) -> int:
        """The line of the Dockerfile `text` where the instruction stands that failed (0: not found)."""
        after = max((step.line for step in self.steps if step.number < self.failed), default=0)
        keyword = self.running.get(self.failed, "").partition(" ")[0]
        lines = list(enumerate(text.splitlines(), 1))
        return next((number for number, line in lines if number > after and line.split()[:1] == [keyword]), 0)


def _literal(magic: Callable[[str], None]) -> Callable[[str], None]:
    """Keep IPython from taking the braces of `--format "{{.Names}}"` for its own."""
    vars(magic)["_ipython_magic_no_var_expand"] = True
    return magic


def _display() -> Any:
    """IPython's displays; imported late, since only a running notebook needs them."""
    return import_module("IPython.display")


def _short_traceback(shell: Any, kind: type[BaseException], error: BaseException, *_: Any, **__: Any) -> list[str]:
    """How IPython shows an error of minidocker's: its name and message."""
    lines = [f"{kind.__name__}: {error}"]
    shell._showtraceback(kind, error, lines)
    return lines
