"""A learner's functions, called from outside their sandbox: each is a stand-in, which sends arguments for a result.

So the checks of an exercise run where the learner's program is not, and need not know of it. What a case lends to a
function (a `Prop`) stays outside, too: a use of it comes as a question, and gets its answer.
"""

from __future__ import annotations

import builtins
import inspect
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from minidocker import errors
from minidocker.grading import wire
from minidocker.grading.compare import Prop
from minidocker.grading.exercise import Task
from minidocker.grading.sandbox import Limits, Sandbox
from minidocker.grading.transplant import Spoiled

PATIENCE = 10.0  # seconds more than a check's own, for a busy machine
CHANCES = 2  # so many checks of a task may bring its function down or take too long; the rest is not tried
NOTES = 200  # of cells and functions are heard
QUESTIONS = 10_000  # that one call may ask of what it was lent
GONE = "the notebook ended its sandbox, or did not come to its end"
WHY = {
    "borrowed": "It calls minidocker's own function, which is the very thing to write.",
    "large": "What it returns is larger, or nested deeper, than any right result.",
    "died": "It ended the process that called it: by os._exit, a signal, or for want of memory.",
}


class Conversation:
    """With one submission, which is in a sandbox; one that has ended is started again, as long as there is time."""

    def __init__(self, start: Callable[[], Sandbox], limits: Limits, request: Mapping[str, Any]) -> None:
        self._start, self._limits = start, limits
        self._request = {**request, "seconds": limits.check_seconds, "all_seconds": limits.all_seconds / 2}
        self._request["limits"] = limits.of_a_process()
        self._end = time.monotonic() + limits.all_seconds
        self._sandbox: Sandbox | None = None
        self._spoiled: dict[str, list[str]] = {}  # of each function, how calls of it ended that did not return
        self.loaded: dict[str, Any] = {}

    def open(self) -> dict[str, Any]:
        """Start the sandbox and have the cells run; what is known of the functions then."""
        self._sandbox = self._start()
        answer = self._exchange(self._request, self._limits.all_seconds, {}) or {}
        self.loaded = {
            "functions": _mapping(answer.get("functions")),
            "known": _texts(answer.get("known"))[:NOTES],
            "cells": [(n, why) for n, why in _pairs(answer.get("cells")) if (type(n), type(why)) == (int, str)][:NOTES],
            "lost": str(answer.get("lost", "" if answer else GONE)),
        }
        return self.loaded

    def close(self) -> None:
        """End the sandbox."""
        if self._sandbox:
            self._sandbox.close()
        self._sandbox = None

    def namespace(self, tasks: Sequence[Task]) -> dict[str, Any]:
        """A stand-in for each function that a task asks for and the notebook has."""
        found = self.loaded["functions"]
        return {task.name: self.stand_in(task, found[task.name]) for task in tasks if task.name in found}

    def stand_in(self, task: Task, shape: Any) -> Any:
        """A function with the parameters of the learner's; for what is none, an object of a type named alike."""
        if type(shape) is not list:
            return wire.decode({"other": str(shape)})

        def call(*arguments: Any) -> Any:
            return self.call(task, arguments)

        names = [str(name) for name in shape[:50]]
        if not all(name.isidentifier() for name in names):
            return wire.decode({"other": "function with other parameters"})
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        call.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
        return call

    def call(self, task: Task, arguments: Sequence[Any]) -> Any:
        """Call the learner's function; what it returns, or raises. Raises Spoiled where neither counts."""
        spoiled = self._spoiled.setdefault(task.name, [])
        if len(spoiled) >= CHANCES:
            raise Spoiled(f"Not tried any more: {spoiled[-1][:1].lower()}{spoiled[-1][1:]}")
        if time.monotonic() >= self._end:
            raise Spoiled(f"Not tried: the submission had its {self._limits.all_seconds:g} s.")
        if self._sandbox is None:
            self.open()
        props: dict[int, Any] = {}
        seconds = min(self._limits.check_seconds, max(self._end - time.monotonic(), 0.1))
        request = {
            "call": task.name,
            "arguments": [wire.encode(argument, lambda value: _lend(value, props)) for argument in arguments],
            "engine": [task.engine.__module__, task.engine.__qualname__],
            "seconds": seconds,
        }
        answer = self._exchange(request, seconds, props)
        if answer is None:
            self.close()
        try:
            return self._result(answer or {"failed": "died"}, arguments)
        except Spoiled as error:
            spoiled.append(str(error))
            raise

    def _result(self, answer: dict[str, Any], arguments: Sequence[Any]) -> Any:
        if "raised" in answer:
            raise _error(answer)
        if "failed" in answer:
            late = f"It did not return within {self._limits.check_seconds:g} s."
            raise Spoiled(WHY.get(str(answer["failed"]), late))
        try:
            changed = [wire.decode(one, lambda _: None) for one in answer["arguments"]]
            value = wire.decode(answer["value"], lambda _: wire.decode({"other": "what the case lent to it"}))
        except wire.TooLarge:
            raise Spoiled(WHY["large"]) from None
        except (ValueError, KeyError, TypeError):
            raise Spoiled("What came out of the sandbox is no result.") from None
        for mine, theirs in zip(arguments, changed, strict=False):
            _become(mine, theirs)
        return value

    def _exchange(self, request: Mapping[str, Any], seconds: float, props: dict[int, Any]) -> dict[str, Any] | None:
        """A request and its answer, with the questions between; None where none came."""
        assert self._sandbox
        deadline = time.monotonic() + seconds + PATIENCE
        self._sandbox.say(json.dumps(request).encode() + b"\n", deadline)
        for _ in range(QUESTIONS):
            line = self._sandbox.hear(deadline)
            try:
                answer = json.loads(line) if line else None
            except (ValueError, RecursionError):
                return None
            if type(answer) is not dict:
                return None
            if "ask" not in answer:
                return answer
            self._sandbox.say(json.dumps(_answer(answer["ask"], props)).encode() + b"\n", deadline)
        return None


