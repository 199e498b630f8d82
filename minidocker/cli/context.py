"""The commands about contexts: context create, use, ls, inspect, rm, show, update, export, import."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from minidocker.cli import contexts
from minidocker.cli.contexts import Context
from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import Listing, ellipsis
from minidocker.cli.hosts import DEFAULT, checked, current
from minidocker.cli.inspecting import show
from minidocker.errors import NotFound

LISTING = Listing(
    "*formatter.clientContextContext",
    "{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}",
    {
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "DockerEndpoint": "DOCKER ENDPOINT",
        "Error": "ERROR",
        "Current": "",
    },
)
ENDPOINT = """
Docker endpoint config:

NAME                DESCRIPTION
from                Copy named context's Docker endpoint configuration
host                Docker endpoint on which to connect
ca                  Trust certs signed only by this CA
cert                Path to TLS certificate file
key                 Path to TLS key file
skip-tls-verify     Skip TLS certificate validation
"""


@command(
    f"""
context create [OPTIONS] CONTEXT

Create a context
{ENDPOINT}
      --description string   Description of the context
      --docker strings       set the docker endpoint
      --from string          create context from a named context
""",
    needs_engine=False,
)
def create(call: Call) -> int:
    """`docker context create`."""
    name = contexts.check_name(call.args[0])
    if call.docker and call.options["from"]:
        raise Exit(1, "cannot use --docker flag when --from is set")
    if any(one.name == name for one in contexts.every()):
        raise Exit(1, f'context "{name}" already exists')
    context = Context(name, {"Host": "", "SkipTLSVerify": False}, call.description)
    if call.options["from"]:
        model = contexts.get(call.options["from"])
        context.endpoint, context.tls = model.endpoint, model.tls
        context.description = call.description or model.description
    elif call.docker:
        _endpoint(context, call.docker)
    else:
        context.endpoint["Host"] = os.environ.get("MINIDOCKER_HOST") or _ours()
    context.save()
    return _done(name, "created")


def _ours() -> str:
    from minidocker.daemon.serving import default_socket

    return f"unix://{default_socket()}"


def _endpoint(context: Context, given: list[str]) -> None:
    """What `--docker` says. Raises Exit in docker's words."""
    wrong = "unable to create docker endpoint config: "
    pairs = dict(text.partition("=")[::2] for text in given)
    if unknown := pairs.keys() - {"from", "host", "ca", "cert", "key", "skip-tls-verify"}:
        raise Exit(1, f"{wrong}unrecognized config key: {min(unknown)}")
    if "from" in pairs:
        model = contexts.get(pairs["from"])
        context.endpoint, context.tls = model.endpoint, model.tls
        return
    skip = pairs.get("skip-tls-verify", "false")
    if skip not in ("true", "false", "1", "0"):
        raise Exit(1, f'{wrong}strconv.ParseBool: parsing "{skip}": invalid syntax')
    tls = {}
    for name in ("ca", "cert", "key"):
        if path := pairs.get(name):
            try:
                tls[f"{name}.pem"] = Path(path).expanduser().read_bytes()
            except OSError as error:
                raise Exit(1, f"{wrong}open {path}: {(error.strerror or str(error)).lower()}") from None
    host = pairs.get("host", "")
    try:
        context.endpoint = {"Host": host and checked(host), "SkipTLSVerify": skip in ("true", "1")}
    except Exit:
        why = f"unable to apply docker endpoint options: unable to parse docker host `{host}`"
        raise Exit(1, wrong + why) from None
    _check_pem(tls, wrong)
    context.tls = tls


def _check_pem(tls: dict[str, bytes], wrong: str) -> None:
    for name, data in tls.items():
        if b"-----BEGIN " not in data:
            why = f"failed to retrieve context tls info: {name} seems invalid"
            raise Exit(1, f"{wrong}invalid docker endpoint options: {why}")


def _done(name: str, what: str) -> int:
    print(name)
    print(f'Successfully {what} context "{name}"', file=sys.stderr)
    return 0


@command(
    """
context use CONTEXT

Set the current context, of docker and of minidocker
""",
    needs_engine=False,
)
def use(call: Call) -> int:
    """`docker context use`; a note of ours says that minidocker is meant too."""
    name = call.args[0]
    contexts.get(name)
    _set_current(name)
    print(name)
    print(f'Current context is now "{name}"', file=sys.stderr)
    if os.environ.get("MINIDOCKER_HOST") and name != DEFAULT:
        print(
            "Warning: MINIDOCKER_HOST environment variable overrides the active context. "
            f'To use "{name}", either set the global --context flag, or unset MINIDOCKER_HOST environment variable.',
            file=sys.stderr,
        )
    return 0


def _set_current(name: str) -> None:
    from minidocker.registry.credentials import Credentials

    def change(config: dict[str, Any]) -> None:
        plugins = {key: value for key, value in (config.get("plugins") or {}).items() if key != "minidocker"}
        config.pop("currentContext", None)
        if name != DEFAULT:
            config["currentContext"], plugins["minidocker"] = name, {"context": name}
        config["plugins"] = plugins
        if not plugins:
            del config["plugins"]

    Credentials().change_file(change)


