"""`source(…)`: what a lesson shows of the engine is the engine's own text."""

from __future__ import annotations

import re
from html import unescape

import pytest

from minidocker import layer
from minidocker.notebook.listing import outline, source


def test_a_function_is_shown_whole_and_says_where_it_stands() -> None:
    shown = source(layer.merge)
    assert str(shown).startswith("# minidocker/layer.py\ndef merge(lower: Tree, *layers: Changeset) -> Tree:")
    assert "return reduce(_merge, layers, lower)" in str(shown)


def test_the_coloured_text_is_the_same_text() -> None:
    html = source(layer.diff)._repr_mimebundle_()["text/html"]
    code = re.search(r"<pre[^>]*>(.*?)</pre>", html, re.S)
    assert code and unescape(re.sub("<[^>]+>", "", code[1])) == str(source(layer.diff)).split("\n", 1)[1]
    assert 'class="kw">def' in html


def test_a_module_is_shown_as_an_outline() -> None:
    text = outline(layer)
    assert text.startswith('"""A layer: the change between two file trees.')
    assert (
        "def merge(lower: Tree, *layers: Changeset) -> Tree:" in text
        and "class Changeset(Mapping[str, Entry]):" in text
    )
    assert "def _merge" not in text and "reduce(" not in text


@pytest.mark.parametrize("thing", [3, len])
def test_what_has_no_source_is_refused(thing: object) -> None:
    with pytest.raises(TypeError):
        source(thing)