def _lend(value: Any, props: dict[int, Any]) -> int | None:
    if not isinstance(value, Prop):
        return None
    props[len(props)] = value
    return len(props) - 1


def _answer(question: Any, props: dict[int, Any]) -> dict[str, Any]:
    """What a prop says to a use of it. Nothing beyond its public names can be reached."""
    try:
        number, name, sent = question
        prop, arguments = props[number], [wire.decode(one) for one in sent]
        return {"value": wire.encode(_used(prop, str(name), arguments, props))}
    except Exception as error:  # what a registry, or wait(), raises: the function gets the same
        kind = type(error).__name__ if hasattr(builtins, type(error).__name__) else "RuntimeError"
        told = [one for one in error.args if type(one) in (str, int)]
        return {"raised": kind, "arguments": wire.encode(told)}


def _used(prop: Any, name: str, arguments: list[Any], props: dict[int, Any]) -> Any:
    if name == "__iter__" and isinstance(prop, Prop):
        props[len(props)] = iter(prop)  # type: ignore[call-overload]
        return len(props) - 1
    if name == "__next__" and isinstance(prop, Iterator):
        return [piece for _, piece in zip(range(1), prop, strict=False)]
    if not isinstance(prop, Prop) or (name.startswith((".", "_")) and name != "__call__" and name[1:2] == "_"):
        raise AttributeError(name)
    if name.startswith("."):
        value = getattr(prop, name[1:])
        return ("method",) if callable(value) else value
    if name != "__call__" and (name.startswith("_") or name == "fresh"):
        raise AttributeError(name)
    return prop(*arguments) if name == "__call__" else getattr(prop, name)(*arguments)  # type: ignore[operator]


def _error(answer: Mapping[str, Any]) -> Exception:
    """An exception of the same name, with the same words; one that nobody knows is of a class made for it."""
    module, _, name = str(answer["raised"]).rpartition(".")
    known = getattr(builtins if module == "builtins" else errors, name, None) if "." not in name else None
    if not (isinstance(known, type) and issubclass(known, Exception)):
        known = type(name[:80] or "Exception", (Exception,), {})
    said = re.sub(r"0x[0-9a-f]{6,}", "0x…", str(answer.get("said", ""))[:300])  # an address is another one each time
    error = _made(known, said)
    error.where = str(answer.get("where", ""))[:100]  # type: ignore[attr-defined]
    return error


def _made(kind: type[Exception], said: str) -> Exception:
    try:
        return kind(said)
    except TypeError:  # one with more to say than a text: UnicodeDecodeError
        error = kind.__new__(kind)
        error.args = (said,)
        return error


def _become(mine: Any, theirs: Any) -> None:
    """Make a mutable argument what the function has made of it."""
    if type(mine) is dict and type(theirs) is dict:
        mine.clear()
        mine.update(theirs)
    elif type(mine) is list and type(theirs) is list:
        mine[:] = theirs


def _mapping(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _texts(value: Any) -> list[str]:
    return [one for one in value if type(one) is str] if type(value) is list else []


def _pairs(value: Any) -> list[Any]:
    return [one for one in value if type(one) is list and len(one) == 2] if type(value) is list else []
