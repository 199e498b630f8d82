"""The frame of an exercise: tasks with an address, cases that specify them, hints that open one after another."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from minidocker.errors import NotFound
from minidocker.grading.compare import as_lists, copy, describe, difference, same
from minidocker.grading.hidden import hidden_cases
from minidocker.grading.transplant import Borrowed, Spoiled, replaced
from minidocker.grading.verdict import Message, Verdict, Voice
from minidocker.notebook.pictures.svg import Figure

DRAWN = 20_000  # characters that a result may have, to be drawn


@dataclass(frozen=True)
class Case:
    """One line of a specification: these arguments give this result; `say` is the rule, `hint` helps who breaks it.

    Where `want` is an exception's class, that is to be raised.
    """

    say: str
    arguments: tuple[Any, ...]
    want: Any
    hint: str = ""


@dataclass(frozen=True)
class Task:
    """One hole: the function `name` with parameters `parameters` is to be written by the learner.

    `engine` is the function of minidocker's that does the same, and may not be called during a check.
    `show(title, value, arguments)` draws a result. `stars` is how hard it is, one to three, and what it counts.
    """

    address: str
    name: str
    parameters: tuple[str, ...]
    title: str
    cases: tuple[Case, ...]
    hints: tuple[str, ...]
    engine: Callable[..., Any]
    show: Callable[[str, Any, tuple[Any, ...]], Figure]
    stars: int


@dataclass
class Exercise:
    """The tasks of one notebook, and how far its reader opened the hints."""

    name: str
    tasks: Sequence[Task]
    graft: Callable[[MutableMapping[str, Any]], Verdict]
    namespace: MutableMapping[str, Any]
    opened: dict[str, int] = field(default_factory=dict)

    @property
    def holes(self) -> Sequence[Task]:
        """The functions that the learner writes."""
        return self.tasks

    def check(self, address: str = "", hidden: bool = False) -> Verdict | Message:
        """Check one task; without an address, all of them. `hidden`: also by the cases that only instructors have."""
        if not address:
            return self._score()
        verdict = self.judge(address)
        if hidden and verdict.passed:
            verdict = self.judge(address, hidden_cases(self.name)[address])
        if os.environ.get("NBGRADER_EXECUTION") and not verdict.passed:
            raise AssertionError(verdict.twin)  # how nbgrader learns of it
        return verdict

    def hint(self, address: str) -> Message:
        """Open one more hint of a task; those that are open stay."""
        task = self._task(address)
        number = self.opened[address] = min(self.opened.get(address, 0) + 1, len(task.hints))
        rest = len(task.hints) - number
        more = f"({rest} more: hint({address!r}) again)" if rest else "(that is all of them)"
        return Message(
            f"Hints for task {address} {more}", tuple(f"{n}. {h}" for n, h in enumerate(task.hints[:number], 1))
        )

    def transplant(self, anyway: bool = False) -> Verdict:
        """Let the engine live on the learner's functions, once all of them pass; `anyway`: with broken ones too."""
        refused = _shape if anyway else lambda task, _: not self.judge(task.address).passed
        missing = [task.address for task in self.tasks if refused(task, self.namespace.get(task.name))]
        if missing:
            said = "The engine lives on these functions: it takes only organs that pass their check."
            said += "" if anyway else " (transplant(anyway=True) tries others too. What becomes of Docker?)"
            verdict = Verdict(f"Transplant: first pass {', '.join(missing)}", (said,), "under way")
        else:
            verdict = self.graft(self.namespace)
        if os.environ.get("NBGRADER_EXECUTION") and not verdict.passed:
            raise AssertionError(verdict.twin)
        return verdict

    def judge(self, address: str, hidden: Sequence[Case] = ()) -> Verdict:
        """The verdict on one task by its own cases, or by these `hidden` ones."""
        task = self._task(address)
        if wrong := self.shape(task):
            return wrong
        if verdict := next(filter(None, self.tries(task, hidden)), None):
            return verdict
        cases, kind = hidden or task.cases, "hidden case" if hidden else "case"
        last = [case for case in cases if not isinstance(case.want, type)][-1]
        drawn = task.show("your result", last.want, last.arguments)
        return Verdict(_title(task), (f"All {len(cases)} {kind}s hold. {task.title}.",), "passed", drawn)

    def shape(self, task: Task) -> Verdict | None:
        """What keeps the learner's name from being the function that is asked for, or None."""
        wrong = _shape(task, self.namespace.get(task.name))
        return Verdict(_title(task), wrong[1], wrong[0]) if wrong else None

    def tries(self, task: Task, hidden: Sequence[Case] = ()) -> Iterator[Verdict | None]:
        """Case by case, what is wrong with it, or None; for a function of the right shape."""
        cases, kind = hidden or task.cases, "hidden case" if hidden else "case"
        for number, case in enumerate(cases, 1):
            title = f"{_title(task)}, {kind} {number} of {len(cases)}: {case.say}"
            yield self._try(task, self.namespace.get(task.name), case, title)

    def guard(self, task: Task) -> AbstractContextManager[None]:
        """While it lasts, minidocker's own function of this task cannot be called."""
        return replaced({task.engine: _borrowed(task)}, self.namespace)

    def _try(self, task: Task, function: Any, case: Case, title: str) -> Verdict | None:
        """What is wrong with one case, or None."""
        arguments = copy(case.arguments)
        try:
            with self.guard(task):
                got = function(*arguments)
        except NotImplementedError:
            return Verdict(title, ("Nothing is written yet. " + case.hint, "Stuck? " + _ask(task)), "under way")
        except Spoiled as error:
            return Verdict(title, (str(error),), "cannot pass")
        except (Exception, SystemExit) as error:
            if type(error) is case.want:
                return None
            where = _line_of(error, function)
            said = f"{type(error).__name__}: {error}"[:300]
            return Verdict(title, (f"It raised {said}{where}", case.hint or _ask(task)), "under way")
        if not same(arguments, case.arguments):
            said = "It changes its arguments. A tree is a value that others hold too: return a new one instead."
            return Verdict(title, (said,), "cannot pass")
        if same(got, case.want):
            return None
        return self._wrong(task, case, got, title)

    def _wrong(self, task: Task, case: Case, got: Any, title: str) -> Verdict:
        if isinstance(case.want, type):
            lines = (
                f"Expected {case.want.__name__} to be raised, got {describe(got)}.",
                case.hint,
                _called(task, case),
            )
            return Verdict(title, lines, "under way", _drawn(task, got, case))
        expected = task.show("expected", case.want, case.arguments)
        wants = [other.want for other in task.cases if not isinstance(other.want, type)]
        kinds = {type(want).__name__: type(want) for want in wants}
        if type(got) not in kinds.values():
            nothing = "It returns None: is there a `return`?" if got is None else ""
            said = nothing or f"It must return a {' or '.join(kinds)}, and returns {describe(got)}."
            voice: Voice = "under way" if got is None else "cannot pass"
            return Verdict(title, (said,), voice, None, expected)
        said = (
            difference(got, case.want) if type(got) is dict else f"Expected {describe(case.want)}, got {describe(got)}"
        )
        yours, hint = _drawn(task, got, case), case.hint or _ask(task)
        if same(as_lists(got), as_lists(case.want)):
            hint = "The values are right. But [a, b] is a list, and (a, b) a tuple: look which is expected where."
        lines = (f"{said[:1].upper()}{said[1:]}.", hint, _called(task, case))
        return Verdict(title, lines, "under way", yours, expected)

    def _score(self) -> Message:
        verdicts = {task.address: self.judge(task.address) for task in self.tasks}
        passed = [self._task(address).stars for address, verdict in verdicts.items() if verdict.passed]
        voice: Voice = "passed" if len(passed) == len(verdicts) else "under way"
        earned = stars(sum(passed), sum(task.stars for task in self.tasks))
        lines = tuple(
            f"{task.address} {task.name} {stars(task.stars * verdicts[task.address].passed, task.stars)} "
            f"{verdicts[task.address].voice}"
            for task in self.tasks
        )
        return Message(f"{len(passed)} of {len(verdicts)} tasks passed  {earned}", lines, voice)

    def _task(self, address: str) -> Task:
        for task in self.tasks:
            if task.address == address:
                return task
        known = ", ".join(task.address for task in self.tasks)
        raise NotFound(f"there is no task {address!r} in {self.name}; there are: {known}")


