"""`--log-driver` and `--log-opt`: whether and how what a container prints is kept.

Docker's `json-file` is the one format, with the options that it has: `max-size`, `max-file`, `compress`, and `labels`,
`labels-regex`, `env`, `env-regex` and `tag`, which say more in each line. `none` keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from minidocker.errors import InvalidArgument, StartError, Unsupported
from minidocker.runtime import LogFile

OPTIONS = frozenset({"log_config"})
KNOWN = frozenset("max-file max-size compress labels labels-regex env env-regex tag".split())
COMMON = frozenset({"mode", "max-buffer-size"})  # of all drivers
ELSEWHERE = "local syslog journald gelf fluentd awslogs splunk etwlogs gcplogs logentries".split()
TRUTHS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
SIZE = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)


def host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """`LogConfig`, with the driver and its options; whether their values make sense, Docker asks at the start.

    >>> host_config({"log_config": {"type": "json-file", "config": {"max-size": "10m"}}})
    {'LogConfig': {'Type': 'json-file', 'Config': {'max-size': '10m'}}}
    """
    wanted = {str(key).lower(): value for key, value in (given.get("log_config") or {}).items()}
    driver = str(wanted.get("type") or "json-file")
    options = {str(key): str(value) for key, value in (wanted.get("config") or {}).items()}
    if driver in ELSEWHERE:
        raise Unsupported(f"minidocker does not have the log driver {driver!r}: use json-file, or none")
    if driver not in ("json-file", "none"):
        raise InvalidArgument(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    if driver == "json-file":
        _check_names(options)
    return {"LogConfig": {"Type": driver, "Config": options}}


def _check_names(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options and mode != "non-blocking":
        raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    if mode == "non-blocking":
        raise Unsupported("minidocker's log waits for its disk (mode=blocking): leave out mode=non-blocking")
    if unknown := sorted(options.keys() - KNOWN - COMMON):
        raise InvalidArgument(f"unknown log opt '{unknown[0]}' for json-file log driver")


def boxed(config: Mapping[str, Any]) -> dict[str, Any]:
    """How the runtime keeps the log: `log_file`, None where it keeps none. What makes no sense is left out: `check`."""
    try:
        return {"log_file": log_file(config)}
    except ValueError:
        return {"log_file": LogFile()}


def check(config: Mapping[str, Any]) -> None:
    """Raise StartError, in Docker's words, where the values of the options make no sense."""
    try:
        log_file(config)
    except ValueError as error:
        raise StartError(f"failed to initialize logging driver: {error}") from None


def log_file(config: Mapping[str, Any]) -> LogFile | None:
    """The options, read. Raises ValueError in the words of Docker's json-file driver."""
    wanted = config["HostConfig"].get("LogConfig") or {}
    options = wanted.get("Config") or {}
    if wanted.get("Type") == "none":
        return None
    max_size = _size(options["max-size"]) if "max-size" in options else 0
    if "max-size" in options and not max_size:
        raise ValueError("max-size must be a positive number")
    max_files = _count(options.get("max-file", "1"))
    compress = _truth(options.get("compress", "false"))
    if compress and (max_files == 1 or not max_size):
        raise ValueError("compress cannot be true when max-file is less than 2 or max-size is not set")
    return LogFile(max_size, max_files, compress, dict(sorted(_attrs(config, options))))


def _attrs(config: Mapping[str, Any], options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What each line says of the container, as options ask for it."""
    own = config["Config"]
    env = dict(text.partition("=")[::2] for text in own.get("Env") or [])
    for name, values in (("labels", own.get("Labels") or {}), ("env", env)):
        wanted = options.get(name, "").split(",")
        pattern = _pattern(options.get(f"{name}-regex", ""))
        yield from ((key, values[key]) for key in values if key in wanted or (pattern and pattern.search(key)))
    if options.get("tag"):
        yield "tag", _tag(options["tag"], config)


def _tag(template: str, config: Mapping[str, Any]) -> str:
    """A tag with what its template names filled in; of Go's templates, fields alone."""
    image = str(config["Image"])
    fields = {
        "ID": config["Id"][:12],
        "FullID": config["Id"],
        "Name": config["Name"],
        "ImageID": image.removeprefix("sha256:")[:12],
        "ImageFullID": image,
        "ImageName": config["Config"]["Image"],
        "DaemonName": "docker",
        "Command": " ".join([config["Path"], *config["Args"]]),
    }

    def field(found: re.Match[str]) -> str:
        name = found[1].strip()
        if not re.fullmatch(r"\.\w+", name):
            raise ValueError(
                f"template: log-tag:1: {name!r} is not supported: a tag can have fields only, as {{{{.ID}}}}"
            )
        if name[1:] not in fields:
            at = f'template: log-tag:1:{found.start(1)}: executing "log-tag" at <{name}>'
            raise ValueError(f"{at}: can't evaluate field {name[1:]} in type *logger.Info")
        return str(fields[name[1:]])

    said = re.sub(r"\{\{(.*?)\}\}", field, template)
    if "{{" in said:
        raise ValueError("template: log-tag:1: unclosed action")
    return said


def _size(text: str) -> int:
    """`10m` in bytes: Docker's logs count in thousands, where its memory counts in 1024.

    >>> _size("10m"), _size("1.5k")
    (10000000, 1500)
    """
    found = SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"invalid size: '{text}'")
    return int(float(found[1]) * 1000 ** " kmgtp".index(found[2].lower() or " "))


def _count(text: str) -> int:
    if not re.fullmatch(r"[-+]?\d+", text):
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 1:
        raise ValueError("max-file cannot be less than 1")
    return int(text)


def _truth(text: str) -> bool:
    if text not in TRUTHS and (text.lower() not in TRUTHS or text not in (text.upper(), text.capitalize())):
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return TRUTHS[text.lower()]


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ValueError(f"error parsing regexp: {error}: `{text}`") from None
