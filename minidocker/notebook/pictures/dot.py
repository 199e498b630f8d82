"""Graphs: the one place where Graphviz source becomes SVG, on machines with and without Graphviz.

`dot` is looked for in this order: `$MINIDOCKER_DOT`, `dot` on the PATH, the program of the `graphviz-pure` wheel. What
comes back is cleaned so that it may lie in a page beside others and follows the notebook's theme: no version comment,
no white ground, `currentColor` for ink, sizes that shrink with the page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from minidocker.errors import Unsupported

TIMEOUT = 20  # seconds; a graph that takes longer is no picture for a person
FONT = "Arial"  # its metrics are built in where no font is installed; so text stays inside its box
CODE_FONT = "Courier New"


def find_dot() -> str:
    """The Graphviz program to run.

    Raises Unsupported where there is none, with the way to get one.
    """
    asked = os.environ.get("MINIDOCKER_DOT")
    if asked:
        found = shutil.which(asked)
        if not found:
            raise Unsupported(
                f"MINIDOCKER_DOT is set to {asked!r}, and there is no such program: unset it or set it right"
            )
        return found
    beside = Path(sys.executable).parent
    found = shutil.which("dot") or shutil.which("graphviz-pure", path=str(beside)) or shutil.which("graphviz-pure")
    if not found:
        raise Unsupported("this picture is a graph and there is no Graphviz here to draw it: pip install graphviz-pure")
    return found


def render_svg(source: str, prefix: str = "g") -> str:
    """Draw Graphviz source: one clean `<svg>` element, whose ids all start with `prefix`.

    Raises Unsupported where no Graphviz is found or it does not manage.
    """
    return _clean(_run(find_dot(), source), prefix)


@lru_cache(maxsize=64)
def _run(program: str, source: str) -> str:
    try:
        done = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unsupported(f"{program} could not draw this graph: {error}") from error
    if done.returncode or b"<svg" not in done.stdout:
        said = done.stderr.decode(errors="replace").strip()[:300]
        raise Unsupported(f"{program} could not draw this graph: {said or f'exit code {done.returncode}'}")
    return done.stdout.decode()


def _clean(svg: str, prefix: str) -> str:
    """Strip what changes from one Graphviz to the next, and let the page's colours and width in."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*|<title>.*?</title>\s*", "", svg, flags=re.S)
    svg = re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), svg)
    svg = svg.replace(' xml:space="preserve"', "").replace("#888888", "#888")
    svg = re.sub(r'(fill|stroke)="black"', r'\1="currentColor"', svg)
    svg = re.sub(r"(<text\b(?![^>]*\bfill=))", r'\1 fill="currentColor"', svg)
    svg = re.sub(r'\bid="([^"]*)"', lambda found: f'id="{prefix}-{_identifier(found[1])}"', svg)
    svg = re.sub(r'(url\(#|href="#)([^")]*)', lambda found: f"{found[1]}{prefix}-{_identifier(found[2])}", svg)
    width = re.search(r'<svg[^>]*?width="(\d+(?:\.\d+)?)pt"', svg)
    size = (
        f"width:100%;max-width:{float(width[1]) * 4 / 3:.0f}px;height:auto;color:var(--jp-ui-font-color1,CanvasText)"
        if width
        else ""
    )
    svg = re.sub(
        r'<svg\s+width="[^"]*"\s+height="[^"]*"', f'<svg class="md-dot" role="img" style="{size}"', svg, count=1
    )
    return re.sub(r"\n\s*", "\n", svg).strip()


def _identifier(text: str) -> str:
    """What may stand in an id everywhere: letters, digits, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)
