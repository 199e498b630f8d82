"""The course as a sandbox has it: minidocker without its exercises, with a `check` and a `hint` that do nothing.

No case, expected result, hidden check or solution is among these files: what is not there cannot be read. A digest of
all files of the course, those too, says which course a submission was graded with.
"""

from __future__ import annotations

import hashlib
import json
import marshal
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from minidocker.grading.release import learners, source

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.image import Image

PACKAGE = Path(__file__).resolve().parent.parent
EXERCISES = PACKAGE.parent / "exercises"  # where the course itself is beside the package
HANDED_OUT = PACKAGE / "grading" / "handed_out.json"  # what a class was given, in the copy that it was given
INSIDE = ("wire.py", "harness.py", "transplant.py")  # of the package `grading`
WHERE = "/course"
REPOSITORY = "minidocker/grader"
STUB = '''"""In a sandbox nothing is checked or transplanted: whoever grades asks for the functions themselves."""


def exercise(name, namespace):
    def nothing(*_, **__):
        return None

    return nothing, nothing, nothing
'''


@cache
def files() -> dict[str, bytes]:
    """The files in a sandbox, by their path below `minidocker/`."""
    found = {"grading/__init__.py": STUB.encode()}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("grading/") or name.removeprefix("grading/") in INSIDE:
            found[name] = path.read_bytes()
    return found


@cache
def version() -> str:
    """Of all of the course, what is not in a sandbox too."""
    digest = hashlib.sha256()
    every = [*PACKAGE.rglob("*.py"), *(EXERCISES.glob("*/*.ipynb") if EXERCISES.is_dir() else ())]
    for path in sorted(every):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE.parent).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


@cache
def given(exercise: str) -> tuple[str, ...]:
    """The code cells that every learner was given; none where that is not known."""
    if HANDED_OUT.is_file():  # then what is beside the package is a learner's own
        return tuple(json.loads(HANDED_OUT.read_text(encoding="utf-8")).get(exercise, ()))
    path = EXERCISES / exercise / learners(exercise)
    return code_cells(path.read_bytes()) if path.is_file() else ()


def untouched(exercise: str, cells: tuple[str, ...]) -> bool:
    """Whether these code cells are those that were given."""
    return bool(cells) and cells == given(exercise)


def code_cells(notebook: bytes) -> tuple[str, ...]:
    """The code cells of one of the course's own notebooks."""
    return tuple(source(cell) for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code")


def image(engine: Engine) -> Image:
    """`minidocker/python` and the course on top, made when it is not there yet."""
    from minidocker import base
    from minidocker.errors import ImageNotFound
    from minidocker.layer import Changeset
    from minidocker.tree import directory, file

    tag = f"{REPOSITORY}:{_key()}"
    try:
        return engine.images.get(tag)
    except ImageNotFound:
        content = _compiled()
    try:
        below = engine.images.get(base.PYTHON)
    except ImageNotFound:
        made = base.ensure(engine.images, base.PYTHON)
        assert made is not None
        below = made
    folders = {f"{WHERE}/minidocker/{Path(name).parent.as_posix()}".removesuffix("/.") for name in content}
    entries = {WHERE: directory(), **{folder: directory() for folder in folders}}
    entries |= {f"{WHERE}/minidocker/{name}": file(data, 0o644) for name, data in content.items()}
    layers = [*below.layers, engine.images.add_layer(Changeset(entries), "the course, for a sandbox", base.clamp())]
    env = [*(below.raw.get("config") or {}).get("Env", ()), f"PYTHONPATH={WHERE}", "PYTHONHASHSEED=0", "HOME=/tmp"]
    created = engine.images.create(base.config(env, list(layers), ["python3"]), layers)
    engine.images.tag(created, tag)
    return created


def unpack(folder: Path) -> Path:
    """The same files in a folder of the host's, for a sandbox that is no container."""
    for name, data in files().items():
        path = folder / "minidocker" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@cache
def _key() -> str:
    """Of the files in a sandbox, and of the Python that compiles them."""
    from importlib.util import MAGIC_NUMBER

    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files().items()}
    digests["Python"] = MAGIC_NUMBER.hex()
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]


def _compiled() -> dict[str, bytes]:
    """The files with their bytecode, so that no container compiles them again."""
    from importlib.util import cache_from_source

    return files() | {cache_from_source(name): _bytecode(name, data) for name, data in files().items()}


def _bytecode(name: str, data: bytes) -> bytes:
    """A compiled module, marked as not to be compared with its source (PEP 552); the one on disk, if it is of this."""
    from importlib.util import MAGIC_NUMBER, cache_from_source

    made, found = PACKAGE / name, b""
    with suppress(OSError):
        if made.read_bytes() == data:
            found = Path(cache_from_source(str(made))).read_bytes()
            stamp = (int(made.stat().st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + len(data).to_bytes(4, "little")
            found = found[16:] if found[:16] == MAGIC_NUMBER + bytes(4) + stamp else b""
    code = found or marshal.dumps(compile(data, f"{WHERE}/minidocker/{name}", "exec", dont_inherit=True))
    return MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + code
