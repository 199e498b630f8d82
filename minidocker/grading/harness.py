"""The program inside the sandbox: it runs a learner's cells, and then calls his functions, one call a process.

It knows no expected result, no hidden check and no solution: it is asked for one call after another, and says what
came of each. A supervisor, which runs nothing of the learner's, forks a runner. That one runs the cells: before each it
leaves a copy of itself behind, which goes on without the cell where that ends the process, or does not end. Each call
is made in a copy of the runner, which is gone afterwards, with every thread and process that it started.

Messages are lines of JSON on standard input and output, values in them as in `wire.py`:

    {"cells": […], "given": […], "engines": […], "seconds": 5}   ->  {"functions": {"apply": ["lower", "layer"]}, …}
    {"call": "apply", "arguments": […], "engine": […], "seconds": 5}  ->  {"value": …} | {"raised": …} | {"failed": …}
    {"ask": [0, "patch", …]}  <-  a function plays with what a case lent to it; the answer comes as the next line
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import gc
import os
import re
import select
import signal
import socket
import sys
import time
import types
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from json import dumps, loads  # and not what a cell makes of `json.dumps`
from typing import Any

from minidocker.grading import wire
from minidocker.grading.transplant import Borrowed, replaced

DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
GIVES = (*DEFINES, ast.Assign, ast.AnnAssign)
MAGIC = re.compile(r"^([ \t]*)(?:[%!?].*|[\w.]+\?+)$", re.M)  # a line that only IPython reads
PR_SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>: orphans come to this process, as to process 1
ROUNDS = 20  # of killing what a learner's code left behind
GONE = "ended the process that ran it, or did not come to its end"
NOTES = 200  # at most so many cells and functions are told of
ALONE = os.getpid() == 1  # every process that can be seen, and ended, is the sandbox's
ENDED = b"ended"  # the copy that a call was made in
Message = dict[str, Any]


# The supervisor


class Supervisor:
    """Process 1: between whoever grades and the runner."""

    def __init__(self, inlet: Any, outlet: int) -> None:
        self.inlet, self.outlet = inlet, outlet
        self.channel: socket.socket | None = None  # the way to the runner
        self.group, self.rest = 0, b""  # of processes; what came of the next line
        self.runner = b""  # the process that answers by now, as /proc names it
        self.request: Message = {}
        self.sign = os.urandom(8).hex().encode() + b" "  # how the runner's lines begin: what a cell writes is none

    def serve(self) -> None:
        """Answer until nobody asks any more."""
        try:
            for line in self.inlet:
                request = loads(line)
                if "cells" in request:
                    self.request = request
                    self.say(self.load())
                else:
                    self.say(self.call(request, line))
                self.tidy()
        except OSError:  # who asked is gone
            pass
        finally:
            self.end()

    def load(self) -> bytes:
        """Have the cells run; where they bring down the runner as a whole, only what they define."""
        for careful in (False, True):
            self.end()
            self.begin(careful)
            deadline = time.monotonic() + self.request["all_seconds"]
            self.runner = self.receive(deadline).strip()
            if self.runner and (answer := self.receive(deadline)):
                return answer
        self.end()
        return _line({"functions": {}, "lost": f"the notebook {GONE}"})

    def begin(self, careful: bool) -> None:
        """Fork a runner."""
        ours, theirs = socket.socketpair()
        self.channel = ours
        self.group = os.fork()
        if not self.group:
            os.setpgid(0, 0)
            ours.close()
            self.inlet.close()
            os.close(self.outlet)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                run(Channel(theirs, self.sign), self.request, careful)
            finally:  # whatever was done to what this needs
                os._exit(0)
        theirs.close()

    def call(self, request: Message, line: bytes) -> bytes:
        """One call in a copy of the runner, and what comes of it within its time."""
        if self.channel is None and b'"lost"' in self.load():
            return _line({"failed": "died"})
        deadline, answer = time.monotonic() + request["seconds"], b""
        assert self.channel
        with contextlib.suppress(OSError):
            self.channel.sendall(line)
            while got := self.receive(deadline):
                if got.startswith(ENDED):
                    return answer or _line({"failed": "died"})
                if got.startswith(b'{"ask"'):
                    self.say(got)
                    self.channel.sendall(self.inlet.readline())
                else:
                    answer = answer or got
        self.end()
        return _line({"failed": "time" if time.monotonic() >= deadline else "died"})

    def receive(self, deadline: float) -> bytes:
        """The next line from the runner; nothing where none comes in time."""
        while line := self.next_line(deadline):
            if line.startswith(self.sign):
                return line[len(self.sign) :]
        return b""

    def next_line(self, deadline: float) -> bytes:
        """The next line from whoever writes into the runner's channel."""
        assert self.channel
        while b"\n" not in self.rest and len(self.rest) <= wire.LINE:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.channel], [], [], left)[0]:
                return b""
            try:
                data = self.channel.recv(1 << 16)
            except OSError:
                return b""
            if not data:
                return b""
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line + b"\n"

    def say(self, line: bytes) -> None:
        """Write a line to whoever grades."""
        while line:
            line = line[os.write(self.outlet, line) :]

    def end(self) -> None:
        """End the runner, and all that it started."""
        if self.channel is not None:
            self.channel.close()
            with contextlib.suppress(OSError):
                os.killpg(self.group, signal.SIGKILL)
        self.channel, self.runner, self.rest = None, b"", b""
        self.tidy()

    def tidy(self) -> None:
        """End every process but the runner: of those that can be seen; or that came to this one, as orphans do."""
        for _ in range(ROUNDS):
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            others = _others() - {self.runner}
            if not others:
                return
            for name in others:
                with contextlib.suppress(OSError):
                    os.kill(int(name), signal.SIGKILL)


