# ruff: noqa: ARG001 - wrong solutions look at less than they are given
"""Exercise 10: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

import posixpath
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

import minidocker
from minidocker.container import mountpoints
from minidocker.container.options import volumes as options
from minidocker.errors import InvalidArgument
from minidocker.grading import open_exercise, volumes
from minidocker.grading.exercise import Case
from minidocker.grading.hidden import hidden_cases
from minidocker.grading.volumes import ANSWER, ANSWERS, FIRST, NO_VOLUME, PARSE, UNUSED, plugin_answers
from minidocker.layer import Changeset
from minidocker.runtime.simulated.files import Mounts
from minidocker.union import Union
from minidocker.volume import Volume
from minidocker.volume.filters import prune_filter
from tests.grading.proofs import each_gets_its_hint

Parsed = tuple[str, str, str, bool]
Entries = dict[str, Any]
NAME = "10-volumes-and-plugins"
SOURCE = Path(__file__).parents[2] / "exercises" / NAME / "source.ipynb"


# 10.1


def parsed(text: str) -> Parsed:
    """What the engine makes of it."""
    try:
        point = options.bind(text)
    except InvalidArgument as error:
        raise ValueError(str(error)) from None
    source = point["Name"] if point["Type"] == "volume" else point["Source"]
    return point["Type"], source, point["Destination"], not point["RW"]


def with_right(function: Callable[..., Any]) -> Callable[[str], Parsed]:
    """A solution that goes wrong where `function` gives something."""

    def parse_volume(text: str) -> Parsed:
        parts = [*text.split(":"), "", ""]
        found: Parsed = function(text, *parts[:3]) or right(text)
        return found

    parse_volume.__name__ = function.__name__
    return parse_volume


def right(text: str) -> Parsed:
    parts = text.split(":")
    words = parts[2].split(",") if len(parts) == 3 else []
    source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    cleaned = posixpath.normpath(target)
    wrong = len(parts) > 3 or not all(parts) or not target.startswith("/") or cleaned == "/"
    if wrong or not {*words} <= {"ro", "rw", "z", "Z"} or {"ro", "rw"} <= {*words}:
        raise ValueError(text)
    if source.startswith("/"):
        return "bind", posixpath.normpath(source), cleaned, "ro" in words
    return "volume", source, cleaned, "ro" in words


@with_right
def all_are_volumes(text: str, *_: str) -> Parsed:
    return "volume", *right(text)[1:]


@with_right
def never_read_only(text: str, *_: str) -> Parsed:
    return *right(text)[:3], False


@with_right
def a_place_is_a_source(text: str, source: str, target: str, _: str) -> Parsed | None:
    return None if target else ("bind", source, source, False)


@with_right
def one_word_only(text: str, source: str, target: str, words: str) -> Parsed | None:
    return ("bind", source, target, False) if "," in words and "rw" not in words else None


@with_right
def as_it_is_written(text: str, source: str, target: str, _: str) -> Parsed | None:
    return (*right(text)[:2], target, False) if ".." in target and "books" in target else None


@with_right
def leaves_the_source(text: str, source: str, *_: str) -> Parsed:
    found = right(text)
    return found[0], source if found[0] == "bind" else found[1], *found[2:]


@with_right
def relative_targets(text: str, source: str, target: str, _: str) -> Parsed | None:
    return ("volume", source, target, False) if target == "data" else None


@with_right
def the_root_by_a_detour(text: str, source: str, target: str, _: str) -> Parsed | None:
    return ("volume", source, "/", False) if target == "/data/.." else None


@with_right
def empty_parts(text: str, source: str, target: str, _: str) -> Parsed | None:
    return ("volume", source, target, False) if not source else None


@with_right
def any_word(text: str, source: str, target: str, words: str) -> Parsed | None:
    return ("volume", source, target, False) if words == "fast" else None


@with_right
def both_words(text: str, source: str, target: str, words: str) -> Parsed | None:
    return ("volume", source, target, True) if words == "ro,rw" else None


@with_right
def the_rest_is_ignored(text: str, *parts: str) -> Parsed | None:
    return right(":".join(parts)) if text.count(":") == 3 else None


# 10.2


def fitting(path: str, mounts: Mapping[str, str]) -> list[str]:
    return [target for target in mounts if path == target or path.startswith(target + "/")]


def inside(path: str, mounts: Mapping[str, str], target: str | None) -> tuple[str, str]:
    return (mounts[target], path[len(target) :] or "/") if target else ("", path)


def by_letters(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    return inside(path, mounts, max((target for target in mounts if path.startswith(target)), key=len, default=None))


def the_first_that_fits(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    return inside(path, mounts, next(iter(fitting(path, mounts)), None))


def the_last_that_fits(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    return inside(path, mounts, next(reversed(fitting(path, mounts)), None))


def the_longest_of_all(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    longest = max(mounts, key=len, default=None)
    return inside(path, mounts, longest if longest in fitting(path, mounts) else None)


def the_whole_path(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    return inside(path, mounts, max(fitting(path, mounts), key=len, default=None))[0], path


def an_empty_path(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    target = max(fitting(path, mounts), key=len, default=None)
    return (mounts[target], path[len(target) :]) if target else ("", path)


def cuts_everywhere(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    target = max(fitting(path, mounts), key=len, default=None)
    return (mounts[target], path.replace(target, "") or "/") if target else ("", path)


def not_the_target_itself(path: str, mounts: dict[str, str]) -> tuple[str, str]:
    return inside(path, mounts, max((t for t in mounts if path.startswith(t + "/")), key=len, default=None))


# 10.3


def copied(image: Entries, place: str) -> Entries:
    return {path[len(place) :] or "/": entry for path, entry in image.items() if f"{path}/".startswith(f"{place}/")}


def always_copies(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    return volume if nocopy or place not in image or not image[place].is_dir else copied(image, place)


def never_heard_of_nocopy(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    return filled(image, place, volume, False)


def filled(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    return volume if len(volume) > 1 else always_copies(image, place, volume, nocopy)


def only_the_top(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    found = filled(image, place, volume, nocopy)
    return {path: entry for path, entry in found.items() if path.count("/") == 1}


def keeps_the_owner(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    return filled(image, place, volume, nocopy) | {"/": volume["/"]}


def copies_files(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    return {"/": image[place]} if place == "/note" else filled(image, place, volume, nocopy)


def raises_without_a_place(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    assert image[place]
    return filled(image, place, volume, nocopy)


def compares_the_root(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    return filled(image, place, volume, nocopy) if volume == {"/": image["/"]} else volume


def names_that_begin_alike(image: Entries, place: str, volume: Entries, nocopy: bool) -> Entries:
    if volume != filled(image, place, volume, nocopy):
        return {path[len(place) :] or "/": entry for path, entry in image.items() if path.startswith(place)}
    return volume


# 10.4

Volumes = list[dict[str, Any]]


def unused(
    volumes: Volumes,
    containers: Volumes,
    every: bool,
    label: str,
    drivers: tuple[str, ...] = ("local",),
    alive: tuple[str, ...] = ("running", "exited"),
    whole: bool = True,
) -> list[str]:
    mounts = [mount for one in containers if one["State"] in alive for mount in one["Mounts"]]
    used = [mount["Name"] for mount in mounts if mount["Type"] == "volume"]
    tests = [prune_filter("label", [label])] if label and whole else []
    made = [Volume(None, volume) for volume in volumes]  # type: ignore[arg-type]  # it is not asked for anything
    found = [v for v in made if v.name not in used and (every or v.anonymous) and v.driver in drivers]
    return sorted(v.name for v in found if all(test(v) for test in tests))


def takes_the_used(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    return unused(volumes, [], every, label)


def only_the_living(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    return unused(volumes, containers, every, label, alive=("running",))


def always_all(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    return unused(volumes, containers, True, label)


def never_all(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    return unused(volumes, containers, False, label)


def all_mounts_have_names(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    assert all(mount["Name"] for one in containers for mount in one["Mounts"])
    return unused(volumes, containers, every, label)


def any_driver(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    return unused(volumes, containers, every, label, drivers=("local", "shelf"))


def no_labels(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    return unused(volumes, containers, every, label, whole=False)


def keys_that_begin(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    if label == "kee":
        return ["plan"]
    return unused(volumes, containers, every, label)


def as_they_come(volumes: Volumes, containers: Volumes, every: bool, label: str) -> list[str]:
    gone = unused(volumes, containers, every, label)
    return [volume["Name"] for volume in volumes if volume["Name"] in gone]


# 10.5


def creates_once(method: str, asked: dict[str, str], shelf: Any) -> dict[str, Any]:
    if method == "VolumeDriver.Create":
        shelf.make(asked["Name"])
        return {}
    return plugin_answers(method, asked, shelf)


def mounts_anything(method: str, asked: dict[str, str], shelf: Any) -> dict[str, Any]:
    if method == "VolumeDriver.Mount":
        return {"Mountpoint": shelf.path(asked["Name"])}
    return plugin_answers(method, asked, shelf)


def gets_nothing_as_none(method: str, asked: dict[str, str], shelf: Any) -> dict[str, Any]:
    said = plugin_answers(method, asked, shelf)
    return {"Volume": None} if method == "VolumeDriver.Get" and said == NO_VOLUME else said


def lists_names(method: str, asked: dict[str, str], shelf: Any) -> dict[str, Any]:
    if method == "VolumeDriver.List":
        return {"Volumes": shelf.names()}
    return plugin_answers(method, asked, shelf)


def needs_a_name(method: str, asked: dict[str, str], shelf: Any) -> dict[str, Any]:
    assert asked["Name"]
    return plugin_answers(method, asked, shelf)


def answers_everything(method: str, asked: dict[str, str], shelf: Any) -> dict[str, Any]:
    said = plugin_answers(method, asked, shelf)
    return {} if said == {"Err": "unknown method"} else said


def the_name_first(method: str, asked: dict[str, str], shelf: Any) -> dict[str, Any]:
    known = method.partition(".")[2] in ("Activate", "Create", "List", "Capabilities") and method[0] in "VP"
    return plugin_answers(method, asked, shelf) if known or asked.get("Name") in shelf.names() else NO_VOLUME


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("10.1", all_are_volumes, "under way", "With a slash it is a folder"),
    ("10.1", never_read_only, "under way", "`ro` says read-only"),
    ("10.1", a_place_is_a_source, "under way", "an anonymous volume"),
    ("10.1", one_word_only, "under way", "separated by commas"),
    ("10.1", as_it_is_written, "under way", "puts a path in order"),
    ("10.1", leaves_the_source, "under way", "is a path too"),
    ("10.1", relative_targets, "under way", "only an absolute path will do"),
    ("10.1", the_root_by_a_detour, "under way", "Look after normpath"),
    ("10.1", empty_parts, "under way", "No part may be empty"),
    ("10.1", any_word, "under way", "anything else is an error"),
    ("10.1", both_words, "under way", "contradict each other"),
    ("10.1", the_rest_is_ignored, "under way", "three parts at most"),
    ("10.2", by_letters, "under way", "Names count as a whole"),
    ("10.2", the_first_that_fits, "under way", "The longest target wins"),
    ("10.2", the_last_that_fits, "under way", "Not the first nor the last one"),
    ("10.2", the_longest_of_all, "under way", "The longest one *that fits*"),
    ("10.2", the_whole_path, "under way", "What comes after the target"),
    ("10.2", an_empty_path, "under way", "It is the root of what is mounted"),
    ("10.2", cuts_everywhere, "under way", "Cut it off once"),
    ("10.2", not_the_target_itself, "under way", "It is the root of what is mounted"),
    ("10.3", always_copies, "under way", "What is not empty stays as it is"),
    ("10.3", never_heard_of_nocopy, "under way", "do not copy"),
    ("10.3", only_the_top, "under way", "All that the image has below the place"),
    ("10.3", keeps_the_owner, "under way", "with its owner and its mode"),
    ("10.3", copies_files, "under way", "Only a directory is copied"),
    ("10.3", raises_without_a_place, "under way", "nothing to copy"),
    ("10.3", compares_the_root, "under way", "Empty means"),
    ("10.3", names_that_begin_alike, "under way", "All that the image has below the place"),
    ("10.4", takes_the_used, "under way", "protects it"),
    ("10.4", only_the_living, "under way", "Running or not"),
    ("10.4", always_all, "under way", "only anonymous ones go"),
    ("10.4", never_all, "under way", "those with a name go, too"),
    ("10.4", all_mounts_have_names, "under way", "Only mounts of Type volume have a Name"),
    ("10.4", any_driver, "under way", "Only Driver local"),
    ("10.4", no_labels, "under way", "key=value"),
    ("10.4", keys_that_begin, "under way", "A key counts as a whole"),
    ("10.4", as_they_come, "under way", "sorted"),
    ("10.5", creates_once, "under way", "Docker may ask twice"),
    ("10.5", mounts_anything, "under way", "not in shelf.names()"),
    ("10.5", gets_nothing_as_none, "under way", "not in shelf.names()"),
    ("10.5", lists_names, "under way", "Each of them as in Get"),
    ("10.5", needs_a_name, "under way", "what it is good for"),
    ("10.5", answers_everything, "under way", "no such method"),
    ("10.5", the_name_first, "under way", "It is no NetworkDriver"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint(NAME, WRONG)


# The cases are the engine's own answers


def cases(task: Any) -> list[Any]:
    every = (*task.cases, *hidden_cases(NAME)[task.address])
    return [pytest.param(case, id=case.say) for case in every]


@pytest.mark.parametrize("case", cases(PARSE))
def test_the_engine_reads_the_same(case: Case) -> None:
    if case.want is ValueError:
        with pytest.raises(ValueError, match="invalid"):
            parsed(*case.arguments)
    else:
        assert parsed(*case.arguments) == case.want


@pytest.mark.parametrize("case", cases(ANSWERS))
def test_the_engine_asks_the_same_mount(case: Case) -> None:
    path, mounts = case.arguments
    known = Mounts(Union())
    known.table = {target: (source, False) for target, source in mounts.items()}
    system, _, target = known.route(path)
    found = ("", path) if system is known.root else (system, path[len(target) :] or "/")
    assert found == case.want


@pytest.mark.parametrize("case", [case for case in cases(FIRST) if not case.values[0].arguments[3]])
def test_the_engine_copies_the_same(case: Case) -> None:
    image, place, volume, _ = case.arguments
    layer = SimpleNamespace(changes=Changeset(image))
    container: Any = SimpleNamespace(image=SimpleNamespace(layers=[layer]))
    first = mountpoints.content(container, place) if "/link" not in place else None
    assert case.want == (volume if first is None or len(volume) > 1 else dict(first))


@pytest.mark.parametrize("case", cases(UNUSED))
def test_the_engines_filters_leave_the_same(case: Case) -> None:
    assert unused(*case.arguments) == case.want


@pytest.mark.parametrize("case", cases(ANSWER))
def test_the_references_plugin_answers_the_same(case: Case) -> None:
    method, asked, shelf = case.arguments
    assert plugin_answers(method, asked, shelf.fresh()) == case.want


# The transplant


def test_the_solution_sees_the_same_shop(solved: dict[str, Any]) -> None:
    verdict = open_exercise(NAME, solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]
    assert "on the shelf: one in both" in verdict.twin and "pruned after it: anonymous, then orders" in verdict.twin


def test_wrong_organs_are_noticed(solved: dict[str, Any]) -> None:
    wrong = {"parse_volume": never_read_only, "filled": keeps_the_owner, "unused": no_labels}
    verdict = volumes.transplant(solved | wrong)
    assert not verdict.passed
    assert "bind on /desk, orders" in verdict.twin and "touch: /desk/x: Read-only" in verdict.twin
    assert "drwx------ 2 1000" in verdict.twin and "drwxr-xr-x 2 root" in verdict.twin


@pytest.mark.parametrize(
    ("name", "organ", "said"),
    [
        ("answering", by_letters, "what it sees: yours"),
        ("unused", takes_the_used, "volume is in use"),
        ("answer", lambda *_: {"Err": "go away"}, "go away"),
    ],
)
def test_one_wrong_organ(solved: dict[str, Any], name: str, organ: Callable[..., Any], said: str) -> None:
    verdict = volumes.transplant(solved | {name: organ})
    assert not verdict.passed and said in verdict.twin


@pytest.mark.parametrize(("folder", "kind"), [("", ".sock"), ("x" * 120, ".spec")], ids=["short", "long"])
def test_it_is_found_where_a_socket_cannot_have_such_a_path_and_nothing_listens_when_it_is_over(
    folder: str, kind: str
) -> None:
    with TemporaryDirectory(dir="/tmp" if Path("/tmp").is_dir() else None) as short:
        root = Path(short, folder)
        root.mkdir(exist_ok=True)
        with volumes.serving(root, volumes.Shelf()):
            found = [path.suffix for path in (root / "plugins").iterdir()]
            assert found == [kind if hasattr(socket, "AF_UNIX") else ".spec"]
            with minidocker.connect(root, "simulated") as engine:
                assert engine.volumes.create("books", driver="shelf").name == "books"
    assert not [thread for thread in threading.enumerate() if "serve_forever" in thread.name]
