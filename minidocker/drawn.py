"""Objects draw themselves: a picture in a notebook, its text twin wherever text is printed.

The pictures are `minidocker.notebook`'s, which is imported only when something is drawn: the core knows no screen.
"""

from __future__ import annotations

from typing import Any


class Drawn:
    """What an image, a layer, a build, a container and an engine have in common."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from minidocker.notebook.pictures.objects import mimebundle

        return mimebundle(self)

    def __str__(self) -> str:
        from minidocker.notebook.pictures.objects import text

        return text(self)


def printable(words: str) -> str:
    r"""Text with whatever cannot be seen spelled out: a file may be named by a stranger.

    >>> printable("a\x1b[2Jb\u202e")
    'a\\x1b[2Jb\\u202e'
    """
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in words)
