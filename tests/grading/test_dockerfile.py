"""Exercise 06: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minidocker.container import spec
from minidocker.dockerfile import lines, words
from minidocker.grading import dockerfile, open_exercise
from minidocker.grading.dockerfile import DOCKERFILE, TASKS
from minidocker.grading.exercise import Case
from minidocker.grading.release import read, source
from tests.grading.proofs import each_gets_its_hint

Pairs = list[tuple[int, str]]
SOURCE = Path(__file__).parents[2] / "exercises" / "06-dockerfile" / "source.ipynb"


def joined(text: str, escape: str, *, strip: bool = False, ends: bool = False, anywhere: bool = False) -> Pairs:
    """Right but for one thing: `strip` the lines that follow, an empty line `ends` it, a # counts `anywhere`."""
    found: Pairs = []
    more = False
    for number, line in enumerate(text.split("\n"), 1):
        line = line.partition("#")[0] if anywhere else line
        if not line.strip() or line.strip().startswith("#"):
            more = more and not (ends and not line.strip())
            continue
        start, before = found.pop() if more else (number, "")
        body = line.rstrip()
        more = body.endswith(escape) and not body.endswith(escape * 2)
        found.append((start, before + (line.lstrip() if strip and before else line)[: len(body) - 1 if more else None]))
    return [(number, line.lstrip()) for number, line in found]


def strips_what_follows(text: str, escape: str) -> Pairs:
    return joined(text, escape, strip=True)


def empty_lines_end_it(text: str, escape: str) -> Pairs:
    return joined(text, escape, ends=True)


def comments_anywhere(text: str, escape: str) -> Pairs:
    return joined(text, escape, anywhere=True)


def always_a_backslash(text: str, escape: str) -> Pairs:  # noqa: ARG001
    return joined(text, "\\")


def one_big_replace(text: str, escape: str) -> Pairs:
    every = text.replace(escape + "\n", "").split("\n")
    return [(number, line) for number, line in enumerate(every, 1) if line and not line.strip().startswith("#")]


def no_comments(text: str, escape: str) -> Pairs:
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.rstrip(escape)]


def reads_with_the_engine(text: str, escape: str) -> Pairs:  # noqa: ARG001
    return [(line.line, line.text) for line in lines.Source.read(text).lines]


def splits(text: str) -> list[str]:
    return list(json.loads(text)) if text.startswith("[") else shlex.split(text)


def evaluates(text: str) -> list[str]:
    import ast

    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return ["/bin/sh", "-c", text]
    return value if isinstance(value, list) else ["/bin/sh", "-c", text]


def any_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return shell(text)


