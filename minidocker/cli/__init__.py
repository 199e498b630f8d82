"""`minidocker …`: docker's command line over an engine in this process.

    __init__     main(): global options, which command, errors into words and exit codes
    flags        the grammar of options; a command is declared by its help text
    template     --format: Go's templates; pieces cuts them up, values prints what they hold as Go does
    format       sizes, times, tables; planning prints the plan of a build
    building  caching  images  containers  running  copying  inspecting  system  tour  doctor  grading     the commands

A module of commands is imported when one of its commands is called, so that `minidocker version` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from minidocker.cli.flags import COMMANDS, Call, Command, Exit, Invalid, command, options_table
from minidocker.errors import APIError, DockerException

PROGRAM = "minidocker"

MODULES = {
    "building": ("build",),
    "caching": ("builder du", "builder prune"),
    "explaining": ("image explain",),
    "images": ("images", "history", "tag", "rmi", "save", "load", "import", "image prune"),
    "limiting": ("update", "stats"),
    "containers": ("ps", "start", "stop", "restart", "kill", "pause", "unpause", "wait", "rename", "rm", "top"),
    "running": ("run", "create", "exec", "logs", "attach"),
    "copying": ("cp", "diff", "commit", "export", "container prune"),
    "inspecting": ("inspect", "image inspect", "container inspect"),
    "volumes": tuple(f"volume {name}" for name in ("create", "inspect", "ls", "prune", "rm")),
    "plugins": tuple(f"plugin {name}" for name in ("disable", "enable", "inspect", "ls")),
    "system": ("info", "system df", "system prune"),
    "events": ("events",),
    "pulling": ("pull", "push", "login", "logout", "search"),
    "registry": ("registry serve", "registry garbage-collect", "registry htpasswd", "system fsck"),
    "daemon": ("daemon",),
    "context": tuple(
        f"context {name}" for name in ("create", "use", "ls", "inspect", "rm", "show", "update", "export", "import")
    ),
    "manifests": ("manifest inspect",),
    "networking": (
        *(f"network {name}" for name in ("create", "ls", "inspect", "connect", "disconnect", "rm", "prune")),
        "port",
    ),
    "version": ("version",),
    "tour": ("tour",),
    "doctor": ("doctor",),
    "grading": ("grade",),
    "course": ("course release", "course collect", "course report"),
}
WHERE = {name: module for module, names in MODULES.items() for name in names}

_IMAGE = "build history import load pull push save tag".split()
_CONTAINER = "attach commit cp create diff exec export kill logs pause ps rename restart rm run stats update".split()
_CONTAINER += "port start stop top unpause wait".split()
_BUILDER = {"build": "build", "du": "builder du", "prune": "builder prune"}
GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "builder": ("Manage builds", _BUILDER),
    "buildx": ("Extended build capabilities with BuildKit", _BUILDER),
    "container": (
        "Manage containers",
        {name: name for name in _CONTAINER}
        | {"ls": "ps", "list": "ps", "remove": "rm", "inspect": "container inspect", "prune": "container prune"},
    ),
    "image": (
        "Manage images",
        {name: name for name in _IMAGE}
        | {"ls": "images", "list": "images", "rm": "rmi", "remove": "rmi"}
        | {"explain": "image explain", "inspect": "image inspect", "prune": "image prune"},
    ),
    "manifest": ("Look at image manifests and manifest lists in registries", {"inspect": "manifest inspect"}),
    "network": (
        "Manage networks",
        {name: f"network {name}" for name in ("connect", "create", "disconnect", "inspect", "ls", "prune", "rm")}
        | {"list": "network ls", "remove": "network rm"},
    ),
    "context": (
        "Manage contexts",
        {
            name: f"context {name}"
            for name in ("create", "export", "import", "inspect", "ls", "rm", "show", "update", "use")
        }
        | {"list": "context ls", "remove": "context rm"},
    ),
    "course": (
        "Teach with it: hand out, collect, see a class at a glance",
        {name: f"course {name}" for name in ("release", "collect", "report")},
    ),
    "registry": (
        "Serve images as a registry",
        {name: f"registry {name}" for name in ("serve", "garbage-collect", "htpasswd")},
    ),
    "plugin": (
        "Manage plugins",
        {name: f"plugin {name}" for name in ("disable", "enable", "inspect", "ls")} | {"list": "plugin ls"},
    ),
    "volume": (
        "Manage volumes",
        {name: f"volume {name}" for name in ("create", "inspect", "ls", "prune", "rm")}
        | {"list": "volume ls", "remove": "volume rm"},
    ),
    "system": (
        "Manage minidocker",
        {"fsck": "system fsck", "df": "system df", "prune": "system prune", "info": "info", "events": "events"},
    ),
}
COMMON = (
    "run",
    "exec",
    "ps",
    "build",
    "pull",
    "push",
    "images",
    "login",
    "logout",
    "search",
    "version",
    "info",
    "tour",
    "doctor",
    "grade",
)
LATER = {
    "compose": "compose files are not here yet; start the services one by one with `minidocker run`",
    "checkpoint": "it is only supported on a Docker daemon with experimental features enabled",
    "swarm service stack node config secret stats update trust": ("minidocker does not have this part of docker"),
}
LATER_IN = {  # of a group of commands, those that we do not have, and why
    "manifest": (
        "annotate create",
        "lists of manifests are made by `minidocker build --platform … --output type=oci,dest=FILE`",
    ),
    "plugin": (
        "create install push remove rm set upgrade",
        "plugins are programs of your own here, which come and go with their socket or spec file (`plugin ls`)",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: docker's, 125 to 127 included, or the program's own."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(words)
    except Exit as leaving:
        if leaving.text:
            print(leaving.text, file=sys.stderr if leaving.code else sys.stdout)
        return leaving.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        if argv is None:  # nobody reads any more; keep Python from complaining about it when it closes stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    finally:
        _flush()


def _flush() -> None:
    with suppress(BrokenPipeError, ValueError):
        sys.stdout.flush()


def _main(words: list[str]) -> int:
    top = _top()
    try:
        options = top.parse(PROGRAM, words)
    except Exit as leaving:
        raise Exit(0, help_text(top)) if not leaving.code else leaving from None
    if options.version:
        words = ["version", "--format", "Minidocker version {{.Client.Version}}"]
        return _call(find("version"), "minidocker version", words[1:], options)
    if not options.args:
        print(help_text(top))
        return 0
    name, *rest = options.args
    if name == "help":
        name, *rest = [*rest, "--help"]
        if name == "--help":
            print(help_text(top))
            return 0
    if name in GROUPS:
        return _group(name, rest, options)
    if name not in WHERE:
        raise unknown(name)
    return _call(find(name), f"{PROGRAM} {name}", rest, options)


def _group(name: str, words: list[str], options: Call) -> int:
    """`minidocker image ls`: docker's management spelling."""
    title, members = GROUPS[name]
    if not words or words[0] == "--help":
        print(f"Usage:  {PROGRAM} {name} COMMAND\n\n{title}\n\nCommands:")
        hidden = {"list", "remove"} | ({"ps"} if "ls" in members else set())
        print(
            "\n".join(f"  {word:<11} {find(members[word]).summary}" for word in sorted(members) if word not in hidden)
        )
        print(f"\nRun '{PROGRAM} {name} COMMAND --help' for more information on a command.")
        return 0
    if words[0].startswith("-"):
        flag = f"unknown flag: {words[0].partition('=')[0]}"
        raise Exit(125, f"{flag}\n\nUsage:  {PROGRAM} {name}\n\nRun '{PROGRAM} {name} --help' for more information")
    if words[0] not in members:
        path = f"{PROGRAM} {name}"
        names, why = LATER_IN.get(name, ("", ""))
        if words[0] in names.split():
            raise Exit(1, f"{PROGRAM}: '{words[0]}' is not a {path} command: {why}.\nSee '{path} --help'")
        unknown_here = f"{PROGRAM}: unknown command: {path} {words[0]}"
        raise Exit(1, f"{unknown_here}\n\nUsage:  {path}\n\nRun '{path} --help' for more information")
    return _call(find(members[words[0]]), f"{PROGRAM} {name} {words[0]}", words[1:], options)


