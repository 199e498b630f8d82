"""Exercise 06: lines that go on, variables in words, exec and shell form, and what ENTRYPOINT and CMD start.

The engine's own functions know more: here-documents, quotes and `${v%pattern}`, parser directives. Where a Dockerfile
needs that, the adapters below leave the work to them; all else is the learner's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.container import spec
from minidocker.dockerfile import lines, words
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, core, counted, operate
from minidocker.grading.show import show_lines, show_numbered, show_words
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict

if TYPE_CHECKING:
    from minidocker.engine import Engine

# Specifications

LAST = "Is it the last thing on the line, blanks aside, and not doubled? Then the line goes on, without it."

JOIN = Task(
    "6.1",
    "join_lines",
    ("text", "escape"),
    "This is how every Dockerfile is read, before anybody asks what an instruction means",
    (
        Case(
            "two lines",
            ("FROM scratch\nCMD x\n", "\\"),
            [(1, "FROM scratch"), (2, "CMD x")],
            "Numbers count from 1: enumerate(text.split('\\n'), 1).",
        ),
        Case(
            "empty lines and comments",
            ("# the base\n  # of all\nFROM scratch\n\nCMD x\n", "\\"),
            [(3, "FROM scratch"), (5, "CMD x")],
            "A line that is empty, or begins with # after its blanks, is no instruction; but it counts.",
        ),
        Case(
            "a line that goes on",
            ("RUN a \\\n  b\nCMD x\n", "\\"),
            [(1, "RUN a   b"), (3, "CMD x")],
            f"{LAST} The next line follows as it stands, blanks and all; the number is that of the first.",
        ),
        Case(
            "a comment between them",
            ("RUN a && \\\n  # why\n  b\n", "\\"),
            [(1, "RUN a &&   b")],
            "A comment line inside vanishes, and the instruction still goes on.",
        ),
        Case(
            "an empty line between them",
            ("RUN a && \\\n\n  b\nCMD x\n", "\\"),
            [(1, "RUN a &&   b"), (4, "CMD x")],
            "Docker warns of it, but an empty line does not end what goes on.",
        ),
        Case(
            "a # within a line",
            ("RUN echo a # b\n", "\\"),
            [(1, "RUN echo a # b")],
            "Only a whole line is a comment to Docker. What # means further on is the shell's business.",
        ),
        Case(
            "a comment that ends in a backslash",
            ("# see C:\\\nFROM scratch\n", "\\"),
            [(2, "FROM scratch")],
            "A comment never goes on.",
        ),
        Case("the file ends too early", ("RUN a \\", "\\"), [(1, "RUN a ")], "What was begun is an instruction still."),
        Case("blanks at its end", ("RUN a \\  \n  b\n", "\\"), [(1, "RUN a   b")], LAST),
        Case("blanks at its start", ("  RUN a\n", "\\"), [(1, "RUN a")], "An instruction's first line loses them."),
        Case("a doubled backslash", ("RUN echo \\\\\nCMD x\n", "\\"), [(1, "RUN echo \\\\"), (2, "CMD x")], LAST),
        Case(
            "another escape character",
            ("COPY a C:\\\nRUN b `\n  c\n", "`"),
            [(1, "COPY a C:\\"), (2, "RUN b   c")],
            "`escape` is what ends a line that goes on: after `# escape=` it is another one, so that C:\\ can be said.",
        ),
        Case(
            "over three lines",
            ("RUN a && \\\n    b && \\\n    c", "\\"),
            [(1, "RUN a &&     b &&     c")],
            "A line that continues another may go on itself.",
        ),
    ),
    (
        "Keep what is under way (its number, its text so far), and whether it goes on, from one line to the next.",
        "For each line: skip it if it is blank or a comment. If nothing is under way, begin; else add it as it stands.",
        "line.rstrip().endswith(escape), and not .endswith(escape * 2): cut at that place, and wait for the next line.",
    ),
    lines._Reader.joined,
    show_numbered,
    3,
)

SHELL_FORM = "Anything that is no JSON list goes, as it stands, to a shell: ['/bin/sh', '-c', text]."

COMMAND = Task(
    "6.2",
    "command",
    ("text",),
    "This decides whether your program or a shell is process 1",
    (
        Case("the exec form", ('["echo", "hi"]',), ["echo", "hi"], "json.loads(text) reads it."),
        Case("the shell form", ("echo hi",), ["/bin/sh", "-c", "echo hi"], SHELL_FORM),
        Case(
            "the shell form with quotes",
            ('echo "hi  you"',),
            ["/bin/sh", "-c", 'echo "hi  you"'],
            "Nothing is split and no quote is removed: the shell does that.",
        ),
        Case(
            "single quotes",
            ("['echo', 'hi']",),
            ["/bin/sh", "-c", "['echo', 'hi']"],
            "JSON knows double quotes only. So Docker takes this for the shell form, and the shell looks for `[echo,`!",
        ),
        Case(
            "a test, which begins with a bracket",
            ("[ -f /x ] && cat /x",),
            ["/bin/sh", "-c", "[ -f /x ] && cat /x"],
            f"json.loads raises ValueError here. {SHELL_FORM}",
        ),
        Case("JSON, but no list", ('"echo"',), ["/bin/sh", "-c", '"echo"'], "Only a *list* is the exec form."),
        Case("an empty list", ("[]",), [], "CMD [] takes away the CMD of the base."),
        Case(
            "a variable in the exec form",
            ('["echo", "$HOME"]',),
            ["echo", "$HOME"],
            "No shell, no variables: $HOME stays as it is.",
        ),
    ),
    (
        "try: words = json.loads(text), except ValueError: it is the shell form.",
        "type(words) is list tells the exec form from other JSON.",
        'The shell form is ["/bin/sh", "-c", text].',
    ),
    lines.json_list,
    show_words,
    1,
)

SET = {"USER": "app", "EMPTY": "", "HOME": "/home/app", "PRICE": "$USER"}

EXPAND = Task(
    "6.3",
    "expand",
    ("word", "env"),
    "This happens to the words of FROM, ENV, COPY, WORKDIR and others, before they are carried out",
    (
        Case(
            "a variable",
            ("/srv/$USER", SET),
            "/srv/app",
            "A name is letters, digits and _: \\w+ in a regular expression.",
        ),
        Case("in braces", ("${USER}data", SET), "appdata", "Braces end the name where something else follows."),
        Case("two of them", ("$USER:$HOME", SET), "app:/home/app", "Go on after the first."),
        Case(
            "one that is not set", ("$NONE/x", SET), "/x", "What is not set is empty, and no error: env.get(name, '')."
        ),
        Case(
            "a longer name",
            ("$USERNAME", SET),
            "",
            "The whole name counts, not its beginning: USERNAME is another variable, and that one is not set.",
        ),
        Case(
            "a value with a dollar in it",
            ("$PRICE", SET),
            "$USER",
            "A value is not looked at again: go through the word once, do not replace in what was replaced already.",
        ),
        Case(
            "escaped", ("\\$USER", SET), "$USER", "After a backslash the next character is itself; the backslash goes."
        ),
        Case(
            "an escaped backslash",
            ("\\\\$USER", SET),
            "\\app",
            "The first backslash takes the second one with it, and then $USER is a variable again.",
        ),
        Case("a dollar alone", ("100$ or $", SET), "100$ or $", "A $ that no name follows is a dollar."),
        Case("a default", ("base:${TAG:-latest}", SET), "base:latest", "${name:-default} where the name is not set."),
        Case("a default for what is empty", ("${EMPTY:-x}", SET), "x", "With a colon, empty counts as not set."),
        Case("a default that is not needed", ("${USER:-x}", SET), "app", "It has a value: that one."),
        Case(
            "the opposite",
            ("${USER:+yes}/${NONE:+yes}", SET),
            "yes/",
            "${name:+word} is the word if there *is* a value.",
        ),
        Case("a default with a variable", ("${TAG:-$USER}", SET), "app", "The default is a word as well: expand it."),
    ),
    (
        "Walk through the word by position, or let re.sub call a function for each piece that means something.",
        r"The pieces: \\(.) or \$(\w+) or \$\{(\w+)(?:(:[-+])([^}]*))?\}. In that order, so that an escape wins.",
        "Of a piece: the escaped character itself; or value = env.get(name, ''), then :- and :+ ask if it is empty.",
    ),
    words.expand,
    show_lines,
    3,
)

PROCESS = Task(
    "6.4",
    "process",
    ("entrypoint", "cmd", "override", "arguments"),
    "This is process 1 of the container",
    (
        Case("only CMD", ([], ["sh"], None, []), ["sh"], "Without ENTRYPOINT, CMD is the command."),
        Case("CMD and arguments", ([], ["sh"], None, ["ls", "/"]), ["ls", "/"], "Arguments take the place of CMD."),
        Case(
            "ENTRYPOINT and CMD",
            (["ping"], ["localhost"], None, []),
            ["ping", "localhost"],
            "Together: ENTRYPOINT is the program, CMD its default arguments.",
        ),
        Case(
            "ENTRYPOINT, CMD and arguments",
            (["ping"], ["localhost"], None, ["-c1", "db"]),
            ["ping", "-c1", "db"],
            "The arguments replace CMD, as a whole, and are given to ENTRYPOINT: they never replace that one.",
        ),
        Case("ENTRYPOINT alone", (["ping"], [], None, []), ["ping"], "Nothing is added."),
        Case(
            "an ENTRYPOINT in shell form",
            (["/bin/sh", "-c", "ping"], [], None, ["-c1"]),
            ["/bin/sh", "-c", "ping", "-c1"],
            "Docker adds the arguments all the same, and `sh -c ping -c1` ignores them. Hence exec form.",
        ),
        Case(
            "--entrypoint alone",
            (["ping"], ["localhost"], ["sh"], []),
            ["sh"],
            "CMD was meant for the old ENTRYPOINT: --entrypoint drops it too.",
        ),
        Case(
            "--entrypoint and arguments",
            (["ping"], ["localhost"], ["sh"], ["-c", "id"]),
            ["sh", "-c", "id"],
            "`override` takes the place of ENTRYPOINT.",
        ),
    ),
    (
        "Two lists, one after the other: the program, and its arguments.",
        "Without an override: entrypoint + (arguments or cmd).",
        "With one: override + arguments.",
    ),
    spec._program,
    show_words,
    1,
)
TASKS = (JOIN, COMMAND, EXPAND, PROCESS)

# The transplant

DOCKERFILE = """\
# a greeting, in several lines
FROM minidocker/base
ARG who=world
ENV GREETING=${GREETING:-hello} PLACE=/srv/${who:-nobody} \\
    # costs nothing
    PRICE=\\$0
