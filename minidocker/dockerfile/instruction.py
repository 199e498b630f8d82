"""One instruction of a Dockerfile: what it says, and what becomes of it once its variables are known.

    >>> copy = parse_instruction("COPY --chown=$user a.txt b.txt $dir/")
    >>> copy.keyword, copy.args, copy.flags
    ('COPY', ('a.txt', 'b.txt', '$dir/'), {'chown': '$user'})
    >>> copy.expand({"user": "app", "dir": "/srv"}).args
    ('a.txt', 'b.txt', '/srv/')

Each instruction is checked here as far as it can be without its variables, its base image and its files. The rules,
and the words of the errors, are those of the Dockerfile reference and of BuildKit's parser; an error also says in
which file, on which line and in which instruction it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import DockerfileError
from .flags import Flag, parse_flags
from .lines import BLANKS, Heredoc, Line, Source, error_in, first_word, json_list, parse_heredoc, split_flags, trim
from .mounts import RunMount
from .mounts import origin as mount_origin
from .values import check_signal, duration, exposed_ports, meant
from .words import expand, expand_text, expand_words, is_space, quoted

Pair = tuple[str, str | None]


@dataclass(frozen=True)
class Instruction:
    """One instruction, as written or (after `expand`) with its variables replaced.

    | keyword                | args                                                       | also              |
    |------------------------|------------------------------------------------------------|-------------------|
    | RUN CMD ENTRYPOINT     | the exec form's words, or the one text of the shell form    | json, heredocs    |
    | COPY ADD               | sources and, last, the destination                          | flags, heredocs   |
    | ENV LABEL ARG          |                                                            | pairs             |
    | EXPOSE VOLUME SHELL    | ports, paths, the shell's words                            |                   |
    | USER WORKDIR STOPSIGNAL MAINTAINER | one text                                       |                   |
    | FROM                   | the base, or the base, AS and the name                     | flags             |
    | HEALTHCHECK            |                                                            | health            |
    | ONBUILD                | the trigger's text                                         |                   |

    `flags` holds a str, for a boolean flag a bool, for one that may repeat (mount, exclude, device) a tuple. In
    `pairs` the value is None for an ARG without default. `health` is as in the image config, times in nanoseconds.
    `comments` are those right above it; `gap` is its last line where it goes on over an empty one.
    """

    keyword: str
    text: str
    line: int = 0
    end: int = 0
    args: tuple[str, ...] = ()
    json: bool = False
    flags: Mapping[str, Flag] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    health: Mapping[str, Any] | None = None
    escape: str = "\\"
    name: str = "Dockerfile"
    comments: tuple[str, ...] = ()
    gap: int = 0

    @property
    def typed(self) -> str:
        """The keyword as it was typed."""
        return first_word(self.text)[0]

    @property
    def script(self) -> str:
        """What a shell form hands to the shell: its text, or the here-document that is all of it.

        >>> parse_instruction("RUN <<EOF\\necho one\\necho two\\nEOF").script
        'echo one\\necho two\\n'
        """
        text = " ".join(self.args)
        if self.heredocs and parse_heredoc(text):
            return self.heredocs[0].data
        return text + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in self.heredocs)

    def error(self, message: str) -> DockerfileError:
        """Return the error for this instruction: file, line, the instruction, and the message."""
        return error_in(self.keyword, message, self.name, self.line)

    def expand(self, env: Mapping[str, str]) -> Instruction:
        """Return the instruction with its variables replaced, where this instruction has that.

        RUN, CMD, ENTRYPOINT, SHELL, HEALTHCHECK, MAINTAINER and ONBUILD keep theirs, which are for the shell, or for
        later; for ARG see `arguments`. Every variable has the value from before the instruction. What only now can
        be checked is checked: ports, signals, blank paths. Raises DockerfileError.
        """
        expander = EXPANDERS.get(self.keyword)
        try:
            return expander(self, env) if expander else self
        except ValueError as error:
            raise self.error(str(error)) from None

    def arguments(
        self, env: dict[str, str], build_args: Mapping[str, str], inherited: Mapping[str, str]
    ) -> tuple[Pair, ...]:
        """Return the names of an ARG with their values: a build argument's, else the default, else the inherited one.

        A default sees the names to its left; it is not even looked at when a build argument is given.

        >>> parse_instruction("ARG a=1$x b=${a}2 c d").arguments({"x": "y"}, {"d": "4"}, {})
        (('a', '1y'), ('b', '1y2'), ('c', None), ('d', '4'))
        """
        pairs: list[Pair] = []
        for name, default in self.pairs:
            given = build_args.get(name, inherited.get(name))
            value = given if name in build_args or default is None else self.word(default, env)
            pairs.append((name, value))
            env = env if value is None else env | {name: value}
        return tuple(pairs)

    def texts(self, flag: str) -> tuple[str, ...]:
        """Return all values of a flag that may repeat."""
        values = self.flags.get(flag, ())
        return values if isinstance(values, tuple) else ()

    @property
    def mounts_from(self) -> tuple[tuple[str, str], ...]:
        """The stage or image, and the target, of each mount of a RUN that has a `from`; as written."""
        found = (mount_origin(text) for text in self.texts("mount"))
        return tuple((name, target) for name, target in found if name)

    def mounts(self, env: Mapping[str, str]) -> tuple[RunMount, ...]:
        """Return the mounts of a RUN, with their variables replaced; DockerfileError for what cannot be.

        >>> parse_instruction("RUN --mount=type=tmpfs,target=$dir true").mounts({"dir": "/t"})
        (RunMount(type='tmpfs', target='/t'),)
        """
        try:
            return tuple(RunMount.parse(text, lambda word: self.word(word, env)) for text in self.texts("mount"))
        except ValueError as error:
            raise self.error(str(error)) from None

    def word(self, text: str, env: Mapping[str, str]) -> str:
        """Expand one word by this file's escape character; DockerfileError when it is malformed."""
        try:
            return expand(text, env, self.escape)
        except ValueError as error:
            raise self.error(str(error)) from None


