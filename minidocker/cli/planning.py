"""`minidocker build --plan`: a forecast as text, or as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from minidocker.cli.flags import Exit
from minidocker.cli.format import columns, ellipsis
from minidocker.drawn import printable

if TYPE_CHECKING:
    from minidocker.build.forecast import Forecast

FORMATS = ("", "table", "json")


def check_format(format: str, planning: bool) -> None:
    """Refuse a `--format` that there is not. Raises Exit."""
    if format and not planning:
        raise Exit(125, "minidocker: --format says how a plan is printed: it needs --plan")
    if format not in FORMATS:
        raise Exit(125, f'minidocker: invalid format {format!r} for a plan: use "table" or "json"')


def plan_text(forecast: Forecast, format: str = "") -> str:
    """The stages, what would become of each step and why, and what that costs; or all of it as one JSON object."""
    if format == "json":
        return json.dumps(forecast.to_json())
    counts = Counter(step.decision.word for step in forecast.steps)
    head = f"nothing is built yet: {counts.total()} steps, {counts['hit']} from the cache, {counts['miss']} to build"
    head += f", {counts['depends']} depending on what is built" if counts["depends"] else ""
    sums = f"the cache saves {forecast.saved:.1f}s; the rest took {forecast.cost:.1f}s the last time"
    sums += f", {forecast.seconds:.1f}s side by side" if any(lane.beside for lane in forecast.lanes) else ""
    return "\n\n".join(part for part in (head, _stages(forecast), _steps(forecast), sums) if part)


def _stages(forecast: Forecast) -> str:
    """Which stages need and go on beside which; nothing where there is but one."""
    rows = [
        f"{printable(lane.name)}\t{lane.first}-{lane.last}\t{_list(lane.needs)}\t{_list(lane.beside)}"
        for lane in forecast.lanes
    ]
    rows += [
        f"{printable(stage.title)}\tnone\t\tnever runs: nothing needs it" for stage in forecast.stages if not stage.used
    ]
    return columns(["STAGE\tSTEPS\tNEEDS\tSIDE BY SIDE WITH", *rows]) if len(rows) > 1 else ""


def _steps(forecast: Forecast) -> str:
    rows = []
    for step in forecast.steps:
        line, *more = step.text.splitlines() or [""]
        took = f"{step.seconds:.1f}s" if step.seconds else ""
        why = "" if step.decision.hit else step.decision.reason.removeprefix("miss because ")
        text = ellipsis(printable(line) + (" …" if more else ""), 48)
        rows.append(f"{step.number}\t{step.line}\t{text}\t{step.decision.word}\t{took}\t{printable(why)}".rstrip())
    return columns(["STEP\tLINE\tINSTRUCTION\tPLAN\tLAST TIME\tWHY", *rows])


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(map(printable, names)) or "none"