def _others() -> set[bytes]:
    """The processes that are the learner's, as /proc names them."""
    try:
        if ALONE:
            return {name for name in os.listdir(b"/proc") if name.isdigit() and name != b"1"}  # noqa: PTH208
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as children:  # noqa: PTH123
            return set(children.read().split())
    except OSError:  # no Linux
        return set()


def _line(message: Message) -> bytes:
    return dumps(message).encode("ascii") + b"\n"


# The runner


class Channel:
    """The runner's way to the supervisor."""

    def __init__(self, channel: socket.socket, sign: bytes) -> None:
        self._channel, self._sign, self.lines = channel, sign, channel.makefile("rb")

    def send(self, line: bytes) -> None:
        """Send a line of the runner's own."""
        self._channel.sendall(self._sign + line)


def run(channel: Channel, request: Message, careful: bool) -> None:
    """Run the cells, tell which functions there are, and answer calls."""
    limit(request.get("limits") or {})
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    namespace = vars(module)
    namespace |= {"display": lambda *_, **__: None, "get_ipython": lambda: None}
    for text in request["given"]:
        perform(text, "given", namespace, only=GIVES)
    cells = Cells(request["cells"], namespace, request["seconds"], careful)
    cells.run()
    for module_name, _ in request["engines"]:
        with contextlib.suppress(Exception):
            import_module(module_name)
    checkpoint(lambda: None, request["seconds"])  # whose threads go on are those of the copy
    told = {name: shape(value) for name, value in list(namespace.items()) if name in request["names"]}
    known = [n for n, v in list(namespace.items()) if isinstance(n, str) and type(v) is types.FunctionType]
    channel.send(b"%d\n" % os.getpid())
    channel.send(_line({"functions": told, "known": known[:NOTES], "cells": cells.failed[:NOTES]}))
    engine: list[str] = []
    with contextlib.ExitStack() as guard:
        for line in channel.lines:
            request = loads(line)
            if request["engine"] != engine:  # once a task, and not in each copy: what it writes to are many pages
                engine = request["engine"]
                guard.close()
                guard.enter_context(_guard(engine, namespace))
                gc.freeze()  # a collection in a copy would write to every object, and so copy every page
            answer_in_a_copy(request, namespace, channel)


def limit(limits: Message) -> None:
    """Of memory, processes, files: what the kernel allows each process of the runner's from here on."""
    with contextlib.suppress(ImportError):
        import resource

        for name, most in {"CORE": 0, **limits}.items():
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


class Cells:
    """The learner's cells, and what became of each that failed."""

    def __init__(self, cells: list[str], namespace: dict[str, Any], seconds: float, careful: bool) -> None:
        self.cells, self.namespace, self.seconds, self.careful = cells, namespace, seconds, careful
        self.failed: list[tuple[int, str]] = []
        self.late: list[int] = []  # cells that lacked a name which a later one may have defined

    def run(self) -> None:
        """Run all of them in order, and again those that came before what they need."""
        for number in range(len(self.cells)):
            self.one(number)
        late, self.late = self.late, []
        for number in late:
            self.failed = [found for found in self.failed if found[0] != number]
            self.one(number)

    def one(self, number: int) -> None:
        """One cell; where it ends the process, or does not end, then only what it defines."""
        for careful in (self.careful, True):
            if checkpoint(partial(self.perform, number, careful), self.seconds):
                return
            if not careful:
                self.failed.append((number, f"it {GONE} within {self.seconds:g} s"))

    def perform(self, number: int, careful: bool) -> None:
        """Run a cell in this very process."""
        error = perform(self.cells[number], f"cell {number}", self.namespace, DEFINES if careful else None)
        if error is None:
            return
        if isinstance(error, NameError):
            self.late.append(number)
        self.failed.append((number, said(error)))


def perform(text: str, name: str, namespace: dict[str, Any], only: Any = None) -> BaseException | None:
    """Run a cell statement by statement. After one that fails, only what defines something; the error is returned."""
    body = parsed(text, name)
    if isinstance(body, BaseException):
        return body
    failed: BaseException | None = None
    for node in body:
        if not isinstance(node, only or (DEFINES if failed else ast.stmt)):
            continue
        try:
            exec(compile(ast.Module([node], []), f"<{name}>", "exec", dont_inherit=True), namespace)
        except BaseException as error:  # whatever a learner raises, SystemExit too
            failed = failed or error
    return failed