def stars(earned: int, of: int) -> str:
    """Stars, those not earned yet empty. `stars(1, 3)` -> `★☆☆`."""
    return "★" * earned + "☆" * (of - earned)


def _title(task: Task) -> str:
    return f"Task {task.address}: {task.name}({', '.join(task.parameters)})"


def _shape(task: Task, function: Any) -> tuple[Voice, tuple[str, ...]] | None:
    """What keeps a name from being the function that is asked for."""
    if function is None:
        return "under way", (f"There is no function `{task.name}` here: run the cell that defines it.",)
    if not inspect.isfunction(function):
        return "cannot pass", (f"`{task.name}` must be a function made with def; it is a {type(function).__name__}.",)
    found = tuple(inspect.signature(function).parameters)
    if found != task.parameters:
        wanted = ", ".join(task.parameters)
        return "cannot pass", (f"The engine calls {task.name}({wanted}); yours is {task.name}({', '.join(found)}).",)
    return None


def _borrowed(task: Task) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Borrowed(f"It calls minidocker's own {task.engine.__name__}(), which is the very thing to write.")

    return refuse


def _line_of(error: BaseException, function: Any) -> str:
    """Where in the learner's function an exception came from: ` (line 3 of apply)`, if it does not say so itself."""
    trace, found = error.__traceback__, str(getattr(error, "where", ""))
    while trace:
        code = trace.tb_frame.f_code
        if code.co_filename == function.__code__.co_filename:
            found = f" (line {trace.tb_lineno - code.co_firstlineno + 1} of {code.co_name})"
        trace = trace.tb_next
    return found


def _drawn(task: Task, got: Any, case: Case) -> Figure | None:
    """The learner's result as a picture, where it can be drawn at all, and is no library of its own."""
    try:
        return task.show("yours", got, case.arguments) if len(describe(got)) < DRAWN else None
    except Exception:
        return None


def _called(task: Task, case: Case) -> str:
    return f"Called as {task.name}({', '.join(map(describe, case.arguments))})"


def _ask(task: Task) -> str:
    return f"hint({task.address!r}) tells more."
