"""The cache lab: edit a Dockerfile or a file of its context, and see before you build what would be built, and why.

    cache_lab(engine, folder, "FROM minidocker/base\\nCOPY . .\\nRUN make")

Whatever is typed is forecast at once; lines can be moved up and down; `build` really builds, and puts what happened
beside what was forecast. An edited file is written into the folder, since the folder is the build context.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from minidocker.build import Build
from minidocker.content import temp_path
from minidocker.errors import BuildError, DockerException, DockerfileError
from minidocker.notebook.magics import Progress, marked
from minidocker.notebook.pictures.ladder import ladder, ladders
from minidocker.notebook.pictures.svg import Figure, printable
from minidocker.notebook.widgets.face import Faced, Picture, on_change

if TYPE_CHECKING:
    from minidocker.build.forecast import Forecast
    from minidocker.engine import Engine

LARGE, MANY = 20_000, 200  # bytes of a file, and files, that can be edited here
FAILURES = (DockerException, OSError, UnicodeError)
IGNORE = ".dockerignore"
WIDE = {"layout": {"width": "min(100%, 700px)"}, "style": {"description_width": "90px"}}
NOTE = """The build context is the folder <code>{}</code>. What you type into a file is written there at once."""


class CacheLab(Faced):
    """A Dockerfile and the files of its context, over the ladder of what a build would do now."""

    def __init__(self, engine: Engine, folder: Path, dockerfile: str, tag: str) -> None:
        self.engine, self.folder, self.tag = engine, folder, tag
        self.first = dockerfile
        self.originals: dict[str, bytes | None] = {}  # of the files that were edited here; None: there was none
        self.shown: Build = Build()
        rows = min(max(len(dockerfile.splitlines()) + 1, 6), 20)
        self.text = W.Textarea(dockerfile, description="Dockerfile", rows=rows, **WIDE)
        self.line = W.Dropdown(description="line", **WIDE)
        self.up = self._button("▲ up", "move the line up by one", lambda: self.move(-1))
        self.down = self._button("▼ down", "move the line down by one", lambda: self.move(1))
        self.file = W.Dropdown(options=_named(text_files(folder)), description="file", **WIDE)
        self.content = W.Textarea(description="its content", rows=3, **WIDE)
        self.start = self._button("build", "build it, and compare with the forecast", self.build)
        self.undo = self._button("start again", "put the Dockerfile and all files back as they were", self.reset)
        self.times, self.message, self.picture = W.Label(), W.HTML(), Picture()
        for area in (self.text, self.content):
            area.add_class("md-code")
        self._quiet = False
        on_change(self.text, lambda _: self.look())
        on_change(self.file, lambda _: self._open())
        on_change(self.content, self._write)
        self._open()
        self.look()
        row = {"flex_flow": "row wrap"}
        lines = W.HBox([self.line, self.up, self.down], layout=row)
        note = W.HTML(NOTE.format(escape(printable(folder.name))))
        buttons = W.HBox([self.start, self.undo, self.times], layout=row)
        super().__init__([self.text, lines, self.file, self.content, note, buttons, self.message, self.picture])

    # What the controls do

    def look(self) -> None:
        """Forecast the text and the files as they are now. What cannot be forecast is said."""
        if self._quiet:
            return
        self._list_lines()
        self.message.value = self.times.value = ""
        progress = Progress(self.tag)
        try:
            found = self.forecast(progress)
            self.times.value = f"the cache saves {found.saved:.1f} s; the rest took {found.cost:.1f} s the last time"
        except FAILURES as error:
            self._complain(error, progress)
            title = "forecast: the build would fail here" if progress.steps else "the last forecast that was possible"
            steps, total = (progress.steps, progress.total) if progress.steps else (self.shown.steps, 0)
            self.picture.figure = ladder(title, steps, total, forecast=True)
        else:
            self.shown, self.picture.figure = found, drawn(found)

    def forecast(self, on_event: Callable[[dict[str, Any]], None] | None = None) -> Forecast:
        """What a build would do now. Raises what the build would raise."""
        return self.engine.images.forecast(**self._options, on_event=on_event)

    def build(self) -> None:
        """Build, and show what happened beside what was forecast."""
        progress = Progress(self.tag)

        def show(event: dict[str, Any]) -> None:
            progress(event)
            if "step" in event:
                self.picture.figure = ladder(f"building {self.tag}", progress.steps, progress.total)

        self.start.disabled, self.message.value = True, ""
        try:
            before = self.forecast()
            _, build = self.engine.images.build(**self._options, on_event=show)
            self.picture.figure = ladders(before, build, ("the forecast", "the build"))
        except FAILURES as error:
            self._complain(error, progress)
            self.picture.figure = ladder("the build failed here", progress.steps, progress.total)
        finally:
            self.start.disabled = False

    def move(self, by: int) -> None:
        """Swap the chosen line with the one above (-1) or below (1)."""
        here = self.line.value
        if here is not None:
            self.text.value = swapped(self.text.value, here, here + by)
            there = here + by
            self.line.value = there if there in [number for _, number in self.line.options] else here

    def reset(self) -> None:
        """Put the Dockerfile and all files back as they were."""
        self._quiet = True
        try:
            for name, content in self.originals.items():
                write(self.folder / name, content)
            self.originals.clear()
            self.text.value = self.first
            self._open()
        except OSError as error:
            self._complain(error)
        finally:
            self._quiet = False
        self.look()

    def face(self) -> Figure:
        """The forecast for what stands there now."""
        try:
            return drawn(self.forecast())
        except FAILURES as error:
            return ladder(f"no forecast: {error}", [])

    # How they do it

    @property
    def _options(self) -> dict[str, Any]:
        return {"path": self.folder, "text": self.text.value, "tag": self.tag}

    def _button(self, words: str, tip: str, do: Callable[[], None]) -> W.Button:
        button = W.Button(description=words, tooltip=tip, layout={"width": "auto"})
        button.on_click(lambda _: do())
        return button

    def _list_lines(self) -> None:
        """The lines to choose from, the same one chosen."""
        texts = enumerate(self.text.value.splitlines())
        lines = [(f"{number + 1}  {printable(line)}", number) for number, line in texts]
        if list(self.line.options) != lines:
            here = self.line.value
            self.line.options = lines
            self.line.value = min(here or 0, len(lines) - 1) if lines else None

    def _open(self) -> None:
        """Show the chosen file; one that is not there is empty."""
        self._quiet, was = True, self._quiet
        path = self.folder / (self.file.value or "")
        try:
            self.content.value = path.read_bytes().decode() if path.is_file() else ""
        except (OSError, UnicodeError) as error:
            self._complain(error)
        finally:
            self._quiet = was

    def _write(self, content: str) -> None:
        """Write the chosen file, and look again."""
        if self._quiet or not self.file.value:
            return
        path = self.folder / self.file.value
        try:
            self.originals.setdefault(self.file.value, path.read_bytes() if path.exists() else None)
            write(path, content.encode())
        except (OSError, UnicodeError) as error:
            self._complain(error)
            return
        self.look()

    def _complain(self, error: Exception, progress: Progress | None = None) -> None:
        """Say what went wrong, with what the program printed and the line that is to blame, as text."""
        line = error.line if isinstance(error, DockerfileError) else progress.line(self.text.value) if progress else 0
        said = "".join([*(progress.said[1:] if progress and isinstance(error, BuildError) else []), str(error)])
        words = "\n".join(map(printable, marked(self.text.value, line, said).splitlines()))
        self.message.value = f'<pre style="margin:0;white-space:pre-wrap">{escape(words)}</pre>'


def drawn(forecast: Forecast) -> Figure:
    """A forecast as a ladder."""
    return ladder("forecast: nothing is built yet", forecast.steps, forecast=True)


def swapped(text: str, one: int, other: int) -> str:
    """The text with two lines swapped; as it is where one of them is not there.

    >>> swapped("FROM a\\nRUN b\\nCOPY c d\\n", 1, 2)
    'FROM a\\nCOPY c d\\nRUN b\\n'
    """
    lines = text.splitlines()
    if not (0 <= one < len(lines) and 0 <= other < len(lines)):
        return text
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines) + "\n" * text.endswith("\n")


def text_files(folder: Path) -> list[str]:
    """The small text files below a folder, hidden ones last; `.dockerignore` whether it is there or not."""
    found = [IGNORE]
    for path in sorted(islice(folder.rglob("*"), 20 * MANY)):
        name = path.relative_to(folder).as_posix()
        if name != IGNORE and len(found) < MANY and _is_text(path):
            found.append(name)
    return sorted(found, key=lambda name: (name.startswith("."), name))


def _is_text(path: Path) -> bool:
    try:
        about = path.lstat()
        return stat.S_ISREG(about.st_mode) and about.st_size <= LARGE and "\0" not in path.read_bytes().decode()
    except (OSError, UnicodeError):
        return False


def _named(names: list[str]) -> list[tuple[str, str]]:
    return [(printable(name), name) for name in names]


def write(path: Path, content: bytes | None) -> None:
    """Replace a file as a whole, its mode as it was; None: remove it."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    temp = temp_path(path)
    try:
        temp.write_bytes(content)
        if path.exists():
            shutil.copymode(path, temp)
        temp.replace(path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise


def cache_lab(engine: Engine, folder: Path | str, dockerfile: str, tag: str = "cache-lab") -> CacheLab:
    """Edit the Dockerfile, or a file in `folder`, and see what would be built, and why, before you build."""
    return CacheLab(engine, Path(folder), dockerfile, tag)