def parse_instruction(text: str, name: str = "Dockerfile") -> Instruction:
    """Parse a single instruction, such as an ONBUILD trigger out of an image's config."""
    return parse_line(Source.read(text, name).lines[0])


def parse_line(line: Line) -> Instruction:
    """Turn a line into the instruction that it is; DockerfileError when it is none."""
    if line.keyword not in PARSERS:
        hint = meant(line.keyword, PARSERS)
        raise line.error(f"unknown instruction: {line.word}{hint.lower() if line.word.islower() else hint}")
    bare = Instruction(
        line.keyword,
        trim(line.text),
        line.line,
        line.end,
        heredocs=line.heredocs,
        escape=line.escape,
        name=line.name,
        comments=line.comments,
        gap=line.gap,
    )
    try:
        return PARSERS[line.keyword](replace(bare, flags=parse_flags(line.keyword, line.flags)), line)
    except ValueError as error:
        raise line.error(str(error)) from None


# --- what each instruction takes -------------------------------------------------------------------------------


def _command(bare: Instruction, line: Line) -> Instruction:
    """RUN, CMD, ENTRYPOINT: a JSON list is the exec form, anything else the shell form."""
    words = json_list(line.rest)
    if words is not None:
        return replace(bare, args=tuple(words), json=True)
    return replace(bare, args=(line.rest,))


def _run(bare: Instruction, line: Line) -> Instruction:
    run = _command(bare, line)
    if not run.args:
        raise ValueError("No command specified: the list after RUN is empty")
    for flag, modes in (("network", ("default", "none", "host")), ("security", ("sandbox", "insecure"))):
        if (mode := str(run.flags.get(flag, modes[0]))) not in modes:
            raise ValueError(f"{flag} mode {quoted(mode)} is not valid, it can be {' or '.join(modes)}")
    for text in run.texts("mount"):
        mount_origin(text)
    return run


def _shell(bare: Instruction, line: Line) -> Instruction:
    shell = _command(bare, line)
    if not (shell.args if shell.json else line.rest):
        raise ValueError("SHELL requires at least one argument")
    if not shell.json:
        raise ValueError('SHELL requires the arguments to be in JSON form, as in SHELL ["/bin/bash", "-c"]')
    return shell


def _words(line: Line) -> tuple[str, ...]:
    """Return a JSON list's words, or the words between blanks."""
    words = json_list(line.rest)
    return tuple(words) if words is not None else tuple(BLANKS.split(line.rest) if line.rest else ())


