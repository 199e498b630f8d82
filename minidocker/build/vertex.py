"""What a step is in BuildKit's progress: a vertex with a name, and the vertices that it needs.

Only what makes files is one: FROM an image, RUN, COPY, ADD, WORKDIR. They are counted in each stage.

    >>> from minidocker.dockerfile import Dockerfile
    >>> file = Dockerfile.parse("FROM busybox AS build\\nENV A=1\\nRUN make\\nFROM build\\nCOPY . /\\n")
    >>> [names(stage, "" if stage.index else "FROM busybox", alone=False) for stage in file.stages]
    [['[build 1/2] FROM busybox', '', '[build 2/2] RUN make'], ['', '[stage-1 1/1] COPY . /']]
"""

from __future__ import annotations

from typing import TypedDict

from minidocker.dockerfile import Instruction, Stage

MAKING = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})


class Vertex(TypedDict):
    """As it goes over a wire: `inputs` are the numbers of steps."""

    name: str
    inputs: list[str]


def names(stage: Stage, first: str, alone: bool) -> list[str]:
    """The names of a stage's steps, FROM first; "" for one that is no vertex. `alone`: there is no other stage."""
    own = (_text(one, one.line == stage.line) if one.keyword in MAKING else "" for one in stage.instructions)
    texts = [first, *own]
    total, number = sum(bool(text) and text[0] != "[" for text in texts), 0
    for index, text in enumerate(texts):
        if text and text[0] != "[":  # a named context stands for itself
            number += 1
            texts[index] = f"[{'' if alone else f'{stage.title} '}{number:>{len(str(total))}}/{total}] {text}"
    return texts


def _text(one: Instruction, trigger: bool) -> str:
    """An instruction on one line: of here-documents, only the first line."""
    first, *more = one.text.splitlines()
    said = [(doc.content.strip().splitlines() or [""]) for doc in one.heredocs] if more else []
    short = ", ".join(lines[0] + "..." * (len(lines) > 1) for lines in said)
    return f"{'ONBUILD ' if trigger else ''}{first}{f' ({short})' if said else ''}"
