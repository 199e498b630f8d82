"""What grading came to, for whoever reads it: JSON, CSV and JUnit XML for programs, Markdown and HTML for people.

All are functions of the results, in the order of the submissions' names: the same bytes for the same results. What a
learner wrote (names of files, what his functions returned) is made harmless for each format.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from xml.sax.saxutils import quoteattr

from minidocker.content import readable, write_atomic
from minidocker.grading.score import Result, TaskResult
from minidocker.grading.verdict import SIGNS
from minidocker.notebook.pictures.svg import Figure, printable, rect, style, text

SCOPE = "Score: stars for each task, in the part of its checks that hold (of public and hidden ones, the smaller part)."
SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{{font:14px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color-scheme:light dark}}
table{{border-collapse:collapse}}td,th{{padding:2px 10px;text-align:left;border-bottom:1px solid #8884}}
pre{{white-space:pre-wrap;margin:4px 0}}.task{{border-left:4px solid #888;padding:2px 12px;margin:8px 0}}
.passed{{border-color:#009e73}}.under{{border-color:#e69f00}}.cannot{{border-color:#d55e00}}
.pair{{display:flex;flex-wrap:wrap;gap:24px}}.pair>div{{flex:1 1 300px}}{style}</style></head><body>
{body}
</body></html>
"""