def find(name: str) -> Command:
    """The command of a name, its module imported."""
    import_module(f"minidocker.cli.{WHERE[name]}")
    return COMMANDS[name]


def unknown(name: str) -> Exit:
    """What to say about a command that is not here; of docker's own we know why."""
    for names, why in LATER.items():
        if name in names.split():
            return Exit(1, f"{PROGRAM}: '{name}' is not a {PROGRAM} command: {why}.\nSee '{PROGRAM} --help'")
    return Exit(1, f"{PROGRAM}: '{name}' is not a {PROGRAM} command.\nSee '{PROGRAM} --help'")


def _call(chosen: Command, path: str, words: list[str], options: Call) -> int:
    call = chosen.parse(path, words)
    call.top = options
    prefix, otherwise = (f"{PROGRAM}: ", 125) if chosen.name == "run" else ("", 1)
    try:
        if chosen.needs_engine:
            call.engine = _engine(chosen.name, options)
        return chosen.run(call)
    except Invalid as wrong:
        if chosen.name == "exec":
            raise Exit(1, wrong.text) from None
        help = f"Run '{PROGRAM} {chosen.name} --help' for more information"
        raise Exit(wrong.code, f"{PROGRAM}: {wrong.text}\n\n{help}") from None
    except (DockerException, OSError) as error:
        if isinstance(error, BrokenPipeError) or (options.debug and not isinstance(error, APIError)):
            raise
        hint = f"\n\nRun '{path} --help' for more information" if chosen.name == "run" else ""
        if chosen.name == "run":
            otherwise = by_words(str(error))
        said = f"{prefix}{complaint(error)}{hint}"
        if isinstance(error, APIError) and not chosen.needs_engine:  # no daemon has said it
            said = f"{path}: {error.explanation}"
        raise Exit(_exit_code(error, otherwise), said) from None
    finally:
        if call.engine is not None:
            call.engine.close()