WORKDIR $PLACE
COPY --chmod=644 words.txt ${NOWHERE}words.txt
RUN echo $GREETING $who >> words.txt && \\
    # one layer for both

    echo done >> words.txt
RUN ["cp", "words.txt", "copy of $who"]
ENTRYPOINT ["cat"]
CMD ["words.txt"]
"""


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Build a Dockerfile that the learner's functions read, and start what they say."""
    files = {"Dockerfile": DOCKERFILE, "words.txt": "these are words\n"}
    return operate(counted(namespace, TASKS), grafts, _live, files)


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    image, _ = engine.images.build(path=str(folder), tag="app")

    def run(command: list[str] | None = None, **options: Any) -> str:
        output: bytes = engine.containers.run("app", command, remove=True, **options)
        return " / ".join(output.decode().split("\n")[:-1])

    facts = {
        "the image's id": image.id,
        "docker run app": run(),
        "docker run app words.txt words.txt": run(["words.txt", "words.txt"]),
        "docker run --entrypoint pwd app": run(entrypoint=["pwd"]),
        "docker run --entrypoint sh app -c 'echo $PRICE'": run(["-c", "echo $PRICE"], entrypoint=["sh"]),
    }
    return Outcome(facts, core(image, engine, title))


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    return {
        lines._Reader.instructions: _instructions(organs["join_lines"], lines._Reader.instructions),
        lines.json_list: _json_list(organs["command"]),
        words.expand: _expand(organs["expand"], words.expand),
        spec._program: _program(organs["process"], spec._program),
    }


