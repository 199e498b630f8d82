"""Exercise 07: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import cache
from minidocker.build.copy import contents, select
from minidocker.dockerignore import Ignore, Pattern
from minidocker.grading import open_exercise
from minidocker.grading.buildcache import DOCKERFILE, KEY, TASKS
from minidocker.grading.exercise import Case
from minidocker.grading.release import read, source
from minidocker.tree import Tree
from tests.grading.proofs import each_gets_its_hint

SOURCE = Path(__file__).parents[2] / "exercises" / "07-build-cache" / "source.ipynb"
NOISE = ("line", "comment", "started", "seconds")


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def dumped(facts: Any) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def all_counts(step: dict[str, Any]) -> str:
    return digest(dumped(step))


def in_order(step: dict[str, Any]) -> str:
    return digest(json.dumps({k: v for k, v in step.items() if k not in NOISE}, separators=(",", ":")))


def outer_order(step: dict[str, Any]) -> str:
    facts = {name: step[name] for name in sorted(step) if name not in NOISE}
    return digest(json.dumps(facts, separators=(",", ":")))


def with_blanks(step: dict[str, Any]) -> str:
    return digest(json.dumps({k: v for k, v in step.items() if k not in NOISE}, sort_keys=True))


def forgets_the_parent(step: dict[str, Any]) -> str:
    return digest(dumped({k: v for k, v in step.items() if k not in (*NOISE, "parent")}))


def times_count(step: dict[str, Any]) -> str:
    return digest(dumped({k: v for k, v in step.items() if k not in NOISE[:2]}))


def what_run_has(step: dict[str, Any]) -> str:
    return digest(dumped({k: step[k] for k in ("parent", "run", "env") if k in step}))


def takes_out_in_place(step: dict[str, Any]) -> str:
    for name in NOISE:
        step.pop(name, None)
    return digest(dumped(step))


def borrows(step: dict[str, Any]) -> str:
    from minidocker.build import cache

    return cache.key_of({k: v for k, v in step.items() if k not in NOISE})


def printed(files: dict[str, Any], line: Callable[[str, Any], str]) -> str:
    return digest("\n".join(line(path, entry) for path, entry in sorted(files.items())))


def whole(path: str, entry: Any) -> str:
    content = entry.data.digest if entry.kind == "file" else entry.target
    return f"{path} {entry.kind} {entry.mode:o} {entry.uid}:{entry.gid} {content}"


def unsorted(files: dict[str, Any]) -> str:
    return digest("\n".join(whole(path, entry) for path, entry in files.items()))


def with_times(files: dict[str, Any]) -> str:
    return printed(files, lambda path, entry: whole(path, entry) + (f" {entry.mtime}" if entry.mtime != 100 else ""))


def without_modes(files: dict[str, Any]) -> str:
    return printed(files, lambda path, e: whole(path, e) if path != "a" else f"a file 644 0:0 {e.data.digest}")


def content_of_all(files: dict[str, Any]) -> str:
    return printed(files, lambda path, e: f"{path} {e.kind} {e.mode:o} {e.uid}:{e.gid} {e.data.digest}")


def trailing_newline(files: dict[str, Any]) -> str:
    return digest("".join(whole(path, entry) + "\n" for path, entry in sorted(files.items())))


def fits(line: str, path: str) -> bool:
    return bool(Pattern.parse(line).regex.fullmatch(path))


def every(path: str) -> list[str]:
    names = path.split("/")
    return ["/".join(names[:number]) for number in range(1, len(names) + 1)]


def said(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip() and not line.startswith("#")]


def first_match(lines: list[str], path: str) -> bool:
    for line in said(lines):
        if any(fits(line, one) for one in every(path)):
            return not line.startswith("!")
    return False


def any_exception_wins(lines: list[str], path: str) -> bool:
    found = [line for line in said(lines) if any(fits(line, one) for one in every(path))]
    return bool(found) and not any(line.startswith("!") for line in found)


def path_alone(lines: list[str], path: str) -> bool:
    out = False
    for line in said(lines):
        out = not line.startswith("!") if fits(line, path) else out
    return out


def stars_cross_slashes(lines: list[str], path: str) -> bool:
    out = False
    for line in said(lines):
        hit = any(fnmatch.fnmatch(one, line.removeprefix("!")) for one in every(path))
        out = not line.startswith("!") if hit else out
    return out


def comments_match(lines: list[str], path: str) -> bool:
    out = False
    for line in filter(str.strip, lines):
        out = not line.startswith("!") if any(fits(line, one) for one in every(path)) else out
    return out


def chokes_on_blanks(lines: list[str], path: str) -> bool:
    out = False
    for line in lines:
        if not line.startswith("#") and any(fits(line, one) for one in every(path)):
            out = not line.startswith("!")
    return out


def in_file_order(needs: dict[str, list[str]], target: str) -> list[str]:
    return list(needs)[: list(needs).index(target) + 1]


def again_and_again(needs: dict[str, list[str]], target: str) -> list[str]:
    return [*(stage for other in needs[target] for stage in again_and_again(needs, other)), target]


def one_level(needs: dict[str, list[str]], target: str) -> list[str]:
    return [*needs[target], target]


def target_first(needs: dict[str, list[str]], target: str) -> list[str]:
    return [target, *(stage for other in needs[target] for stage in target_first(needs, other))]


def never_ends(needs: dict[str, list[str]], target: str) -> list[str]:
    return list(dict.fromkeys(again_and_again(needs, target)))


def stops_silently(needs: dict[str, list[str]], target: str) -> list[str]:
    done: list[str] = []
    seen = set()

    def visit(stage: str) -> None:
        if stage not in seen:
            seen.add(stage)
            for other in needs[stage]:
                visit(other)
            done.append(stage)

    visit(target)
    return done


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("7.1", with_blanks, "under way", "separators=(',', ':')"),
    ("7.1", in_order, "under way", "facts have none"),
    ("7.1", outer_order, "under way", "which sorts the dicts inside too"),
    ("7.1", forgets_the_parent, "under way", "case 1 of"),
    ("7.1", all_counts, "under way", "How it was typed changes nothing"),
    ("7.1", times_count, "under way", "When it ran and how long"),
    ("7.1", what_run_has, "under way", "also what only COPY has"),
    ("7.1", takes_out_in_place, "cannot pass", "changes its arguments"),
    ("7.1", borrows, "cannot pass", "minidocker's own key_of()"),
    ("7.2", unsorted, "under way", "sorted(files.items())"),
    ("7.2", with_times, "under way", "A file that was only touched is the same file"),
    ("7.2", without_modes, "under way", "the mode counts"),
    ("7.2", content_of_all, "under way", "Only a file has content"),
    ("7.2", trailing_newline, "under way", "One line a path"),
    ("7.3", first_match, "under way", "A line that begins with ! takes back in"),
    ("7.3", any_exception_wins, "under way", "the last one decides: go through all of them"),
    ("7.3", path_alone, "under way", "A directory goes with all that is in it"),
    ("7.3", stars_cross_slashes, "under way", "A * stops at a slash"),
    ("7.3", comments_match, "under way", "is a comment, no pattern"),
    ("7.3", chokes_on_blanks, "under way", "Empty lines say nothing"),
    ("7.4", target_first, "under way", "What it needs comes first"),
    ("7.4", one_level, "under way", "What is needed has needs itself"),
    ("7.4", in_file_order, "under way", "Start at the target"),
    ("7.4", again_and_again, "under way", "A stage is built once"),
    ("7.4", never_ends, "under way", "It raised RecursionError"),
    ("7.4", stops_silently, "under way", "Expected ValueError to be raised"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("07-build-cache", WRONG)


# The cases are the engine's own answers


def cases(number: int) -> list[Any]:
    return [pytest.param(case, id=case.say) for case in TASKS[number].cases]


def test_the_engine_makes_the_same_key() -> None:
    assert all(cache.key_of(case.arguments[0]) == case.want for case in KEY.cases[:3])


def test_the_engine_tells_the_same_files_apart() -> None:
    trees = [Tree({f"/{path}": entry for path, entry in case.arguments[0].items()}) for case in TASKS[1].cases]
    found = [cache.listing_digest(contents(tree, select(tree, ["."]))) for tree in trees]
    wanted = [case.want for case in TASKS[1].cases]
    assert [[one == other for other in found] for one in found] == [
        [one == other for other in wanted] for one in wanted
    ]


@pytest.mark.parametrize("case", cases(2))
def test_the_engine_leaves_out_the_same(case: Case) -> None:
    lines, path = case.arguments
    assert Ignore.parse("\n".join(lines)).excludes(path) == case.want


# The transplant


def test_the_notebook_shows_the_dockerfile_that_is_built() -> None:
    assert any(f"```dockerfile\n{DOCKERFILE}```" in source(cell) for cell in read(SOURCE)["cells"])


def test_the_solution_hits_and_misses_as_the_reference_does(solved: dict[str, Any]) -> None:
    verdict = open_exercise("07-build-cache", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]
    assert "what should not matter: hit hit hit hit hit hit hit hit" in verdict.twin


@pytest.mark.parametrize(
    ("name", "organ", "said"),
    [
        ("cache_key", all_counts, "after what should not matter: yours hit miss"),
        ("cache_key", forgets_the_parent, "the image's id: yours"),
        ("fingerprint", with_times, "after what should not matter: yours hit hit miss"),
        ("left_out", first_match, "the image's id: yours"),
        ("plan", in_file_order, "the build failed"),
    ],
)
def test_a_wrong_organ_is_noticed(solved: dict[str, Any], name: str, organ: Callable[..., Any], said: str) -> None:
    solved[name] = organ
    exercise = open_exercise("07-build-cache", solved)
    assert exercise.transplant().title.startswith("Transplant: first pass")
    verdict = exercise.transplant(anyway=True)
    assert not verdict.passed
    assert said in verdict.twin
