"""What the instructions that make no layer do to an image's configuration, and the history line of each.

Pure functions over the `config` object of the OCI image configuration; the history texts are BuildKit's, which are Go's
way to print a value.

    >>> one = parse_instruction('CMD ["echo", "hi"]')
    >>> config = configure({"User": "app"}, one)
    >>> config, created_by(one, config)
    ({'User': 'app', 'Cmd': ['echo', 'hi'], 'ArgsEscaped': True}, 'CMD ["echo" "hi"]')
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from minidocker.build.chmod import Mode, parse
from minidocker.dockerfile import Instruction, parse_instruction
from minidocker.dockerfile.words import quoted
from minidocker.errors import BuildError, InvalidArgument
from minidocker.tree import Tree

__all__ = ["DEFAULT_PATH", "configure", "created_by", "environment", "owner", "parse_instruction"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHELL = ("/bin/sh", "-c")
Config = dict[str, Any]


def configure(config: Config, one: Instruction) -> Config:
    """The configuration after an (expanded) instruction; the one before is left as it is."""
    return config | CHANGES[one.keyword](config, one)


def apply_changes(config: Config, changes: Iterable[str]) -> Config:
    """The configuration after Dockerfile lines, as `docker commit --change` takes them. Raises InvalidArgument.

    >>> apply_changes({"Env": ["A=1"]}, ["ENV B=${A}2", "CMD sh"])["Env"]
    ['A=1', 'B=12']
    """
    for text in changes:
        keyword = text.split(None, 1)[0] if text.strip() else ""
        if keyword and keyword.upper() not in CHANGEABLE:
            raise InvalidArgument(f"{keyword.lower()} is not a valid change command")
        one = parse_instruction(text, "--change")
        config = configure(config, one.expand(environment(config)))
    return config


def command(config: Config, one: Instruction) -> list[str]:
    """The exec form of RUN, CMD and ENTRYPOINT: a shell form goes to the shell that SHELL named."""
    return list(one.args) if one.json else [*(config.get("Shell") or SHELL), one.script]


def run_command(config: Config, one: Instruction) -> tuple[list[str], tuple[str, str] | None]:
    """What a RUN starts, and a here-document that is a script of its own (`#!`), with its path inside.

    >>> run_command({}, parse_instruction("RUN <<EOF\\n#!/bin/sh\\necho hi\\nEOF"))
    (['/bin/sh', '-c', '/dev/pipes/EOF'], ('/dev/pipes/EOF', '#!/bin/sh\\necho hi\\n'))
    """
    if not one.json and one.heredocs and one.script == one.heredocs[0].data and one.script.startswith("#!"):
        path = f"/dev/pipes/{one.heredocs[0].name}"
        return command(config, replace(one, args=(path,), heredocs=())), (path, one.script)
    return command(config, one), None


def environment(config: Config) -> dict[str, str]:
    """The `Env` list as a dict."""
    return dict(pair.partition("=")[::2] for pair in config.get("Env") or [])


def workdir(config: Config, path: str) -> str:
    """An absolute path, from one that may be relative to the working directory."""
    return path if path.startswith("/") else posixpath.join("/", config.get("WorkingDir") or "/", path)


def destination(config: Config, to: str) -> str:
    """Where a COPY goes: absolute, and with a slash at the end where it names a directory.

    >>> destination({"WorkingDir": "/app"}, "."), destination({}, "a/../b")
    ('/app/', '/b')
    """
    path = posixpath.normpath("/" + workdir(config, to).lstrip("/"))
    return path.rstrip("/") + "/" if posixpath.basename(to) in ("", ".", "..") else path


def chmod(one: Instruction) -> Mode | None:
    """The mode that `--chmod` asks for. Raises DockerfileError."""
    text = str(one.flags.get("chmod", ""))
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise one.error(str(error)) from None


def changed(before: Config, after: Config) -> dict[str, tuple[Any, Any]]:
    """Which keys differ: key -> (before, after)."""
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in keys}


def _env(config: Config, one: Instruction) -> Config:
    """A name that is there keeps its place."""
    values = environment(config)
    values.update((name, value or "") for name, value in one.pairs)
    return {"Env": [f"{name}={value}" for name, value in values.items()]}


def _label(config: Config, one: Instruction) -> Config:
    return {"Labels": (config.get("Labels") or {}) | {name: value or "" for name, value in one.pairs}}


def _set(key: str) -> Callable[[Config, Instruction], Config]:
    """More keys of a map whose values are empty objects."""
    return lambda config, one: {key: (config.get(key) or {}) | {name: {} for name in one.args}}


def _workdir(config: Config, one: Instruction) -> Config:
    path = workdir(config, one.args[0] or "/")
    return {"WorkingDir": path if one.args[0].startswith("/") else posixpath.normpath(path)}


CHANGEABLE = frozenset("CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR".split())
CHANGES: dict[str, Callable[[Config, Instruction], Config]] = {
    "ARG": lambda _config, _one: {},
    "CMD": lambda config, one: {"Cmd": command(config, one), "ArgsEscaped": True},
    "ENTRYPOINT": lambda config, one: {"Entrypoint": command(config, one)},
    "ENV": _env,
    "EXPOSE": _set("ExposedPorts"),
    "HEALTHCHECK": lambda _config, one: {"Healthcheck": dict(one.health or {})},
    "LABEL": _label,
    "MAINTAINER": lambda _config, _one: {},
    "ONBUILD": lambda config, one: {"OnBuild": [*(config.get("OnBuild") or []), one.args[0]]},
    "SHELL": lambda _config, one: {"Shell": list(one.args)},
    "STOPSIGNAL": lambda _config, one: {"StopSignal": one.args[0]},
    "USER": lambda _config, one: {"User": one.args[0]},
    "VOLUME": _set("Volumes"),
    "WORKDIR": _workdir,
}


# The history line


def created_by(one: Instruction, config: Config) -> str:
    """The `created_by` of an (expanded) instruction that makes no layer, where `config` is what it led to."""
    say = SAYINGS.get(one.keyword)
    return f"{one.keyword} {say(one, config) if say else ' '.join(one.args)}"


def run_text(argv: Sequence[str], args: Sequence[tuple[str, str]]) -> str:
    """The `created_by` of a RUN, with the build arguments that it could see.

    >>> run_text(["/bin/sh", "-c", "make"], [("V", "1")])
    'RUN |1 V=1 /bin/sh -c make # buildkit'
    """
    seen = [f"|{len(args)}", *(f"{name}={value}" for name, value in args)] if args else []
    return f"RUN {' '.join([*seen, *argv])} # buildkit"


def copy_text(one: Instruction) -> str:
    """The `created_by` of COPY and ADD, as Docker 20.10 has it: of flags it names the younger `--parents` alone."""
    *sources, to = one.args
    flags = ["--parents"] * bool(one.flags.get("parents"))
    return " ".join([one.keyword, *flags, *sources, *(f"<<{doc.name}" for doc in one.heredocs), to, "# buildkit"])


def _list(words: Sequence[str]) -> str:
    return f"[{' '.join(quoted(word) for word in words)}]"


def _health(one: Instruction, _config: Config) -> str:
    health = one.health or {}
    keys = ["Interval", "Timeout", "StartPeriod", *(["StartInterval"] if "StartInterval" in health else [])]
    times = " ".join(quoted(duration(health.get(key, 0))) for key in keys)
    return f"&{{{_list(health.get('Test', []))} {times} {_rune(health.get('Retries', 0))}}}"


def _rune(number: int) -> str:
    """Go prints the number of retries with `%q`, as if it were a character."""
    if number in (39, 92):
        return f"'\\{chr(number)}'"
    names = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"}
    if number in names:
        return f"'\\{names[number]}'"
    return f"'{chr(number)}'" if chr(number).isprintable() else f"'\\x{number:02x}'"


def duration(nanoseconds: int) -> str:
    """A time as Go prints it.

    >>> duration(90_000_000_000), duration(1_500_000), duration(0)
    ('1m30s', '1.5ms', '0s')
    """
    seconds = nanoseconds / 1e9
    if 0 < seconds < 1:
        unit, value = ("ms", seconds * 1e3) if seconds >= 1e-3 else ("µs", seconds * 1e6)
        return f"{value:g}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    head = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "")
    return f"{head}{rest / 1e9:.9f}".rstrip("0").rstrip(".") + "s"


def _pairs(one: Instruction, _config: Config) -> str:
    return " ".join(name if value is None else f"{name}={value}" for name, value in one.pairs)


SAYINGS: dict[str, Callable[[Instruction, Config], str]] = {
    "ARG": _pairs,
    "CMD": lambda _one, config: _list(config["Cmd"]),
    "ENTRYPOINT": lambda _one, config: _list(config["Entrypoint"]),
    "ENV": _pairs,
    "EXPOSE": lambda one, _config: f"map[{' '.join(f'{port}:{{}}' for port in sorted(one.args))}]",
    "HEALTHCHECK": _health,
    "LABEL": _pairs,
    "SHELL": lambda one, _config: f"[{' '.join(one.args)}]",
    "VOLUME": lambda one, _config: f"[{' '.join(one.args)}]",
    "WORKDIR": lambda _one, config: str(config["WorkingDir"]),
}


# Users


def owner(tree: Tree, spec: str, what: str = "--chown") -> tuple[int, int]:
    """The ids of `user`, `user:group`, or numbers, looked up in the image's own /etc/passwd and /etc/group.

    A name brings its group along; a number stands for both. Raises BuildError for a name that is not there.

    >>> owner(Tree(), "1000"), owner(Tree(), "5:6")
    ((1000, 1000), (5, 6))
    """
    user, _, group = spec.partition(":")
    if not user:
        uid = gid = 0
    elif user.isdecimal():
        uid = gid = int(user)
    else:
        uid, gid = _lookup(tree, "/etc/passwd", user, (2, 3), f"{what} {spec}: unable to find user {user}")
    if group.isdecimal():
        gid = int(group)
    elif group:
        gid = _lookup(tree, "/etc/group", group, (2,), f"{what} {spec}: unable to find group {group}")[0]
    if max(uid, gid) >= 1 << 31:
        raise BuildError(f"{what} {spec}: uids and gids must be in range 0-2147483647")
    return uid, gid


def _lookup(tree: Tree, path: str, name: str, fields: tuple[int, ...], problem: str) -> list[int]:
    try:
        lines = tree[tree.resolve(path)].data.read().decode(errors="replace").splitlines()
    except (OSError, KeyError):
        lines = []
    for line in lines:
        row = line.split(":")
        if row[0] == name and len(row) > max(fields) and all(row[field].isdecimal() for field in fields):
            return [int(row[field]) for field in fields]
    raise BuildError(f"{problem}: no matching entries in {posixpath.basename(path)} file")
