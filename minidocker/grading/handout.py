"""What a class is handed out: a folder, ready to be a template repository of GitHub Classroom, or a GitLab project.

    notebooks/ exercises/       the lessons, and the learners' notebooks, made anew from their sources
    minidocker/ pyproject.toml  the course itself, without the hidden checks: `pip install .` needs no index for it
    .github/ .gitlab-ci.yml     at each push, the exercises are graded
    README.md                   what a learner does first

No solution and no hidden check is in it. So whoever is handed it out sees public checks alone, at home and in CI;
hidden ones are checked by who has the whole course: `minidocker grade` of what was collected.
"""

from __future__ import annotations

from pathlib import Path

from minidocker.content import readable, write_atomic
from minidocker.errors import Conflict, NotFound
from minidocker.grading.course import EXERCISES, HANDED_OUT, PACKAGE, code_cells
from minidocker.grading.release import SOURCE, dump, learners, read, released

HOME = PACKAGE.parent
HIDDEN = PACKAGE / "grading" / "hidden"
CI = {"github.yml": ".github/workflows/grade.yml", "gitlab.yml": ".gitlab-ci.yml", "README.md": "README.md"}
OF_PACKAGE = (".py", ".js", ".css")


def files() -> dict[str, bytes]:
    """All of it: path -> content. Raises NotFound where the course's notebooks are not beside the package."""
    if not EXERCISES.is_dir():
        raise NotFound(f"there are no exercises at {EXERCISES}: release from a checkout of the course")
    found = {to: (EXERCISES / "ci" / name).read_bytes() for name, to in CI.items()}
    found[".gitignore"] = b".venv/\n.ipynb_checkpoints/\n__pycache__/\n*.egg-info/\ngrades/\n"
    found["pyproject.toml"] = (HOME / "pyproject.toml").read_bytes()
    for path in sorted((HOME / "notebooks").glob("*.ipynb")):
        found[f"notebooks/{path.name}"] = path.read_bytes()
    given: dict[str, tuple[str, ...]] = {}
    for path in sorted(EXERCISES.glob(f"*/{SOURCE}")):
        name = path.parent.name
        made = dump(released(read(path))).encode()
        found[f"exercises/{name}/{learners(name)}"] = made
        given[name] = code_cells(made)
    found[HANDED_OUT.relative_to(HOME).as_posix()] = readable(given).encode() + b"\n"
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in OF_PACKAGE and (path.parent != HIDDEN or path.name == "__init__.py"):
            found[path.relative_to(HOME).as_posix()] = path.read_bytes()
    return found


def hand_out(target: Path, force: bool = False) -> list[str]:
    """Write it; the paths of what is new or has changed. Nothing is deleted.

    Raises Conflict, having written nothing, where it would overwrite what is different there, unless with `force`.
    """
    changed = {name: data for name, data in files().items() if _content(target / name) != data}
    different = [name for name in changed if (target / name).exists()]
    if different and not force:
        named = ", ".join(different[:3]) + (", …" if len(different) > 3 else "")
        raise Conflict(f"{target} has other files of these names: {named}. Use --force to overwrite them")
    for name, data in changed.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target / name, data)
    return list(changed)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
