"""`minidocker tour`: from a Dockerfile to a running container, in a terminal, in a few seconds.

The same walk as the first lesson, for those without a browser. All of it happens in a folder that is gone afterwards.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from minidocker.cli.flags import Call, command

if TYPE_CHECKING:
    from minidocker.engine import Engine

DOCKERFILE = """\
FROM minidocker/base
WORKDIR /app
COPY hello.sh .
RUN echo "made by RUN" > made.txt
CMD ["sh", "hello.sh"]
"""
SCRIPT = """\
echo "Hello from inside a container."
echo "I can see: $(echo *)"
echo "visited" > visitors.txt
"""


@command(
    """
tour

Walk from a Dockerfile to a running container, in a few seconds
""",
    needs_engine=False,
)
def tour(call: Call) -> int:
    """Ours alone: docker has no such command."""
    from minidocker import connect

    with (
        tempfile.TemporaryDirectory(prefix="minidocker-tour-") as folder,
        connect(Path(folder) / "root", call.top.runtime or None) as engine,
    ):
        walk(engine, Path(folder) / "context")
    return 0


def walk(engine: Engine, context: Path) -> None:
    """The four stations; whatever is made goes again at the end."""
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "hello.sh").write_text(SCRIPT)

    station(1, "A Dockerfile is a text: how to make an image, one instruction a line.")
    print(indented(DOCKERFILE))

    station(2, "minidocker build -t tour .     Each instruction becomes a layer, or a line of metadata.")
    image, build = engine.images.build(path=str(context), tag="tour")
    print(indented(str(build)))

    station(
        3, "minidocker image inspect tour     An image is a stack of layers and a configuration, named by its digest."
    )
    print(indented(str(image)))

    station(
        4,
        f"minidocker run tour     A container is that image, a writable layer and a process ({engine.runtime.name}).",
    )
    container = engine.containers.create("tour", name="tour")
    try:
        container.start()
        container.wait()
        print(indented(container.logs().decode()))
        print(indented(str(container)))
    finally:
        container.remove(force=True)
    print("\nThe container is gone, and its writable layer with it; the image was not touched.")
    print("Your turn:  make lab     or  minidocker run minidocker/base echo hello")


def station(number: int, text: str) -> None:
    """The heading of one station, bold where there is a terminal."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    command_, gap, rest = text.partition("     ")
    print(f"\n{bold}{number}. {rest or command_}{plain}")
    print(f"   $ {command_}\n" if gap else "")


def indented(text: str) -> str:
    """A text, three columns in."""
    return "\n".join(f"   {line}".rstrip() for line in text.rstrip().splitlines())