def write(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Write all of them into a folder, each whole or not at all; their paths."""
    results = sorted(results, key=lambda result: result.who)
    made: Mapping[str, Callable[[Sequence[Result]], str]] = {
        "grades.json": json_text,
        "grades.csv": csv_text,
        "junit.xml": junit,
        "report.md": markdown,
        "report.html": html,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text_of in made.items():
        write_atomic(folder / name, text_of(results).encode("utf-8", "replace"))
    return [folder / name for name in made]


def json_text(results: Sequence[Result]) -> str:
    """All that is known, without the pictures."""

    def plain(result: Result) -> dict[str, object]:
        found = result.json()
        for task in found["tasks"]:
            del task["pictures"], task["twin"]
        return found

    return readable({"submissions": [plain(result) for result in results]}) + "\n"


def csv_text(results: Sequence[Result]) -> str:
    """The class: a line a submission, with the points of each task that anybody was graded for."""
    addresses = sorted({task.address for result in results for task in result.tasks}, key=_numbers)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["submission", "exercise", "points", "of", "passed", *addresses, "problem"])
    for result in results:
        earned = {task.address: f"{task.points:g}" for task in result.tasks}
        known = [f"{result.points:g}", result.of, "yes" if result.passed else "no"]
        cells = [result.who, result.exercise, *known, *(earned.get(one, "") for one in addresses), result.problem]
        rows.writerow([no_formula(str(cell)) for cell in cells])
    return out.getvalue()


def junit(results: Sequence[Result]) -> str:
    """A test suite a submission, a test case a task, as CI systems read them."""
    suites = []
    for result in results:
        cases = [_case(result, task) for task in result.tasks]
        if result.problem:
            words = _attribute(result.problem)
            cases.append(
                f"    <testcase classname={_attribute(result.who)} name='grading'><error message={words}/></testcase>"
            )
        wrong = sum(task.points < task.stars for task in result.tasks)
        counts = (
            f"tests='{len(cases)}' failures='{wrong}' errors='{int(bool(result.problem))}' time='{result.seconds:g}'"
        )
        suites.append("\n".join([f"  <testsuite name={_attribute(result.who)} {counts}>", *cases, "  </testsuite>"]))
    return "\n".join(["<?xml version='1.0' encoding='utf-8'?>", "<testsuites>", *suites, "</testsuites>"]) + "\n"


def _case(result: Result, task: TaskResult) -> str:
    name = f"classname={_attribute(f'{result.who}.{result.exercise}')} name={_attribute(f'{task.address} {task.name}')}"
    if task.points == task.stars:
        return f"    <testcase {name}/>"
    said = escape(_clean("\n".join([*task.said, task.scope])), quote=False)
    return f"    <testcase {name}><failure message={_attribute(task.scope)}>{said}</failure></testcase>"


def markdown(results: Sequence[Result]) -> str:
    """A table of the class, and for each learner what to do next."""
    lines = ["# Grades", "", SCOPE, "", "| submission | exercise | score | |", "|---|---|---|---|"]
    lines += [
        f"| {markdown_text(r.who)} | {r.exercise or '?'} | {r.points:g} of {r.of} | {markdown_text(_in_short(r))} |"
        for r in results
    ]
    for result in results:
        lines += [
            "",
            f"## {markdown_text(result.who)}",
            "",
            f"{markdown_text(_in_short(result))} {markdown_text(_where(result))}".rstrip(),
        ]
        lines += [f"- {markdown_text(note)}" for note in result.notes]
        for task in result.tasks:
            stars = f"{task.points:g} of {task.stars} {'★' * task.stars}"
            lines += ["", f"### {SIGNS[task.voice]} {task.address} `{task.name}`: {stars}", "", task.scope]
            lines += ["", *(f"    {line}" for line in _clean("\n".join(task.said)).split("\n"))]
    return "\n".join(lines) + "\n"


def html(results: Sequence[Result]) -> str:
    """One page, with a picture of the class, and of each wrong result beside the expected one."""
    figure = overview(results)
    parts = [f"<h1>Grades</h1><p>{escape(SCOPE)}</p>", figure.svg(), _table(results)]
    parts += [_section(result, number) for number, result in enumerate(results)]
    body = "\n".join(parts)
    return SHELL.format(title="Grades", style=style(body), body=body)


def overview(results: Sequence[Result]) -> Figure:
    """A row a submission: a box a task, filled as far as its stars were earned."""
    drawn, words, y = [], [], 4.0
    for result in results:
        drawn.append(text(0, y + 13, result.who, width=180))
        x = 190.0
        for task in result.tasks:
            width = 40.0 * task.stars
            drawn.append(rect(x, y, width, 18, "md-box", rx=2))
            if task.points:
                look = "md-a" if task.points == task.stars else "md-on"
                drawn.append(rect(x, y, width * task.points / task.stars, 18, look, rx=2))
            drawn.append(text(x + width / 2, y + 13, task.address, "md-s", text_anchor="middle"))
            x += width + 4
        drawn.append(text(x + 6, y + 13, _in_short(result), "md-s", width=400))
        words.append(f"{result.who}: {_in_short(result)}")
        y += 24
    return Figure("the class", "; ".join(words), "".join(drawn), 900, y, "\n".join(words))


def _table(results: Sequence[Result]) -> str:
    rows = "".join(
        f"<tr><td><a href='#s{number}'>{_html(r.who)}</a></td><td>{_html(r.exercise or '?')}</td>"
        f"<td>{r.points:g} of {r.of}</td><td>{_html(_in_short(r))}</td></tr>"
        for number, r in enumerate(results)
    )
    return f"<table><tr><th>submission</th><th>exercise</th><th>score</th><th></th></tr>{rows}</table>"


def _section(result: Result, number: int) -> str:
    notes = "".join(f"<li>{_html(note)}</li>" for note in result.notes)
    parts = [f"<h2 id='s{number}'>{_html(result.who)}</h2>"]
    parts += [f"<p>{_html(f'{_in_short(result)} {_where(result)}')}</p><ul>{notes}</ul>"]
    for task in result.tasks:
        head = f"{SIGNS[task.voice]} {task.address} {task.name}: {task.points:g} of {task.stars} {'★' * task.stars}"
        pictures = "".join(f"<div>{svg}</div>" for svg in task.pictures)  # made by the course, of escaped words
        said = f"<b>{_html(head)}</b><div>{_html(task.scope)}</div><pre>{_html(chr(10).join(task.said))}</pre>"
        parts.append(f"<div class='task {task.voice.split()[0]}'>{said}<div class='pair'>{pictures}</div></div>")
    return "\n".join(parts)


def _in_short(result: Result) -> str:
    """One line: passed, what is missing, or why there is nothing to score."""
    if result.problem:
        return f"not graded: {result.problem}"
    if result.passed:
        return "every check of every task holds"
    missing = ", ".join(task.address for task in result.tasks if task.points < task.stars)
    return f"to do: {missing}"


def _where(result: Result) -> str:
    return f"({result.sandbox})" if result.sandbox else ""


def _clean(words: str) -> str:
    """Text without what drives terminals, and what XML cannot have."""
    return "\n".join(re.sub("[\ud800-\udfff\ufffe\uffff]", "�", printable(line)) for line in words.split("\n"))


def _html(words: str) -> str:
    return escape(_clean(words))


def _attribute(words: str) -> str:
    return quoteattr(_clean(words).replace("\n", " "))


def markdown_text(words: str) -> str:
    """Text in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", escape(_clean(words).replace("\n", " "), quote=False))


def no_formula(cell: str) -> str:
    """A cell that no spreadsheet computes, and no terminal obeys.

    >>> no_formula("=cmd()"), no_formula(" +1"), no_formula("a-b"), no_formula("two\\nlines")
    ("'=cmd()", "' +1", 'a-b', 'two\\\\nlines')
    """
    cell = _clean(printable(cell))
    return f"'{cell}" if cell.lstrip()[:1] in tuple("=+-@＝＋－＠") else cell


def _numbers(address: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", address)]
