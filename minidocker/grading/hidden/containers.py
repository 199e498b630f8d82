"""Hidden cases of exercise 04. Those of 4.1 are all pairs of a state and a verb that the public ones leave out."""

from __future__ import annotations

from minidocker.grading.exercise import Case
from minidocker.tree import directory, file, symlink

ONE, TWO, THREE = "a1" + "0" * 62, "a2" + "0" * 62, "b0" + "1" * 62
NAMES, IDS = {"a": THREE, "b0x": ONE, "two": TWO}, [ONE, TWO, THREE]
SRV = {
    "/": directory(),
    "/srv": directory(),
    "/srv/www": directory(),
    "/srv/www/index": file(b"<html>"),
    "/srv/www2": directory(),
    "/srv/www2/index": file(b"other"),
    "/tmp": directory(0o1777),
}


def _without(top: str) -> dict[str, object]:
    return {path: entry for path, entry in SRV.items() if path != top and not path.startswith(f"{top}/")}


HIDDEN = {
    "4.1": (
        Case("one that runs is killed", ("running", "kill"), "exited"),
        Case("one that never ran is killed", ("created", "kill"), None),
        Case("one that ended is paused", ("exited", "pause"), None),
        Case("one that waits for its restart is paused", ("restarting", "pause"), None),
        Case("one that never ran is unpaused", ("created", "unpause"), None),
        Case("one that ended is unpaused", ("exited", "unpause"), None),
        Case("one that waits for its restart is unpaused", ("restarting", "unpause"), None),
        Case("one that is paused is removed", ("paused", "remove"), None),
        Case("one that waits for its restart is removed", ("restarting", "remove"), None),
        Case("one that is gone is stopped", ("removed", "stop"), None),
        Case("one that is gone is killed", ("removed", "kill"), None),
        Case("one that is gone is paused", ("removed", "pause"), None),
        Case("one that is gone is unpaused", ("removed", "unpause"), None),
        Case("one that is gone is removed", ("removed", "remove"), None),
    ),
    "4.2": (
        Case("a name that is the beginning of two ids", ("a", NAMES, IDS), THREE),
        Case("the beginning of one id", ("a2", NAMES, IDS), TWO),
        Case("the beginning of an id, and of a name that is longer", ("b0", NAMES, IDS), THREE),
        Case("the beginning of two ids, of the three", ("a", {}, IDS), ValueError),
        Case("an id with something behind it", (TWO + "0", NAMES, IDS), None),
        Case("no containers", ("a", {}, []), None),
    ),
    "4.3": (
        Case("on-failure:1, the first failure", ("on-failure", 1, 1, 0, False), True),
        Case("on-failure:1, after one restart", ("on-failure", 1, 1, 1, False), False),
        Case("on-failure:5, more often than that", ("on-failure", 5, 1, 9, False), False),
        Case("on-failure:5, a success", ("on-failure", 5, 0, 1, False), False),
        Case("on-failure:5, killed by hand", ("on-failure", 5, 137, 0, True), False),
        Case("no policy, after a success", ("no", 0, 0, 0, False), False),
        Case("unless-stopped, after many failures", ("unless-stopped", 0, 255, 99, False), True),
        Case("a limit means nothing to always", ("always", 2, 1, 7, False), True),
    ),
    "4.4": (
        Case(
            "a new file, three levels deep",
            (SRV, SRV | {"/srv/www/new": file()}),
            ["C /srv", "C /srv/www", "A /srv/www/new"],
        ),
        Case("a directory deep down deleted", (SRV, _without("/srv/www")), ["C /srv", "D /srv/www"]),
        Case("all of it deleted, at the top", (SRV, _without("/srv")), ["D /srv"]),
        Case(
            "a new directory in a new one",
            (SRV, SRV | {"/a": directory(), "/a/b": directory(), "/a/b/c": file()}),
            ["A /a", "A /a/b", "A /a/b/c"],
        ),
        Case(
            "a link in the place of a directory",
            (SRV, _without("/srv/www") | {"/srv/www": symlink("www2")}),
            ["C /srv", "C /srv/www"],
        ),
        Case("the root has another mode", (SRV, SRV | {"/": directory(0o700)}), []),
        Case("another owner", (SRV, SRV | {"/srv/www2": directory(uid=33)}), ["C /srv", "C /srv/www2"]),
    ),
}