def parsed(text: str, name: str) -> list[ast.stmt] | BaseException:
    """The statements of a cell; where it is no Python, without what only IPython reads."""
    try:
        return ast.parse(text, f"<{name}>").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        pure = "" if text.lstrip().startswith("%%") else MAGIC.sub(r"\1pass", text)
        return error if pure == text else parsed(pure, name)


def checkpoint(work: Callable[[], None], seconds: float) -> bool:
    """Do it in a copy of this process, which goes on where this one is: True there. False here: the copy is no more.

    This process ends when the copy has done it, so that at each moment there is one that goes on.
    """
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        work()
        os.write(theirs, b".")
        os.close(theirs)
        return True
    os.close(theirs)
    done = select.select([ours], [], [], seconds)[0] and os.read(ours, 1)
    os.close(ours)
    if done:
        os._exit(0)
    os.kill(-1 if ALONE else pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def shape(value: Any) -> list[str] | str:
    """The parameters of a function, or of what type it is."""
    import inspect

    if type(value) is not types.FunctionType:
        return wire.name_of(type(value))
    try:
        return [str(name) for name in inspect.signature(value).parameters]
    except BaseException:  # of an object that says it is one
        return "function without a signature"


# A call


def answer_in_a_copy(request: Message, namespace: dict[str, Any], channel: Channel) -> None:
    """Make the call in a copy of this process; say when that has ended, whether it has answered or not."""
    pid = os.fork()
    if not pid:
        channel.send(_answer(request, namespace, channel))
        os._exit(0)
    os.waitpid(pid, 0)
    channel.send(ENDED + b"\n")


def _answer(request: Message, namespace: dict[str, Any], channel: Channel) -> bytes:
    def ask(number: int, method: str, arguments: list[Any]) -> Any:
        channel.send(_line({"ask": [number, method, wire.encode(arguments)]}))
        return _told(loads(channel.lines.readline()))

    arguments = [wire.decode(one, lambda n: Lent(n, ask)) for one in request["arguments"]]
    lent = lambda value: vars(value)["_number"] if type(value) is Lent else None  # noqa: E731
    try:
        value = namespace[request["call"]](*arguments)
    except Borrowed as error:
        return _line({"failed": "borrowed", "said": str(error)})
    except BaseException as error:
        kind = type(error)
        name = f"{kind.__module__}.{kind.__qualname__}"[:200]
        return _line({"raised": name, "said": said(error, bare=True), "where": _where(error)})
    try:
        found = {"value": wire.encode(value, lent), "arguments": [wire.encode(one, lent) for one in arguments]}
        line = _line(found)
    except (wire.TooLarge, RecursionError, MemoryError):
        return _line({"failed": "large"})
    return line if len(line) <= wire.LINE else _line({"failed": "large"})


class Lent:
    """What a case lends to a function: each use of it is a question to whoever grades, who has the real one."""

    def __init__(self, number: int, ask: Callable[[int, str, list[Any]], Any]) -> None:
        self._number, self._ask = number, ask

    def __call__(self, *arguments: Any) -> Any:
        """Call the real one."""
        return self._ask(self._number, "__call__", list(arguments))

    def __iter__(self) -> Iterator[Any]:
        number = self._ask(self._number, "__iter__", [])
        while found := self._ask(number, "__next__", []):
            yield from found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = self._ask(self._number, f".{name}", [])
        return (lambda *arguments: self._ask(self._number, name, list(arguments))) if found == ("method",) else found


def _told(answer: Message) -> Any:
    if "raised" in answer:
        kind = getattr(builtins, answer["raised"], RuntimeError)
        raise kind(*wire.decode(answer["arguments"]))
    return wire.decode(answer["value"])


@contextlib.contextmanager
def _guard(engine: list[str], namespace: dict[str, Any]) -> Iterator[None]:
    """While it lasts, minidocker's own function cannot be called; as far as it is loaded here at all."""
    module, path = engine
    found: Any = sys.modules.get(module)
    for name in path.split(".") if found else ():
        found = getattr(found, name, None)

    def refuse(*_: Any, **__: Any) -> Any:
        raise Borrowed(f"It calls minidocker's own {path.rpartition('.')[2]}(), which is the very thing to write.")

    with replaced({found: refuse} if callable(found) else {}, namespace):
        yield


def said(error: BaseException, bare: bool = False) -> str:
    """An exception in words, as far as it lets itself be asked."""
    try:
        words = str(error)[:300]
    except BaseException:
        words = "(it cannot be said)"
    return words if bare else f"{type(error).__name__}: {words}"


def _where(error: BaseException) -> str:
    """` (line 3 of apply)`: the last line of the notebook on the way to an exception, from its function's first."""
    trace, found = error.__traceback__, ""
    while trace:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith("<cell "):
            found = f" (line {trace.tb_lineno - code.co_firstlineno + 1} of {code.co_name})"
        trace = trace.tb_next
    return found


def main() -> None:
    """Take standard input and output away from whatever runs here, and serve."""
    inlet, outlet = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    if ALONE:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans that have ended do not count against the limit
    elif sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    Supervisor(inlet, outlet).serve()


if __name__ == "__main__":
    main()