def _engine(name: str, options: Call) -> Any:
    """The engine that a command is for: the one in a folder of this machine, or one behind a socket."""
    from minidocker.cli import hosts

    if host := hosts.chosen(options):
        from minidocker.cli import remote

        remote.check(name, host.address)
        return remote.Remote(host.address, host.tls())
    from minidocker import connect

    return connect(options.root or None, options.runtime or None)


def complaint(error: Exception) -> str:
    """An error in the words of docker's command line."""
    if isinstance(error, APIError):
        return f"Error response from daemon: {error.explanation}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"open {error.filename}: {(error.strerror or str(error)).lower()}"
    return str(error)


def by_words(text: str) -> int:
    """The exit code of a `docker run` that came to nothing, which docker's command line reads from the words."""
    if "executable file not found" in text or "no such file or directory" in text:
        return 127
    return 126 if "permission denied" in text or "is a directory" in text else 125


def _exit_code(error: Exception, otherwise: int) -> int:
    own: Any = getattr(error, "exit_code", 1)
    return int(own) if own != 1 else otherwise


def _top() -> Command:
    """`minidocker [OPTIONS] COMMAND`: the options before the command."""
    if "" not in COMMANDS:
        command(_TOP, refused=_TOP_REFUSED)(lambda _call: 0)
        COMMANDS[""] = COMMANDS.pop("minidocker")
    return COMMANDS[""]


_TOP = """
minidocker [OPTIONS] [COMMAND] [ARG...]

A Docker small enough to read in a weekend

  -c, --context string   Name of the context to use to connect to a daemon (overrides MINIDOCKER_HOST and the one
                         that was chosen with "minidocker context use")
  -D, --debug            Show Python's traceback of an error that is minidocker's own
  -H, --host string      Daemon socket to connect to: unix://PATH or tcp://HOST:PORT (default: no daemon, but the
                         engine in this process)
      --root string      Folder that holds images and containers (default: $MINIDOCKER_ROOT,
                         else the user's data folder)
      --runtime string   What "run" means: "namespaces" or "simulated" (default: $MINIDOCKER_RUNTIME,
                         else what works here)
      --tls              Use TLS; implied by --tlsverify
      --tlscacert string   Trust certs signed only by this CA (default: ~/.docker/ca.pem)
      --tlscert string   Path to TLS certificate file (default: ~/.docker/cert.pem)
      --tlskey string    Path to TLS key file (default: ~/.docker/key.pem)
      --tlsverify        Use TLS and verify the remote
  -v, --version          Print version information and quit
"""
_TOP_REFUSED = {
    "minidocker keeps no settings, and no log of its own": "config= l/log-level=",
}


def help_text(top: Command) -> str:
    """What `minidocker` alone prints."""
    for module in MODULES:
        import_module(f"minidocker.cli.{module}")
    listed = {name: COMMANDS[name].summary for name in WHERE if " " not in name}

    def rows(names: Sequence[str]) -> str:
        return "\n".join(f"  {name:<11} {listed[name]}" for name in names)

    groups = "\n".join(f"  {name:<11} {title}" for name, (title, _) in GROUPS.items())
    parts = [
        f"Usage:  {PROGRAM} [OPTIONS] COMMAND",
        top.summary,
        "Common Commands:\n" + rows(COMMON),
        "Management Commands:\n" + groups,
        "Commands:\n" + rows(sorted(set(listed) - set(COMMON))),
        "Global Options:\n" + options_table(top.flags.values()),
        f"Run '{PROGRAM} COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(parts)
