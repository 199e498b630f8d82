"""`minidocker image explain`: an image read backwards, as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import wrap

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import columns, ellipsis, human_size
from minidocker.drawn import printable
from minidocker.explain import Explanation, Line

WIDE = 46  # characters of an instruction


@command("""
image explain [OPTIONS] IMAGE

Read an image backwards: what each line made, what of it is wasted, and which line to change (minidocker's own)

      --format string   Format the explanation: "table" or "json"
      --no-trunc        Don't truncate output
""")
def explain(call: Call) -> int:
    """What each line of an image made, and what to do about it."""
    if call.format not in ("", "table", "json"):
        raise Exit(125, f'minidocker: invalid format {call.format!r} for an explanation: use "table" or "json"')
    found = call.engine.images.explain(call.args[0])
    print(json.dumps(found.to_json()) if call.format == "json" else text(found, call.no_trunc))
    return 0


def text(found: Explanation, full: bool = False) -> str:
    """The lines as a table, newest last, and the advice below it."""
    of = f"{human_size(found.wasted, 3)} of {human_size(found.size, 3)} are wasted"
    rest = ", the base left out" if found.base else ""
    head = f"efficiency {found.efficiency:.0%}: {of}{rest}"
    table = columns(["LINE\tLAYER\tINSTRUCTION\tADDS\tCHANGES\tHIDES\tSIZE\tWASTED\tTOOK", *_rows(found, full)], 6, 2)
    return "\n\n".join([head, table, "\n".join(_advice(found)) or "nothing to do better"])


def _rows(found: Explanation, full: bool) -> Iterator[str]:
    base = [line for line in found.lines if line.base]
    if base:
        layers, size = sum(bool(line.layer) for line in base), sum(line.size for line in base)
        which = f"1-{layers}" if layers > 1 else str(layers or "")
        yield "\t".join(["", which, f"FROM {printable(found.base)}", "", "", "", human_size(size, 3), "", ""])
    for line in found.own:
        words = printable(" ".join(line.text.split()))
        shown = words if full else ellipsis(words, WIDE)
        yield "\t".join([str(line.line or ""), str(line.layer or ""), shown, *_figures(line)])


def _figures(line: Line) -> list[str]:
    if not line.layer:
        return [""] * 6
    counts = [str(number or "") for number in (line.added, line.changed, line.hidden)]
    wasted = human_size(line.wasted, 3) if line.wasted else ""
    return [*counts, human_size(line.size, 3), wasted, f"{line.seconds:.1f}s" if line.seconds else ""]


def _advice(found: Explanation) -> Iterator[str]:
    for number, one in enumerate(found.advice, 1):
        saves = [human_size(one.bytes, 3)] if one.bytes else []
        saves += [f"{one.seconds:.1f}s of the last rebuild"] if one.seconds else []
        said = f"{printable(one.text)}" + (f". Saves {' and '.join(saves)}" if saves else "")
        yield "\n".join(wrap(said, 116, initial_indent=f"{number:>2}. ", subsequent_indent="    "))
