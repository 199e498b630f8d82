"""Many users without root: the ids that /etc/subuid and /etc/subgid give a user, as newuidmap(1) maps them.

In a user namespace with such a map we are root, and own what belongs to all those ids; outside of it, we may not even
look into their folders. So what has to be done with their files is done by a process in there: `call`.

    0 1000 1 1 100000 65536    we (1000) are root inside, and 1..65536 are 100000..165535 outside
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

FILES = {"uid": Path("/etc/subuid"), "gid": Path("/etc/subgid")}
Owner = tuple[str, int, int, int]  # path, user, group, mode


@cache
def ranges() -> str:
    """Both maps, as `births.map_ids` takes them; empty as root, and where they cannot be had. Tried once."""
    if not hasattr(os, "geteuid") or not os.geteuid() or not all(map(shutil.which, ("newuidmap", "newgidmap"))):
        return ""
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = ""
    names = {name, str(os.geteuid())} - {""}
    own = {"uid": os.geteuid(), "gid": os.getegid()}
    maps = [parse(path, names, own[kind]) for kind, path in FILES.items()]
    found = "/".join(maps) if all(maps) else ""
    try:
        return found if found and call(os.getuid, maps=found) == 0 else ""
    except (OSError, subprocess.SubprocessError):
        return ""


def parse(path: Path, names: Iterable[str], own: int) -> str:
    """The map for a user of these names, of a file in the format of subuid(5); empty where it names none of them."""
    if not path.is_file():
        return ""
    rows = [line.split(":") for line in path.read_text(errors="replace").splitlines()]
    mine = [(int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] in names and _numbers(row[1:])]
    first, words = 1, [f"0 {own} 1"]
    for start, count in mine:
        words.append(f"{first} {start} {count}")
        first += count
    return " ".join(words) if mine else ""


def _numbers(texts: Iterable[str]) -> bool:
    return all(text.isdecimal() for text in texts)


def inside(which: int, outside: int) -> int:
    """The id inside that one outside stands for: of users (`which` is 0) or groups (1); others are root's."""
    words = [*map(int, ranges().split("/")[which].split())] if ranges() else []
    return translated(outside, list(zip(words[1::3], words[::3], words[2::3], strict=True))) or 0


def translated(id: int, rows: Iterable[tuple[int, int, int]]) -> int | None:
    """The id on the other side, by the rows of a map: first id here, first id there, how many. None where none is.

    >>> translated(7, [(0, 1000, 1), (1, 100000, 65536)]), translated(70000, [(0, 1000, 1)])
    (100006, None)
    """
    return next((there + id - here for here, there, count in rows if here <= id < here + count), None)


def call(function: Callable[..., Any], *args: Any, maps: str = "", of: int = 0, pass_fds: tuple[int, ...] = ()) -> Any:
    """Call a function as root of a user namespace with all ids: a new one, or that `of` a process. Raises what it does.

    Function and arguments are pickled, so it must be one that can be imported.
    """
    code = f"import sys; sys.path[:0] = [{str(Path(__file__).parents[2])!r}]\n"
    code += "from minidocker.runtime import mapped; mapped.main(*sys.argv[1:])"
    command = [sys.executable, "-I", "-S", "-c", code, maps or ranges(), str(of)]
    done = subprocess.run(command, input=pickle.dumps((function, args)), stdout=subprocess.PIPE, pass_fds=pass_fds)
    if done.returncode:
        raise PermissionError(1, "the ids of /etc/subuid cannot be used")
    ok, result = pickle.loads(done.stdout)
    if not ok:
        raise result
    return result


def main(maps: str, of: str) -> None:
    """What `call` starts."""
    from minidocker.runtime import births, linux

    function, args = pickle.load(sys.stdin.buffer)

    def become() -> None:
        try:
            answer = pickle.dumps((True, function(*args)))
        except Exception as error:
            answer = pickle.dumps((False, error))
        with os.fdopen(1, "wb") as out:
            out.write(answer)
        os._exit(0)

    if int(of):
        linux.setns(os.pidfd_open(int(of)), linux.NEWUSER)
        become()
    child = births.bear({"userns": maps}, become, linux.NEWUSER)
    sys.exit(births.exit_status(child))


# What is called


def give(folder: str, owners: Iterable[Owner]) -> None:
    """Give what is in a folder that nobody else knows yet to its owners."""
    for path, uid, gid, mode in owners:
        os.chown(f"{folder}{path}", uid, gid, follow_symlinks=False)
        if mode & 0o6000:
            os.chmod(f"{folder}{path}", mode)  # noqa: PTH101 - a change of owners took these bits away


def copy_out(root: str, path: str, to: int) -> None:
    """Copy the bytes of a file in a folder to a descriptor."""
    from minidocker.runtime.overlay import InTree

    with InTree(root, path, 0).open() as source, os.fdopen(os.dup(to), "wb") as out:
        shutil.copyfileobj(source, out)


def spool(root: str, path: str) -> BinaryIO:
    """A copy of a file that is not ours to read."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked closes it
    try:
        call(copy_out, root, path, copy.fileno(), pass_fds=(copy.fileno(),))
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy
