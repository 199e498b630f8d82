"""Whom a program runs as: names and numbers, looked up in the container's own tables by Docker's rules."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from minidocker.runtime import linux
from minidocker.runtime.messages import Refusal

MAX_ID = (1 << 31) - 1


MAX_TABLE = 1 << 20  # bytes of /etc/passwd or /etc/group that are read


class Identity(NamedTuple):
    """Whom the program runs as."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def identify(root: int, spec: str) -> Identity:
    """Look up `user[:group]`, names or numbers, in the container's own tables, by Docker's rules. Raises Refusal."""
    user, group = f"{spec}:".split(":")[:2]
    user_id = number(user or "0")
    users = rows(root, "/etc/passwd", 7)
    row = next((row for row in users if (row[0] == user if user_id is None else row[2] == str(user_id))), None)
    if row is None and user_id is None:
        raise Refusal(f"unable to find user {user}: no matching entries in passwd file")
    name, uid, gid, home = (row[0], id_of(row[2]), id_of(row[3]), row[5]) if row else ("", user_id or 0, 0, "/")
    groups = list(rows(root, "/etc/group", 4))
    if not group:
        extra = tuple(id_of(line[2]) for line in groups if name and name in line[3].split(","))
        return Identity(uid, gid, extra, home)
    group_id = number(group)
    if group_id is None:
        group_id = next((id_of(line[2]) for line in groups if line[0] == group), None)
    if group_id is None:
        raise Refusal(f"unable to find group {group}: no matching entries in group file")
    return Identity(uid, group_id, (), home)


def more_groups(root: int, wanted: Sequence[str]) -> tuple[int, ...]:
    """The ids of further groups (`--group-add`): numbers, or names in the container's own table. Raises Refusal."""
    found = {row[0]: row[2] for row in rows(root, "/etc/group", 4)} if wanted else {}
    ids = []
    for group in wanted:
        id = number(group)
        if id is None and group not in found:
            raise Refusal(f"Unable to find group {group}: no matching entries in group file")
        ids.append(id_of(found[group]) if id is None else id)
    return tuple(ids)


def number(text: str) -> int | None:
    """The id that a text spells, None where it is a name. Raises Refusal where no id can be like that."""
    return id_of(text) if text.removeprefix("-").isdecimal() else None


def id_of(text: str) -> int:
    """The id that digits spell. Raises Refusal."""
    if text.startswith("-") or len(text) > 10 or int(text) > MAX_ID:
        raise Refusal(f"uids and gids must be in range 0-{MAX_ID}")
    return int(text)


def rows(root: int, path: str, fields: int) -> Iterator[list[str]]:
    """The well-formed lines of a colon-separated table inside the container; none where there is no such file."""
    try:
        fd = linux.open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return os.close(fd)
    with os.fdopen(fd, "rb") as table:
        text = table.read(MAX_TABLE)
    for line in text.decode(errors="surrogateescape").splitlines():
        row = line.strip().split(":")
        if len(row) >= fields and row[2].isdecimal() and (fields < 7 or row[3].isdecimal()):
            yield row