def _instructions(join_lines: Callable[[str, str], list[tuple[int, str]]], original: Any) -> Any:
    """How a Dockerfile's lines become instructions; here-documents, which are no lines, are read by the engine."""

    def instructions(reader: Any) -> Iterator[lines.Line]:
        every = list(reader.raw)
        if "<<" in "".join(every):
            reader.raw = iter(every)
            yield from original(reader)
            return
        for line in every:
            reader.directive(line.strip())  # for the escape character; it looks at the top of the file only
        for number, text in join_lines("".join(every), reader.escape):
            reader.number = number
            yield reader.instruction(text, ())

    return instructions


def _json_list(command: Callable[[str], list[str]]) -> Callable[[str], list[str] | None]:
    """The words of the exec form; None for what goes to the shell."""

    def json_list(text: str) -> list[str] | None:
        argv = command(text)
        return None if argv == ["/bin/sh", "-c", text] else argv

    return json_list


SIMPLE = re.compile(
    r"""(?: [^\\$'"] | \\. | \$[^\W\d]\w* | \$\{ [^\W\d]\w* (?: :[-+] [^{}'"\\]* )? \} | \$(?![\w{@*\#?$!-]) )*""",
    re.X | re.S,
)


def _expand(organ: Callable[[str, dict[str, str]], str], original: Callable[..., str]) -> Callable[..., str]:
    """Words without quotes and patterns; those others are left to the engine."""

    def expand(word: str, env: Any, escape: str = "\\") -> str:
        if escape != "\\" or not SIMPLE.fullmatch(word):
            return original(word, env, escape)
        return organ(word, dict(env))

    return expand


def _program(process: Callable[..., list[str]], original: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """What a container starts. Where nothing is left to start, the engine has the words for it."""

    def program(image: Any, command: Any, entrypoint: Any) -> dict[str, Any]:
        override = None if entrypoint is None else spec.words(entrypoint)
        start, rest = (list(image.config.get(key) or []) for key in ("Entrypoint", "Cmd"))
        argv = process(start, rest, override, spec.words(command))
        return {"Entrypoint": None, "Cmd": argv} if argv and override != [] else original(image, command, entrypoint)

    return program
