"""Sizes, times and tables as docker prints them.

The words are those of docker's `go-units` (`1.98MB`, `About a minute`), the columns those of Go's `tabwriter` with
docker's settings (at least 10 wide, 3 between), and a listing is printed through a template: one that starts with
`table` with its header, any other once a line, or `json`.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from minidocker.cli.flags import Exit
from minidocker.cli.pieces import ExecError, TemplateError
from minidocker.cli.template import compile_template
from minidocker.cli.values import Function, Struct, as_structs, to_json
from minidocker.errors import DockerException, NotFound
from minidocker.times import human


def human_size(size: float, digits: int = 4) -> str:
    """Bytes in powers of 1000, to so many digits.

    >>> human_size(1984154), human_size(1984154, 3), human_size(0)
    ('1.984MB', '1.98MB', '0B')
    """
    return _in_units(size, 1000, ("B", "kB", "MB", "GB", "TB", "PB", "EB"), digits)


def binary_size(value: float) -> str:
    """Bytes in powers of 1024, to four digits.

    >>> binary_size(741376), binary_size(64 << 20), binary_size(0)
    ('724KiB', '64MiB', '0B')
    """
    return _in_units(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), 4)


def _in_units(value: float, step: int, units: tuple[str, ...], digits: int) -> str:
    at = 0
    while value >= step:
        value, at = value / step, at + 1
    return f"{value:.{digits}g}{units[min(at, len(units) - 1)]}"


def seconds_of(stamp: str | float) -> float:
    """A time (RFC 3339, or seconds already) as seconds since 1970; 0.0 for none, and for Docker's zero time, year 1.

    >>> seconds_of("1970-01-01T00:01:00.5Z"), seconds_of("0001-01-01T00:00:00Z")
    (60.5, 0.0)
    """
    from datetime import datetime

    if not isinstance(stamp, str):
        return float(stamp)
    return 0.0 if not stamp or stamp.startswith("0001-") else datetime.fromisoformat(stamp).timestamp()


def ago(then: str | float) -> str:
    """`2 weeks ago`; `N/A` when there is no time."""
    then = seconds_of(then)
    return f"{human(time.time() - then)} ago" if then else "N/A"


def local_time(then: str | float) -> str:
    """A time as Go prints it: `2026-11-23 06:40:31 +0000 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds_of(then)))


def rfc3339(then: str | float) -> str:
    """A time as the internet writes it: `2026-11-23T06:40:31Z`."""
    local = time.localtime(seconds_of(then))
    zone = time.strftime("%z", local)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + ("Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}")


def ellipsis(text: str, width: int) -> str:
    """Cut to `width` characters, the last one an ellipsis.

    >>> ellipsis("sh -c 'echo out; echo err'", 20)
    "sh -c 'echo out; ec…"
    """
    return text if len(text) <= width else text[: width - 1] + "…"


def natural(text: str) -> list[tuple[int, int, str]]:
    """What docker sorts names by: digits are numbers, and come before letters.

    >>> sorted(["v10", "v2", "v.b"], key=natural)
    ['v2', 'v10', 'v.b']
    """
    parts = re.findall(r"[0-9]+|[^0-9]", text)
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]


def columns(lines: Iterable[str], least: int = 10, gap: int = 3) -> str:
    """Tab-separated lines set in columns; what follows a line's last tab is not padded.

    >>> print(columns(["NAMES\\tSTATUS", "a-long-name\\tUp"]))
    NAMES         STATUS
    a-long-name   Up
    """
    rows = [line.split("\t") for line in lines]
    widths: dict[int, int] = {}
    for row in rows:
        for i, cell in enumerate(row[:-1]):
            widths[i] = max(widths.get(i, least), len(cell) + gap)
    return "\n".join("".join(cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])) + row[-1] for row in rows)


_HEADER_FUNCTIONS = {
    name: Function(lambda value, *_: value, 1, None)
    for name in ("json", "title", "lower", "upper", "truncate", "pad", "split", "join")
}


Row = dict[str, Any]  # field -> text; or a function, called when a template asks for it


class Listing:
    """A kind of list (of images, containers, …): its fields, their headers, and the columns shown when nobody says.

    `show` prints rows in a `--format`; `kind` is the type's name in docker's own complaint about an unknown field.
    """

    def __init__(self, kind: str, default: str, headers: Mapping[str, str]) -> None:
        self.kind, self.default, self.headers = kind, default, headers

    def show(self, rows: Iterable[Mapping[str, Any]], format: str = "", quiet: bool = False, **columns_: bool) -> None:
        """Print `rows`; with `quiet` only the ids. A keyword adds a column of that name to the default table."""
        text = self.text(rows, format, quiet, [name for name, wanted in columns_.items() if wanted])
        if text:
            print(text)

    def text(
        self, rows: Iterable[Mapping[str, Any]], format: str = "", quiet: bool = False, extra: Iterable[str] = ()
    ) -> str:
        """What `show` prints."""
        if format in ("", "table"):
            format = (
                "{{.ID}}" if quiet else "table " + "\t".join([self.default, *(f"{{{{.{name}}}}}" for name in extra)])
            )
        if format == "json":
            return "\n".join(self._json(row) for row in rows)
        is_table = format.startswith("table")
        body = format.removeprefix("table").strip(" ").replace("\\t", "\t").replace("\\n", "\n")
        try:
            fill = compile_template(body, {"json": Function(lambda value: self._json(value))})
            lines = [fill(self._row(row)) for row in rows]
            if is_table:
                lines.insert(0, compile_template(body, _HEADER_FUNCTIONS)(self._header()))
        except TemplateError as error:
            verb = "execute" if isinstance(error, ExecError) else "parse"
            raise Exit(1, f"failed to {verb} template: {error}") from None
        return columns(lines) if is_table else "\n".join(lines)

    def _row(self, row: Mapping[str, Any]) -> Struct:
        struct = Struct(row)
        struct.kind = self.kind
        return struct

    def _header(self) -> Struct:
        return self._row({**self.headers, "Label": lambda name: name})

    def _json(self, value: Any) -> str:
        """Go's JSON of a whole row: sorted, and with `<`, `>` and `&` escaped."""
        if not isinstance(value, Mapping):
            return to_json(value)
        fields: dict[str, Any] = {name: value[name] for name in sorted(value) if not callable(value[name])}
        return to_json(fields).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def formatted(value: dict[str, Any], format: str, kind: str) -> str:
    """One value through a `--format`: a template, or `json`."""
    if format == "json":
        return to_json(value)
    try:
        struct = as_structs(value)
        struct.kind = kind
        return compile_template(format)(struct)
    except TemplateError as error:
        raise Exit(1, str(error)) from None


# --- what many commands do ------------------------------------------------------------------------------------------


def filters_of(options: Iterable[str]) -> dict[str, list[str]]:
    """`["label=a=b", "label=c"]` as `{"label": ["a=b", "c"]}`."""
    filters: dict[str, list[str]] = {}
    for option in options:
        key, _, value = option.partition("=")
        filters.setdefault(key.strip().lower(), []).append(value)
    return filters


def each(
    names: Iterable[str],
    act: Callable[[str], object],
    failed: str = "",
    silent: bool = False,
    at_once: int = 1,
    missing_ok: bool = False,
) -> int:
    """Do something to each name and print the name; go on after errors and complain at the end, as docker does.

    So many `at_once`; what is printed keeps the order of the names. `failed` goes before the names with errors. With
    `missing_ok` it is no failure, though it is told, that something is not there.
    """
    from minidocker.cli import complaint

    complaints: list[str] = []
    blamed: list[str] = []
    for name, done in _started([*names], act, at_once):
        try:
            done()
            if not silent:
                print(name, flush=True)
        except DockerException as error:
            complaints.append(complaint(error))
            blamed += [] if missing_ok and isinstance(error, NotFound) else [name]
    text = "\n".join([*complaints, *([failed + ", ".join(blamed)] if failed else [])])
    if blamed:
        raise Exit(1, text)
    if complaints:
        print(text, file=sys.stderr)
    return 0


def _started(
    names: list[str], act: Callable[[str], object], at_once: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each name, and what waits until `act` is done with it, or does it then."""
    if at_once == 1 or len(names) == 1:
        yield from ((name, partial(act, name)) for name in names)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(at_once) as pool:
        yield from [(name, pool.submit(act, name).result) for name in names]


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but y or yes (or the end of the input) is a no."""
    print(f"{question}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        return False