@command(
    """
context ls [OPTIONS]

List contexts

      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
  -q, --quiet           Only show context names
""",
    needs_engine=False,
)
def ls(call: Call) -> int:
    """`docker context ls`."""
    now, found = _current(call), list(contexts.every())
    rows = [
        {
            "Name": context.name,
            "Current": context.name == now,
            "Description": context.description,
            "DockerEndpoint": context.address,
            "Error": "",
        }
        for context in found
    ]
    if now not in {context.name for context in found}:
        try:
            contexts.get(now)
        except Exit as missing:
            error = missing.text if call.format else ellipsis(missing.text, 45)
            empty = dict.fromkeys(("Description", "DockerEndpoint"), "")
            rows.append({"Name": now, "Current": True, "Error": error, **empty})
            rows.sort(key=lambda row: str(row["Name"]))
    LISTING.show(rows, call.format or "{{.Name}}" * call.quiet)
    return 0


def _current(call: Call) -> str:
    return str(call.top.context or (DEFAULT if os.environ.get("MINIDOCKER_HOST") else current()))


@command(
    """
context show

Print the name of the current context
""",
    needs_engine=False,
)
def show_current(call: Call) -> int:
    """`docker context show`."""
    print(_current(call))
    return 0


@command(
    """
context inspect [OPTIONS] [CONTEXT] [CONTEXT...]

Display detailed information on one or more contexts

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
""",
    needs_engine=False,
)
def inspect(call: Call) -> int:
    """`docker context inspect`."""

    def look(name: str) -> dict[str, Any]:
        try:
            context = contexts.get(name)
        except Exit as missing:
            raise NotFound(missing.text) from None
        places = {"MetadataPath": str(context.folder), "TLSPath": str(context.tls_folder)}
        if name == DEFAULT:
            places = dict.fromkeys(places, "<IN MEMORY>")
        meta = context.meta() if name != DEFAULT else context.meta() | {"Metadata": {}}
        return meta | {"TLSMaterial": {"docker": [*context.tls]} if context.tls else {}, "Storage": places}

    call.args = call.args or [_current(call)]
    try:
        return show(call, [look])
    except Exit as complaint:
        raise Exit(complaint.code, complaint.text.replace("Error response from daemon: ", "")) from None


@command(
    """
context rm CONTEXT [CONTEXT...]

Remove one or more contexts

  -f, --force   Force the removal of a context in use
""",
    needs_engine=False,
)
def rm(call: Call) -> int:
    """`docker context rm`."""
    wrong = []
    for name in call.args:
        there = name != DEFAULT and contexts._folder("meta", name).is_dir()
        if name == DEFAULT:
            wrong.append('context "default" cannot be removed')
        elif not there and not call.force:
            wrong.append(f'context "{name}" does not exist')
        elif name == current() and not call.force:
            wrong.append(f'context "{name}" is in use, set -f flag to force remove')
        else:
            if name == current() and "DOCKER_CONTEXT" not in os.environ:
                _set_current(DEFAULT)
            Context(name).remove()
            print(name)
    if wrong:
        raise Exit(1, "\n".join(wrong))
    return 0


@command(
    f"""
context update [OPTIONS] CONTEXT

Update a context
{ENDPOINT}
      --description string   Description of the context
      --docker strings       set the docker endpoint
""",
    needs_engine=False,
)
def update(call: Call) -> int:
    """`docker context update`."""
    name = call.args[0]
    context = contexts.get(name)
    if name == DEFAULT:
        raise Exit(1, '"default" is a reserved context name')
    if "description" in call.given:
        context.description = call.description
    if call.docker:
        _endpoint(context, call.docker)
    context.save()
    return _done(name, "updated")


@command(
    """
context export CONTEXT [FILE|-]

Export a context to a tar archive FILE or a tar stream on STDOUT.
""",
    needs_engine=False,
)
def export(call: Call) -> int:
    """`docker context export`."""
    name, *where = call.args
    data, target = contexts.exported(contexts.get(name)), where[0] if where else f"{name}.dockercontext"
    if target == "-":
        if sys.stdout.isatty():
            raise Exit(1, "cowardly refusing to export to a terminal, specify a file path")
        sys.stdout.buffer.write(data)
        return 0
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise Exit(1, f"open {target}: {(error.strerror or str(error)).lower()}") from None
    print(f'Written file "{target}"', file=sys.stderr)
    return 0


@command(
    """
context import CONTEXT FILE|-

Import a context from a tar or zip file
""",
    needs_engine=False,
)
def import_(call: Call) -> int:
    """`docker context import`."""
    name, source = call.args
    contexts.check_name(name)
    if any(one.name == name for one in contexts.every()):
        raise Exit(1, f'context "{name}" already exists')
    try:
        data = sys.stdin.buffer.read(contexts.LARGEST + 1) if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise Exit(1, f"open {source}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > contexts.LARGEST:
        raise Exit(1, "invalid context: it has more than 10 MB")
    contexts.imported(name, data).save()
    return _done(name, "imported")