def _copy(bare: Instruction, line: Line) -> Instruction:
    *sources, destination = words = _words(line) or ("",)
    if len(words) < 2:
        raise ValueError(
            f"{bare.keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )
    if parse_heredoc(destination):
        raise ValueError(f"{bare.keyword} cannot accept a heredoc as a destination")
    if re.search(r"\$[\w{]", str(bare.flags.get("from", ""))):
        raise ValueError(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
            "as a workaround"
        )
    paths = [source for source in sources if not parse_heredoc(source)]
    return replace(bare, args=(*paths, destination), json=json_list(line.rest) is not None)


def _from(bare: Instruction, line: Line) -> Instruction:
    words = BLANKS.split(line.rest) if line.rest else []
    if len(words) == 3 and words[1].lower() == "as":
        if not re.fullmatch(r"[a-z][a-z0-9-_.]*", words[2].lower()):
            problem = "name can't start with a number or contain symbols"
            raise ValueError(f"invalid name for build stage: {quoted(words[2])}, {problem}")
    elif len(words) != 1:
        raise ValueError("FROM requires either one or three arguments: FROM <image> [AS <name>]")
    return replace(bare, args=tuple(words))


def _pairs(bare: Instruction, line: Line) -> Instruction:
    """ENV and LABEL: `name=value …`, or the older `name value`, where all the rest of the line is the value."""
    words = quoted_words(line.rest, line.escape)
    if not words:
        raise ValueError(f"{bare.keyword} requires at least one argument")
    pairs: list[Pair] = []
    if "=" not in words[0]:
        name, *rest = BLANKS.split(line.rest, maxsplit=1)
        if not rest:
            raise ValueError(f"{bare.keyword} must have two arguments")
        words, pairs = [], [(name, rest[0])]
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"Syntax error - can't find = in {quoted(word)}. Must be of the form: name=value")
        pairs.append((name, value))
    return replace(bare, pairs=_named(bare.keyword, pairs))


def _arg(bare: Instruction, line: Line) -> Instruction:
    words = quoted_words(line.rest, line.escape)
    if not words:
        raise ValueError("ARG requires at least one argument")
    split = [word.partition("=") for word in words]
    return replace(bare, pairs=_named("ARG", [(name, value if equals else None) for name, equals, value in split]))


def _named(keyword: str, pairs: list[Pair]) -> tuple[Pair, ...]:
    if not all(name for name, _ in pairs):
        raise ValueError(f"{keyword} names can not be blank")
    return tuple(pairs)


def _one(bare: Instruction, line: Line) -> Instruction:
    if not line.rest:
        raise ValueError(f"{bare.keyword} requires exactly one argument")
    return replace(bare, args=(line.rest,))


def _expose(bare: Instruction, line: Line) -> Instruction:
    if not line.rest:
        raise ValueError("EXPOSE requires at least one argument")
    return replace(bare, args=tuple(sorted(BLANKS.split(line.rest))))


def _volume(bare: Instruction, line: Line) -> Instruction:
    words = _words(line)
    if not words:
        raise ValueError("VOLUME requires at least one argument")
    return replace(bare, args=_not_blank(words), json=json_list(line.rest) is not None)


def _not_blank(volumes: tuple[str, ...]) -> tuple[str, ...]:
    volumes = tuple(trim(volume) for volume in volumes)
    if not all(volumes):
        raise ValueError("VOLUME specified can not be an empty string")
    return volumes


def _healthcheck(bare: Instruction, line: Line) -> Instruction:
    word, rest = first_word(line.rest)
    kind = word.upper()
    if not kind:
        raise ValueError("HEALTHCHECK requires at least one argument")
    if kind == "NONE":
        if rest:
            raise ValueError("HEALTHCHECK NONE takes no arguments")
        return replace(bare, health={"Test": ["NONE"]})
    if kind != "CMD":
        raise ValueError(f"Unknown type {quoted(kind)} in HEALTHCHECK (try CMD)")
    words = json_list(rest)
    if not rest or words == []:
        raise ValueError("Missing command after HEALTHCHECK CMD")
    test = ["CMD", *words] if words else ["CMD-SHELL", rest]
    return replace(bare, health={"Test": test, **_times(bare.flags)}, json=words is not None)


TIMES = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod", "start-interval": "StartInterval"}


def _times(flags: Mapping[str, Flag]) -> dict[str, int]:
    """Return a health check's times and retries as the image config has them; what is not set is left out."""
    times = {}
    for flag, key in TIMES.items():
        if (text := str(flags.get(flag, ""))) and (time := duration(text)):
            times[key] = time
            if time < UNIT:
                raise ValueError(f"Interval {quoted(flag)} cannot be less than 1ms")
    if text := str(flags.get("retries", "")):
        if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
            raise ValueError(f"--retries must be a number (not {quoted(text)})")
        if int(text) < 1:
            raise ValueError(f"--retries must be at least 1 (not {int(text)})")
        times["Retries"] = int(text)
    return times


