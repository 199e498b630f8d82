"""`source(layer)`: the module that a lesson is about, shown in the lesson, so that nothing stays behind a curtain.

source(layer)                  an outline of the module: its text at the top, and what is in it
source(layer.merge, layer.diff)    functions and classes, whole
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

KEYWORD, TEXT, NOTE, NAME = "kw", "st", "co", "nf"  # how Pygments calls what is coloured here
COLOURS = {
    KEYWORD: "var(--jp-mirror-editor-keyword-color,#008000);font-weight:600",
    TEXT: "var(--jp-mirror-editor-string-color,#ba2121)",
    NOTE: "var(--jp-mirror-editor-comment-color,#408080)",
    NAME: "var(--jp-mirror-editor-def-color,#00f);font-weight:600",
}
PACKAGE = Path(__file__).resolve().parents[1]


def source(*things: Any) -> Source:
    """The source of modules, functions and classes of minidocker's, to be read in a notebook.

    Raises TypeError for anything that has no source here.
    """
    parts = []
    for thing in things:
        code = outline(thing) if isinstance(thing, ModuleType) else _code(thing)
        parts.append((place(thing), code))
    return Source(tuple(parts))


@dataclass(frozen=True)
class Source:
    """Pieces of source, each with where it stands."""

    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n\n".join(f"# {where}\n{code}" for where, code in self.parts)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        style = "".join(f".md-src .{name}{{color:{look}}}" for name, look in COLOURS.items())
        boxes = "".join(_box(where, code) for where, code in self.parts)
        return {"text/plain": str(self), "text/html": f'<style>{style}</style><div class="md-src">{boxes}</div>'}


def outline(module: ModuleType) -> str:
    """A module's text at the top, and the head of every public class and function in it, with its first line."""
    text = inspect.getsource(module)
    tree = ast.parse(text)
    lines = [f'"""{ast.get_docstring(tree, clean=False) or ""}"""']
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            head = re.split(r":\s*\n", ast.get_source_segment(text, node) or "", maxsplit=1)[0]
            said = (ast.get_docstring(node) or "").partition("\n")[0]
            lines.append(f'{head}:\n    """{said}"""')
    return "\n\n".join(lines)


def place(thing: Any) -> str:
    """Where a thing stands, from the package on: `minidocker/layer.py`, with the line where that is not the first."""
    path = Path(inspect.getsourcefile(thing) or "").resolve()
    return path.relative_to(PACKAGE.parent).as_posix() if path.is_relative_to(PACKAGE) else path.name


def _code(thing: Any) -> str:
    return textwrap.dedent(inspect.getsource(inspect.unwrap(thing))).rstrip()


def _box(where: str, code: str) -> str:
    title = f'<div style="font-size:.85em;opacity:.85">{escape(where)}</div>'
    look = "margin:.2em 0 1em;padding:.5em .8em;max-height:32em;overflow:auto;line-height:1.35;white-space:pre;"
    look += "border:1px solid var(--jp-border-color1,#8888);"
    look += "font-family:var(--jp-code-font-family,monospace);font-size:.92em"
    return f'{title}<pre tabindex="0" style="{look}">{_coloured(code)}</pre>'


def _coloured(code: str) -> str:
    """Python in colours, where Pygments is there to tell what is what."""
    try:
        from pygments.lexers import PythonLexer
        from pygments.token import Token
    except ImportError:
        return escape(code, quote=False)
    kinds = {Token.Keyword: KEYWORD, Token.Literal.String: TEXT, Token.Comment: NOTE}
    kinds |= {Token.Name.Function: NAME, Token.Name.Class: NAME}
    spans = [
        (next((name for kind, name in kinds.items() if token in kind), ""), text)
        for token, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code)
    ]
    merged: list[list[str]] = []
    for name, text in spans:
        if merged and merged[-1][0] == name:
            merged[-1][1] += text
        else:
            merged.append([name, text])
    return "".join(
        f'<span class="{name}">{escape(text, quote=False)}</span>' if name else escape(text, quote=False)
        for name, text in merged
    )
