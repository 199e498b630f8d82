"""What is in a file, and a list of files: the first lines of each, for who looks without a kernel."""

from __future__ import annotations

from collections.abc import Sequence

from minidocker.notebook.pictures.sources import what
from minidocker.notebook.pictures.stack import LOOK
from minidocker.notebook.pictures.svg import Figure, Markup, clip, el, group, printable, rect, text
from minidocker.tree import Entry

WIDTH, LINE, WIDE = 790, 16, 112  # of a picture, of a line of text, characters in it
HEAD, LINES = 4096, 12  # bytes that are read of a file; lines that are shown


def content_figure(path: str, where: str, entry: Entry | None) -> Figure:
    """Draw the beginning of a file as text, or as bytes where it is none; of other things, what they are."""
    title = f"{printable(path)} in {printable(where)}"
    kind = what(entry) if entry and entry.kind != "whiteout" else "nothing: it is deleted here" if entry else "nothing"
    lines = beginning(entry)
    drawn: list[Markup] = [text(0, 16, title, "md-h", width=WIDTH * 0.8), text(0, 34, kind, "md-dim", "md-s")]
    if lines:
        drawn.append(rect(0, 42, WIDTH, 12 + LINE * len(lines), "md-box"))
    drawn += [_line(line, 60 + LINE * number) for number, line in enumerate(lines)]
    height = 42 + bool(lines) * (16 + LINE * len(lines))
    twin = "\n".join([f"{title}: {kind}", *(f"  {line}" for line in lines)])
    return Figure(title, f"{kind}. {' '.join(lines)}", "".join(drawn), WIDTH, height, twin)


def _line(line: str, y: int) -> Markup:
    return el("text", line, class_="md-c", x=10, y=y, style="white-space:pre")


def beginning(entry: Entry | None) -> list[str]:
    r"""The first lines of a file, cut, and what cannot be seen spelled out; in hexadecimal where it is not text.

    >>> from minidocker.tree import file
    >>> beginning(file(b"one\n\ttwo\n")), beginning(file(b"\x7fELF\0"))
    (['one', '    two'], ['00000000  7f 45 4c 46 00                                    |.ELF.|'])
    """
    if entry is None or entry.kind != "file":
        return []
    with entry.data.open() as stream:
        head = stream.read(HEAD)
    cut = entry.size > len(head)
    try:
        words = (head[:-3] if cut else head).decode("utf-8", "strict" if not cut else "ignore")
        text_like = b"\0" not in head and (not cut or words.count("\ufffd") == 0)
    except UnicodeDecodeError:
        text_like = False
    lines = words.expandtabs(4).split("\n") if text_like else _dump(head)
    lines = lines[:-1] if text_like and lines[-1] == "" else lines
    more = ["…"] if cut or len(lines) > LINES else []
    return [clip(line, WIDE) for line in lines[:LINES]] + more


def _dump(head: bytes) -> list[str]:
    """Bytes as `hexdump -C` has them."""
    lines = []
    for start in range(0, len(head), 16):
        part = head[start : start + 16]
        seen = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  |{seen}|")
    return lines


def rows_figure(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Figure:
    """Draw rows of a list of files: letter, path, layer, size."""
    drawn = [text(0, 16, title, "md-h", width=WIDTH * 0.8), text(0, 34, note, "md-dim", "md-s", width=WIDTH)]
    drawn += _row(columns, 54, head=True)
    for number, row in enumerate(rows):
        drawn.append(group(_row(row, 15), 0, 64 + number * 22))
    wide = max((len(row[1]) for row in rows), default=0)
    told = [f"  {row[0]:<2} {row[1]:<{wide}}  {row[3]:>8}  {row[2]}".rstrip() for row in rows]
    twin = "\n".join([title, *([note] if note else []), *told])
    said = "; ".join(" ".join(filter(None, row)) for row in rows)
    return Figure(title, f"{note}. {said}", "".join(drawn), WIDTH, 64 + len(rows) * 22 + 6, twin)


def _row(row: Sequence[str], y: float, head: bool = False) -> list[Markup]:
    letter, path, layer, size = row
    mono = "" if head else "md-c"
    parts = []
    if letter in LOOK:
        look, word = LOOK[letter]
        box = rect(0, 1, 20, 18, look, fill="HATCH" if letter == "D" else None)
        parts.append(el("g", el("title", word), box))
    x = 10 if letter in LOOK else 0
    return [
        *parts,
        text(x, y, letter, mono, text_anchor="middle" if x else None),
        text(32, y, path, mono, "md-gone" if letter == "D" else "", width=400),
        text(450, y, layer, width=250),
        text(WIDTH, y, size, mono, text_anchor="end"),
    ]
