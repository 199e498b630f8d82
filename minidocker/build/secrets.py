"""`--secret` and `--ssh`: what a build may know for a moment, and no image, cache or log ever learns.

    --secret id=token,src=token.txt    --secret id=token,env=TOKEN    --secret id=TOKEN    --ssh default
    --ssh deploy=/run/agent.sock

A secret is read once, when the build begins. How a RUN gets at an ssh agent, `agent` has.

>>> values(["id=a,env=HOME"]).keys(), values({"a": "text", "b": b"bytes"})
(dict_keys(['a']), {'a': b'text', 'b': b'bytes'})
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from minidocker.dockerfile.mounts import cells
from minidocker.errors import InvalidArgument, Unsupported

LARGEST = 500 * 1024  # bytes of one secret
DEFAULT = "default"


# Secrets


def values(given: Mapping[str, Any] | Iterable[str] | None) -> dict[str, bytes]:
    """The secrets by id: a mapping to a text, bytes or (a `Path`) a file, or texts as `--secret` takes them.

    Raises InvalidArgument in BuildKit's words.
    """
    pairs = given.items() if isinstance(given, Mapping) else [_spec(text) for text in given or ()]
    found: dict[str, bytes] = {}
    for name, value in pairs:
        if not name:
            raise InvalidArgument("secret missing ID")
        found[name] = _content(name, value)
    return found


def _content(name: str, value: object) -> bytes:
    if not isinstance(value, Path):
        return value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")
    try:
        with value.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        raise InvalidArgument(f"failed to stat {value}: stat {value}: {text}") from None
    if len(data) > LARGEST:
        raise InvalidArgument(f"secret {name} too big. max size 500KB")
    return data


def _spec(text: str) -> tuple[str, object]:
    """What one `--secret` says: the id, and the file or the value of the variable."""
    try:
        fields = [cell.partition("=") for cell in cells(text)]
    except ValueError as error:
        raise InvalidArgument(str(error).replace("csv mounts", "csv secret")) from None
    known = {"type": "type", "id": "id", "source": "src", "src": "src", "env": "env"}
    said: dict[str, str] = {}
    for key, equals, value in fields:
        if not equals:
            raise InvalidArgument(f"invalid field '{key}' must be a key=value pair")
        if key.lower() not in known:
            raise InvalidArgument(f"unexpected key '{key.lower()}' in '{key}={value}'")
        if key.lower() == "type" and value not in ("file", "env"):
            raise InvalidArgument(f'unsupported secret type "{value}"')
        said[known[key.lower()]] = value
    name, env, path = said.get("id", ""), said.get("env", ""), said.get("src", "")
    if said.get("type") == "env" and not env:
        env, path = path, ""
    if not env and not path:
        env, path = (name, "") if name in os.environ else ("", name)
    return name, os.environ.get(env, "") if env else Path(path)


# ssh


def agents(given: Mapping[str, Any] | Iterable[str] | None) -> dict[str, str]:
    """The sockets of ssh agents by id: a mapping, or texts as `--ssh` takes them. Raises InvalidArgument, Unsupported.

    >>> agents({"default": "/no/such"})
    Traceback (most recent call last):
    ...
    minidocker.errors.InvalidArgument: failed to stat /no/such: stat /no/such: no such file or directory
    """
    pairs = given.items() if isinstance(given, Mapping) else [text.partition("=")[::2] for text in given or ()]
    found: dict[str, str] = {}
    for name, path in pairs:
        if (name or DEFAULT) in found:
            raise InvalidArgument(f"invalid duplicate ID {name or DEFAULT}")
        found[name or DEFAULT] = _agent(str(path) or os.environ.get("SSH_AUTH_SOCK", ""))
    return found


def _agent(path: str) -> str:
    if not path:
        raise InvalidArgument("invalid empty ssh agent socket, make sure SSH_AUTH_SOCK is set")
    for one in (paths := path.split(",")):
        if one.startswith("raw="):
            raise Unsupported("--ssh with raw=true is not supported: only what speaks to an ssh agent is passed on")
        try:
            kind = os.stat(one).st_mode  # noqa: PTH116 - it is only a text so far
        except OSError as error:
            text = (error.strerror or str(error)).lower()
            raise InvalidArgument(f"failed to stat {one}: stat {one}: {text}") from None
        if not stat.S_ISSOCK(kind):
            raise Unsupported(
                f"--ssh {one} is a file: minidocker reads no private keys. Give it to an agent: "
                f'eval "$(ssh-agent)" && ssh-add {one}, and use --ssh default'
            )
    if len(paths) > 1:
        raise InvalidArgument("only single socket allowed")
    return path
