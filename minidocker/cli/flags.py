"""The grammar of docker's options: a command is declared by its own help text.

    @command('''
    rm [OPTIONS] CONTAINER [CONTAINER...]

    Remove one or more containers

      -f, --force   Force the removal of a running container (uses SIGKILL)
    ''')
    def rm(call: Call) -> int: ...

The first line says how many arguments there are, the lines that start with a dash what options: a bool, or with a word
after the name (`string`, `list`, `int`, `filter`…) one that takes a value. Options follow docker's rules (those of the
pflag library): `-it`, `-p80:80`, `-e A=b`, `--env=A=b`, `--rm=false`, `--` ends them, and where the arguments are
somebody else's command line (`[ARG...]`) so does the first argument. Complaints have docker's words and exit codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from textwrap import dedent, wrap
from typing import Any, NamedTuple


class Exit(BaseException):
    """Leave with this exit code, after this text on stderr.

    As SystemExit, no Exception: a signal handler raises it too, in whatever code is running then.
    """

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Invalid(Exit):
    """Leave, as a value that the options of `run` or `create` were given makes no sense."""

    def __init__(self, why: str, code: int = 125) -> None:
        super().__init__(code, why)


class Flag(NamedTuple):
    """One option: `Flag("env", "e", "list", "Set environment variables", "")`; a `kind` of "" is a bool."""

    name: str
    short: str
    kind: str
    help: str
    default: str = ""

    @property
    def title(self) -> str:
        """As complaints name it: `-e, --env`."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    def initial(self) -> Any:
        """Its value when nobody gives it."""
        if self.kind in ("list", "map", "strings", "filter", "network"):
            return []
        return (
            self.read(self.default) if self.default else (False if not self.kind else 0 if self.kind == "int" else "")
        )

    def read(self, text: str) -> Any:
        """`text` as a value of this kind; ValueError in Go's words."""
        if not self.kind:
            if text not in _BOOLS:
                raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
            return _BOOLS[text]
        if self.kind == "int":
            if not re.fullmatch(r"[-+]?\d+", text):
                raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
            return int(text)
        if self.kind == "filter" and "=" not in text:
            raise ValueError("bad format of filter (expected name=value)")
        return text


_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class Call:
    """A command line, read: `call.args`, and each option as an attribute (`call.no_trunc`).

    `given` names the options that were really there; `top` is the Call of those before the command.
    """

    engine: Any = None
    top: Any = None

    def __init__(self, command: Command, path: str) -> None:
        self.command, self.path = command, path
        self.args: list[str] = []
        self.options: dict[str, Any] = {name: flag.initial() for name, flag in command.flags.items()}
        self.given: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        try:
            return self.options[name.replace("_", "-")]
        except KeyError:
            raise AttributeError(name) from None


class Command(NamedTuple):
    """One command, and how its command line is read."""

    name: str
    usages: tuple[str, ...]
    summary: str
    details: str
    flags: Mapping[str, Flag]
    refused: Mapping[str, Flag]
    checks: Mapping[str, Callable[[str], object]]
    run: Handler
    needs_engine: bool = True

    @property
    def arity(self) -> tuple[int, int | None]:
        """The fewest and the most arguments, as the usage line says."""
        words = _usage_words(self.usages[0])
        least = sum(not word.startswith("[") for word in words)
        return least, None if "..." in self.usages[0] or "[ps OPTIONS]" in self.usages[0] else len(words)

    @property
    def interspersed(self) -> bool:
        """Whether options may follow arguments; not where the arguments are another command's."""
        return not any(others in self.usages[0] for others in ("[ARG...]", "[ps OPTIONS]"))

    def parse(self, path: str, argv: Sequence[str]) -> Call:
        """`argv` read by this command's rules; raises `Exit` with docker's complaint."""
        call = Call(self, path)
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if word == "--":
                call.args += rest
                break
            if word.startswith("--"):
                self._long(call, word, rest)
            elif word.startswith("-") and word != "-":
                self._shorts(call, word[1:], rest)
            else:
                call.args.append(word)
                if not self.interspersed:
                    call.args += rest
                    break
        self._count(call)
        return call

    def _long(self, call: Call, word: str, rest: list[str]) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name[0] in "-=":
            raise self._misuse(call, f"bad flag syntax: {word}")
        if name == "help":
            raise Exit(0, self.help(call.path))
        flag = self._known(name)
        if flag is None:
            raise self._misuse(call, f"unknown flag: --{name}")
        if not equals and not flag.kind:
            value = "true"
        elif not equals:
            if not rest:
                raise self._misuse(call, f"flag needs an argument: --{name}")
            value = rest.pop(0)
        self._set(call, flag, value)

    def _shorts(self, call: Call, letters: str, rest: list[str]) -> None:
        while letters:
            letter, tail = letters[0], letters[1:]
            flag = next((f for f in (*self.flags.values(), *self.refused.values()) if f.short == letter), None)
            if flag is None and letter == "h":
                raise Exit(0, self.help(call.path))
            if flag is None:
                raise self._misuse(call, f"unknown shorthand flag: '{letter}' in -{letters}")
            if tail.startswith("=") and len(tail) > 1:
                value, letters = tail[1:], ""
            elif not flag.kind:
                value, letters = "true", tail
            elif tail:
                value, letters = tail, ""
            elif rest:
                value, letters = rest.pop(0), ""
            else:
                raise self._misuse(call, f"flag needs an argument: '{letter}' in -{letter}")
            self._set(call, flag, value)

    def _known(self, name: str) -> Flag | None:
        return self.flags.get(name) or self.refused.get(name)

    def _set(self, call: Call, flag: Flag, text: str) -> None:
        try:
            value = flag.read(text)
            if flag.name in self.checks:
                self.checks[flag.name](text)
        except ValueError as error:
            raise self._misuse(call, f'invalid argument "{text}" for "{flag.title}" flag: {error}') from None
        if flag.name in self.refused:
            if not flag.kind and not value:
                return  # --privileged=false asks for nothing
            why = f"minidocker: --{flag.name} is not supported: {flag.help}"
            raise Exit(125, f"{why}\n\nRun '{call.path} --help' for what is")
        call.given.add(flag.name)
        if flag.kind in ("list", "map", "filter", "network"):
            call.options[flag.name].append(value)
        elif flag.kind == "strings":
            call.options[flag.name] += value.split(",")
        else:
            call.options[flag.name] = value

    def _count(self, call: Call) -> None:
        least, most = self.arity
        count = len(call.args)
        if least <= count and (most is None or count <= most):
            return
        if most == 0:
            wants = "accepts no arguments"
        elif most is None:
            wants = f"requires at least {_arguments(least)}"
        elif least == most:
            wants = f"requires {_arguments(least)}"
        else:
            wants = f"requires {f'at least {least} and ' if least else ''}at most {_arguments(most)}"
        where = "See" if most is None else "Run"
        raise self._misuse(call, f"minidocker: '{call.path}' {wants}", 1, where)

    def _misuse(self, call: Call, message: str, code: int = 125, where: str = "Run") -> Exit:
        help = f"{where} '{call.path} --help' for more information"
        return Exit(code, f"{message}\n\n{self.usage(call.path)}\n\n{help}")

    def usage(self, path: str) -> str:
        """`Usage:  minidocker rm [OPTIONS] CONTAINER [CONTAINER...]`."""
        return "Usage:  " + "\n\t".join(f"{path} {usage}".rstrip() for usage in self.usages)

    def help(self, path: str) -> str:
        """The page that `--help` prints, laid out as docker's."""
        parts = [self.usage(path), self.summary]
        if self.details:
            parts.append(self.details)
        if self.flags:
            parts.append("Options:\n" + options_table(self.flags.values()))
        if self.refused:
            names = ", ".join(sorted(f"--{name}" for name in self.refused))
            parts.append("\n".join(wrap("Of docker's, not here yet: " + names, 80, break_on_hyphens=False)))
        return "\n\n".join(parts)


def _arguments(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'}"


def _usage_words(usage: str) -> list[str]:
    """The arguments of a usage line: `PATH | URL | -` is one word, so is `[REPOSITORY[:TAG]]`; `[OPTIONS]` is none."""
    words = re.findall(r"\[[^\[\]]*(?:\[[^\]]*\])?[^\[\]]*\]|\S+", usage.replace(" | ", "|"))
    return [word for word in words if word != "[OPTIONS]"]


def options_table(flags: Any) -> str:
    """The options as docker lists them, descriptions wrapped within 80 columns."""
    rows = []
    for flag in sorted(flags, key=lambda flag: str(flag.name)):
        left = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
        rows.append((f"{left} {flag.kind}".rstrip(), flag.help))
    width = max(len(left) for left, _ in rows) + 3
    lines = []
    for left, right in rows:
        first, *more = wrap(right, max(80 - width, 30)) or [""]
        lines += [left.ljust(width) + first, *(" " * width + line for line in more)]
    return "\n".join(lines)


_OPTION = re.compile(r"\s+(?:-(\w), )?--([\w-]+)(?: (\w[\w-]*))?(?: {2,}(.*))?")


def read_flags(text: str) -> dict[str, Flag]:
    """The options listed in a help text; indented lines without a dash go on with the description before."""
    flags: dict[str, Flag] = {}
    last = ""
    for line in text.splitlines():
        if match := _OPTION.fullmatch(line):
            short, last, kind, help = (part or "" for part in match.groups())
            flags[last] = Flag(last, short, kind, help)
        elif last and line.strip():
            flags[last] = Flag(last, flags[last].short, flags[last].kind, f"{flags[last].help} {line.strip()}".strip())
    for name, flag in flags.items():
        if default := re.search(r'\(default (?:"(.*?)"|(true|false|-?\d+))\)$', flag.help):
            flags[name] = Flag(name, flag.short, flag.kind, flag.help, default[1] or default[2])
    return flags


COMMANDS: dict[str, Command] = {}


Handler = Callable[[Call], int]


def refusals(reasons: Mapping[str, str]) -> dict[str, Flag]:
    """Options of docker's that we do not have, by the reason given: `p/publish=` is one that takes a value."""
    flags: dict[str, Flag] = {}
    for why, words in reasons.items():
        for word in words.split():
            short, _, name = word.rstrip("=").rpartition("/")
            flags[name] = Flag(name, short, "string" if word.endswith("=") else "", why)
    return flags


def command(
    text: str,
    *,
    refused: Mapping[str, str] | None = None,
    checks: Mapping[str, Callable[[str], object]] | None = None,
    needs_engine: bool = True,
) -> Callable[[Handler], Handler]:
    """Register a function as the command that `text` describes.

    `refused` lists options of docker's that change what happens and that we do not have, as `refusals` reads them.
    `checks` look at each value of an option and raise ValueError.
    """
    head, _, table = dedent(text).strip("\n").partition("\n  ")
    title, *paragraphs = head.strip().split("\n\n")
    usages = title.split("\n")
    name = re.match(r"[a-z -]*[a-z]", usages[0])
    assert name is not None, title

    def register(run: Handler) -> Handler:
        COMMANDS[name[0]] = Command(
            name[0],
            tuple(usage[len(name[0]) :].strip() for usage in usages),
            paragraphs[0],
            "\n\n".join(paragraphs[1:]),
            read_flags("  " + table),
            refusals(refused or {}),
            checks or {},
            run,
            needs_engine,
        )
        return run

    return register