def _check_trigger(text: str, keyword: str, line: Line) -> None:
    """Raise for a trigger that cannot even be split into words; for the rest Docker lets a child image stumble."""
    if keyword not in PARSERS:
        return
    rest = split_flags(first_word(text)[1])[1]
    if keyword in ("ENV", "LABEL") and rest:
        _pairs(Instruction(keyword, text), replace(line, rest=rest))
    elif keyword in ("RUN", "CMD", "ENTRYPOINT", "SHELL", "COPY", "ADD", "VOLUME"):
        json_list(rest)


UNIT = 1_000_000  # a millisecond, the shortest time of a health check


def _onbuild(bare: Instruction, line: Line) -> Instruction:
    trigger = first_word(line.rest)[0].upper()
    if not trigger:
        raise ValueError("ONBUILD requires at least one argument")
    if trigger == "ONBUILD":
        raise ValueError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("FROM", "MAINTAINER"):
        raise ValueError(f"{trigger} isn't allowed as an ONBUILD trigger")
    bodies = "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in line.heredocs)
    text = re.sub(r"(?i)^\s*ONBUILD\s*", "", line.text) + bodies
    _check_trigger(text, trigger, line)
    return replace(bare, args=(text,), heredocs=())


PARSERS: dict[str, Callable[[Instruction, Line], Instruction]] = {
    "ADD": _copy,
    "ARG": _arg,
    "CMD": _command,
    "COPY": _copy,
    "ENTRYPOINT": _command,
    "ENV": _pairs,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _pairs,
    "MAINTAINER": _one,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _one,
    "USER": _one,
    "VOLUME": _volume,
    "WORKDIR": _one,
}


def quoted_words(text: str, escape: str = "\\") -> list[str]:
    """Split at blanks outside quotes, and keep quotes and escapes for `expand` to deal with.

    >>> quoted_words(r'a="x y" b=c\\ d')
    ['a="x y"', 'b=c\\\\ d']
    """
    words, word, quote, chars = [], "", "", iter(text)
    for char in chars:
        if not quote and is_space(char):
            words.append(word)
            word = ""
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == escape and quote != "'":
            following = next(chars, "")
            char = char + following if following else ""  # at the very end it means nothing
        word += char
    return [word for word in (*words, word) if word]


# --- what expands ----------------------------------------------------------------------------------------------


def _expand_args(one: Instruction, env: Mapping[str, str]) -> Instruction:
    return replace(one, args=tuple(one.word(arg, env) for arg in one.args))


def _expand_copy(one: Instruction, env: Mapping[str, str]) -> Instruction:
    flags = {
        name: one.word(str(value), env) if name in ("chown", "chmod", "checksum") else value
        for name, value in one.flags.items()
    }
    heredocs = tuple(
        replace(heredoc, content=expand_text(heredoc.data, env, one.escape), chomp=False) if heredoc.expand else heredoc
        for heredoc in one.heredocs
    )
    return replace(_expand_args(one, env), flags=flags, heredocs=heredocs)


def _expand_pairs(one: Instruction, env: Mapping[str, str]) -> Instruction:
    return replace(one, pairs=tuple((one.word(name, env), one.word(value or "", env)) for name, value in one.pairs))


def _expand_expose(one: Instruction, env: Mapping[str, str]) -> Instruction:
    specs = [spec for arg in one.args for spec in expand_words(arg, env, one.escape)]
    return replace(one, args=tuple(dict.fromkeys(port for spec in specs for port in exposed_ports(spec))))


def _expand_volume(one: Instruction, env: Mapping[str, str]) -> Instruction:
    volumes = _expand_args(one, env)
    _not_blank(volumes.args)
    return volumes


def _expand_signal(one: Instruction, env: Mapping[str, str]) -> Instruction:
    signal = _expand_args(one, env)
    check_signal(signal.args[0])
    return signal


EXPANDERS: dict[str, Callable[[Instruction, Mapping[str, str]], Instruction]] = {
    "ADD": _expand_copy,
    "COPY": _expand_copy,
    "ENV": _expand_pairs,
    "EXPOSE": _expand_expose,
    "FROM": _expand_args,
    "LABEL": _expand_pairs,
    "STOPSIGNAL": _expand_signal,
    "USER": _expand_args,
    "VOLUME": _expand_volume,
    "WORKDIR": _expand_args,
}