def shell(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def crashes_on_a_test(text: str) -> list[str]:
    return list(json.loads(text)) if text.startswith("[") and "'" not in text else shell(text)


def replaces_each(word: str, env: dict[str, str]) -> str:
    for name, value in env.items():
        word = word.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return re.sub(r"\$\w+", "", word)


def again_and_again(word: str, env: dict[str, str]) -> str:
    while re.search(r"\$\{?[A-Z]+", word):
        word = re.sub(r"\$\{?([A-Z]+)\}?", lambda found: env.get(found[1], ""), word)
    return word


def pieces(word: str, env: dict[str, str], escape: str = r"\\(.)", *, colon: bool = True, deep: bool = True) -> str:
    def value(piece: re.Match[str]) -> str:
        escaped, plain, braced, modifier, other = piece.groups()
        if escaped:
            return str(escaped)
        found = env.get(plain or braced, "")
        missing = not found if colon else (plain or braced) not in env
        other = pieces(other, env) if deep and other else other
        return {":-": other if missing else found, ":+": "" if missing else other, None: found}[modifier] or ""

    return re.sub(escape + r"|\$(\w+)|\$\{(\w+)(?:(:[-+])([^}]*))?\}", value, word)


def looks_behind(word: str, env: dict[str, str]) -> str:
    return pieces(word, env, r"(?<=\\)(\$\w+)").replace("\\", "")


def empty_is_set(word: str, env: dict[str, str]) -> str:
    return pieces(word, env, colon=False)


def defaults_as_they_stand(word: str, env: dict[str, str]) -> str:
    return pieces(word, env, deep=False)


def must_be_set(word: str, env: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: env[found[1]], word)


def arguments_replace_all(entrypoint: list[str], cmd: list[str], override: Any, arguments: list[str]) -> list[str]:
    return arguments or (override or entrypoint) + cmd


def arguments_are_added(entrypoint: list[str], cmd: list[str], override: Any, arguments: list[str]) -> list[str]:
    return (override or entrypoint) + cmd + arguments


def cmd_stays(entrypoint: list[str], cmd: list[str], override: Any, arguments: list[str]) -> list[str]:
    return (override or entrypoint) + (arguments or cmd)


def extends(entrypoint: list[str], cmd: list[str], override: Any, arguments: list[str]) -> list[str]:
    entrypoint.extend(arguments or cmd)
    return entrypoint if override is None else override + arguments


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("6.1", no_comments, "under way", "is no instruction; but it counts"),
    ("6.1", strips_what_follows, "under way", "The next line follows as it stands"),
    ("6.1", one_big_replace, "under way", "the number is that of the first"),
    ("6.1", empty_lines_end_it, "under way", "an empty line does not end what goes on"),
    ("6.1", comments_anywhere, "under way", "Only a whole line is a comment"),
    ("6.1", always_a_backslash, "under way", "so that C:\\ can be said"),
    ("6.1", reads_with_the_engine, "cannot pass", "minidocker's own joined()"),
    ("6.2", splits, "under way", "Anything that is no JSON list goes, as it stands"),
    ("6.2", evaluates, "under way", "JSON knows double quotes only"),
    ("6.2", crashes_on_a_test, "under way", "json.loads raises ValueError here"),
    ("6.2", any_json, "cannot pass", "It must return a list, and returns 'echo'"),
    ("6.3", replaces_each, "under way", "The whole name counts"),
    ("6.3", again_and_again, "under way", "A value is not looked at again"),
    ("6.3", must_be_set, "under way", "What is not set is empty"),
    ("6.3", looks_behind, "under way", "The first backslash takes the second one with it"),
    ("6.3", empty_is_set, "under way", "empty counts as not set"),
    ("6.3", defaults_as_they_stand, "under way", "The default is a word as well"),
    ("6.4", arguments_replace_all, "under way", "they never replace that one"),
    ("6.4", arguments_are_added, "under way", "Arguments take the place of CMD"),
    ("6.4", cmd_stays, "under way", "--entrypoint drops it too"),
    ("6.4", extends, "cannot pass", "changes its arguments"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("06-dockerfile", WRONG)


# The cases are the engine's own answers


def cases(number: int) -> list[Any]:
    return [pytest.param(case, id=case.say) for case in TASKS[number].cases]


@pytest.mark.parametrize("case", cases(0))
def test_the_engine_joins_the_same_lines(case: Case) -> None:
    text, escape = case.arguments
    read = lines.Source.read(f"# escape={escape}\n{text}").lines
    assert [(line.line - 1, line.text) for line in read] == case.want


@pytest.mark.parametrize("case", cases(1))
def test_the_engine_starts_the_same_words(case: Case) -> None:
    [text] = case.arguments
    found = lines.json_list(text)
    assert (shell(text) if found is None else found) == case.want


@pytest.mark.parametrize("case", cases(2))
def test_the_engine_expands_to_the_same(case: Case) -> None:
    assert words.expand(*case.arguments) == case.want
    assert dockerfile.SIMPLE.fullmatch(case.arguments[0])


@pytest.mark.parametrize("case", cases(3))
def test_the_engine_starts_the_same_process(case: Case) -> None:
    entrypoint, cmd, override, arguments = case.arguments
    image: Any = SimpleNamespace(config={"Entrypoint": entrypoint, "Cmd": cmd})
    made = spec._program(image, arguments, override)
    assert [*(made["Entrypoint"] or []), *(made["Cmd"] or [])] == case.want


@pytest.mark.parametrize("word", ["'$x'", '"$x"', "${x%y}", "${x:-${y}}", "$$", "$1a", "end\\", "${x?no}"])
def test_what_the_task_does_not_tell_of_is_left_to_the_engine(word: str) -> None:
    assert not dockerfile.SIMPLE.fullmatch(word)


# The transplant


def test_the_notebook_shows_the_dockerfile_that_is_built() -> None:
    assert any(f"```dockerfile\n{DOCKERFILE}```" in source(cell) for cell in read(SOURCE)["cells"])


def test_the_solution_arrives_at_the_references_digest(solved: dict[str, Any]) -> None:
    verdict = open_exercise("06-dockerfile", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]


@pytest.mark.parametrize(
    ("name", "organ", "said"),
    [
        ("join_lines", one_big_replace, "Dockerfile:4: ENV: Syntax error"),
        ("command", shell, "the build failed"),
        ("expand", again_and_again, "echo $PRICE': yours"),
        ("process", arguments_are_added, "the engine refused"),
    ],
)
def test_a_wrong_organ_is_noticed(solved: dict[str, Any], name: str, organ: Callable[..., Any], said: str) -> None:
    solved[name] = organ
    verdict = dockerfile.transplant(solved)
    assert not verdict.passed
    assert said in verdict.twin
