"""`docker top`: the host's `ps`, of which only the lines about the container's processes are shown."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Iterable
from typing import Any

from minidocker.errors import APIError, InvalidArgument, Unsupported

DEFAULT = "-ef"
TITLES = {"UID": "user", "PID": "pid", "PPID": "ppid", "CMD": "command"}  # where there is no ps to ask


def by_ps(pids: Collection[int], ps_args: str) -> dict[str, Any]:
    """What ps says about some processes: `{"Titles": ["UID", …], "Processes": [["root", …]]}`."""
    if bad := re.search(r"\s+([^\s]*)=\s*(PID[^\s]*)", ps_args):
        raise InvalidArgument(f'specifying "{bad[1]}={bad[2]}" is not allowed')
    args = ps_args.split(" ")
    wanted = ",".join(map(str, pids))
    done = _ps([*args, f"-q{wanted}"])
    if done.returncode:  # some options, such as f, do not go with -q
        done = _ps(args)
    if done.returncode:
        raise APIError(f"ps: {done.stderr.partition(chr(10))[0]}")
    return table(done.stdout, pids)


def _ps(args: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ps", *args], capture_output=True, text=True, errors="replace", check=False)


def table(output: str, pids: Collection[int]) -> dict[str, Any]:
    """The lines of ps about these processes, in as many columns as there are titles; the last one takes the rest.

    >>> table("PID CMD\\n  1 init\\n 12 sleep 9\\n", [12])
    {'Titles': ['PID', 'CMD'], 'Processes': [['12', 'sleep 9']]}
    """
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise APIError("Couldn't find PID field in ps output")
    at, rows, threads = titles.index("PID"), [], False
    for line in lines[1:]:
        words = line.split()
        if len(words) <= at:
            continue
        threads = threads and words[at] == "-"  # lines of threads follow that of their process
        if words[at] != "-":
            if not words[at].isdecimal():
                raise APIError(f"Unexpected pid '{words[at]}': not a number")
            threads = int(words[at]) in pids
        if threads:
            last = len(titles) - 1
            rows.append([*words[:last], " ".join(words[last:])])
    return {"Titles": titles, "Processes": rows}


def by_hand(rows: Iterable[dict[str, Any]], ps_args: str) -> dict[str, Any]:
    """The same without ps, of the processes that a runtime lists: the four columns that it knows, and no options."""
    if ps_args != DEFAULT:
        raise Unsupported(f"top takes no options of ps ({ps_args!r}) here, as there is no ps: leave them out")
    found = [[str(row.get(key, "")) for key in TITLES.values()] for row in rows]
    return {"Titles": list(TITLES), "Processes": found}


def there_is_ps() -> bool:
    """Whether this machine has a ps."""
    return shutil.which("ps") is not None
