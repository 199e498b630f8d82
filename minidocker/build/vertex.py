"""What a step is in BuildKit's progress: a vertex with a name, and the vertices that it needs.

Only what makes files is one: FROM an image, RUN, COPY, ADD, WORKDIR. They are counted in each stage.

    >>> from minidocker.dockerfile import Dockerfile
    >>> file = Dockerfile.parse("FROM busybox AS build\\nENV A=1\\nRUN make\\nFROM build\\nCOPY . /\\n")
    >>> [names(stage, stage.index == 0, alone=False) for stage in file.stages]
    [['[build 1/2] FROM docker.io/library/busybox:latest', '', '[build 2/2] RUN make'], ['', '[stage-1 1/1] COPY . /']]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from minidocker.dockerfile import Instruction, Stage
from minidocker.reference import Reference

MAKING = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})


class Vertex(TypedDict):
    """As it goes over a wire: `inputs` are the numbers of steps."""

    name: str
    inputs: list[str]


def names(stage: Stage, on_image: bool, alone: bool, args: Mapping[str, str] | None = None) -> list[str]:
    """The names of a stage's steps, FROM first; "" for one that is no vertex. `alone`: there is no other stage."""
    texts = [f"FROM {Reference.parse(stage.base_image(args or {})).full}" if on_image else ""]
    texts += [_text(one, one.line == stage.line) if one.keyword in MAKING else "" for one in stage.instructions]
    total, number = sum(map(bool, texts)), 0
    for index, text in enumerate(texts):
        if text:
            number += 1
            texts[index] = f"[{'' if alone else f'{stage.title} '}{number:>{len(str(total))}}/{total}] {text}"
    return texts


def _text(one: Instruction, trigger: bool) -> str:
    """An instruction on one line: of here-documents, only the first line."""
    first, *more = one.text.splitlines()
    said = [(doc.content.strip().splitlines() or [""]) for doc in one.heredocs] if more else []
    short = ", ".join(lines[0] + "..." * (len(lines) > 1) for lines in said)
    return f"{'ONBUILD ' if trigger else ''}{first}{f' ({short})' if said else ''}"
