"""`sh`: the POSIX shell as a program of the simulated runtime (IEEE 1003.1, chapter 2; else as busybox ash does it).

    text -> `syntax.Parser` -> syntax tree -> `Shell.run` -> processes of the `kernel`

Each kind of node has a method of its name here. They are generators, as all that runs in a simulated process: a command
that waits (for a child, for input) lets the other processes go on.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NoReturn

from minidocker.runtime.simulated.expansion import Expansion
from minidocker.runtime.simulated.kernel import INTERRUPT, PATH, QUIT, CannotRun, Process, Task
from minidocker.runtime.simulated.streams import Pipe, Sink, Source, Stream, decode, encode
from minidocker.runtime.simulated.syntax import (
    NAME,
    AndOr,
    Case,
    For,
    Function,
    If,
    Loop,
    Node,
    Parser,
    Pipeline,
    Redirect,
    Redirected,
    Series,
    ShellSyntaxError,
    Simple,
    Subshell,
)

OPTIONS = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f", "allexport": "a", "pipefail": "pipefail"}
SHARED = {"echo", "printf", "test", "[", "true", "false", "kill"}  # programs that need no process of their own
SPECIAL = set(": . source break continue eval exec exit export readonly return set shift times trap unset".split())
Builtin = Callable[["Shell", list[str]], Any]  # an exit code, None for 0, or a Task


class Exit(Exception):
    """`exit`, also by `set -e`; runs the EXIT trap."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Return(Exit):
    """`return`."""


class Jump(Exception):
    """`break` and `continue` out of so many loops."""

    def __init__(self, levels: int, again: bool) -> None:
        super().__init__(levels)
        self.levels, self.again = levels, again


def quote(text: str) -> str:
    """A word as one could type it: `quote("a b") == "'a b'"`."""
    if re.fullmatch(r"[\w%+,./:=@^-]+", text, re.ASCII):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"


class Shell:
    """The state of one shell, in its process."""

    def __init__(
        self, process: Process, builtins: Mapping[str, Builtin], name: str = "sh", arguments: Sequence[str] = ()
    ) -> None:
        self.process, self.builtins, self.name, self.arguments = process, builtins, name, list(arguments)
        self.variables = {name: value for name, value in process.env.items() if NAME.fullmatch(name)}
        level = self.variables.get("SHLVL", "0")
        self.variables |= {"PWD": process.files.cwd, "SHLVL": str(int(level) + 1 if level.isdigit() else 1)}
        self.exported = set(self.variables)
        self.variables |= {
            "IFS": " \t\n",
            "PPID": str(process.parent.pid if process.parent else 0),
        }
        self.variables.setdefault("PATH", PATH)
        self.readonly: set[str] = set()
        self.functions: dict[str, Node] = {}
        self.options: set[str] = set()
        self.traps: dict[str, str] = {}
        self.locals: list[dict[str, tuple[str | None, bool]]] = []
        self.jobs: dict[int, Process] = {}
        self.job, self.shell_pid = "", process.pid
        self.status = self.output_status = 0
        self.tested = self.loops = 0  # how many conditions and loops we are in
        self.bash = False
        self.expand = Expansion(self)

    def fork(self) -> Shell:
        """The same shell in a process of its own: a subshell."""
        child = Shell.__new__(Shell)
        child.__dict__.update(self.__dict__)
        child.process = self.process.fork()
        for name in ("variables", "exported", "readonly", "functions", "options", "arguments", "locals"):
            setattr(child, name, getattr(self, name).copy())
        child.traps, child.jobs = {name: action for name, action in self.traps.items() if not action}, {}
        child.expand = Expansion(child)
        return child

    # Running text and trees

    def main(self, task: Task) -> Task:
        """Run something as the whole life of this shell's process, with the EXIT trap at its end."""
        try:
            status: int = yield from self.until_exit(task)
            if action := self.traps.pop("EXIT", ""):
                self.status = status
                after = yield from self.until_exit(self.text(action), keep=True)
                status = status if after is None else after
        finally:
            for job in self.jobs.values():
                job.parent = None
        return status

    def until_exit(self, task: Task, keep: bool = False) -> Generator[bool, None, Any]:
        """Run on until `exit`. With `keep`, None where there was no `exit`."""
        try:
            status = yield from task
        except Exit as leave:
            return leave.status
        except Jump:
            return 0
        return None if keep else status

    def text(self, text: str) -> Task:
        """Run a program line by line, as `eval` and scripts are; a syntax error ends the shell with 2."""
        parser = Parser(text, self.bash)
        self.status = self.status if text.strip() else 0
        while True:
            try:
                node = parser.line()
            except ShellSyntaxError as error:
                self.fatal(str(error))
            if node is None:
                return self.status
            yield from self.run(node)

    def run(self, node: Node) -> Task:
        """Run one node; between commands, signals and the other processes have their turn."""
        if self.process.kernel.due():
            yield True
        method: Callable[[Any], Task] = getattr(self, f"run_{type(node).__name__.lower()}")
        status = self.status = yield from method(node)
        if self.process.pending:
            yield from self.answer_signals()
        fails = isinstance(node, Simple | Subshell) or (isinstance(node, Pipeline) and not node.negated)
        if status and fails and "e" in self.options and not self.tested:
            raise Exit(status)
        return status

    def answer_signals(self) -> Generator[bool, None, None]:
        """Run the traps of the signals that came."""
        status = self.status
        while self.process.pending:
            signum = self.process.pending.pop(0)
            yield from self.text(self.process.handlers.get(signum, ""))
        self.status = status

    def fatal(self, message: str) -> NoReturn:
        """An error after which POSIX has the shell stop."""
        self.error(message)
        raise Exit(2)

    def error(self, message: str) -> None:
        """Say what is wrong, as `sh: x: not found`."""
        self.process.err(f"{self.name}: {message}")

    # Variables

    def parameter(self, name: str) -> str | None:
        """The value of a variable, positional or special parameter; None when it is not set."""
        if name.isdigit():
            number = int(name)
            return self.name if not number else self.arguments[number - 1] if number <= len(self.arguments) else None
        special = {
            "?": lambda: str(self.status),
            "$": lambda: str(self.shell_pid),
            "#": lambda: str(len(self.arguments)),
            "!": lambda: self.job,
            "-": lambda: "".join(sorted(option for option in self.options if len(option) == 1)),
            "@": lambda: " ".join(self.arguments),
            "*": lambda: self.variables.get("IFS", " ")[:1].join(self.arguments),
        }
        return special[name]() if name in special else self.variables.get(name)

    def assign(self, name: str, value: str) -> None:
        """Set a variable."""
        if name in self.readonly:
            self.fatal(f"{name}: is read only")
        self.variables[name] = value
        if "a" in self.options:
            self.exported.add(name)
        if name == "PATH":
            self.process.env["PATH"] = value

    def environment(self) -> dict[str, str]:
        """What a child gets."""
        return {name: self.variables[name] for name in sorted(self.exported) if name in self.variables}

    def output(self, body: Node | None) -> Generator[bool, None, str]:
        """`$(…)`: what a subshell prints, without the newlines at its end."""
        self.output_status = 0
        if body is None:
            return ""
        child, sink = self.fork(), Sink()
        child.process.attach(1, sink)
        child.process.start(child.main(child.run(body)))
        self.output_status = yield from self.process.wait(child.process)
        return decode(bytes(sink.content).replace(b"\0", b"")).rstrip("\n")

    # Compound commands

    def run_series(self, node: Series) -> Task:
        """`a; b & c`."""
        status = 0
        for item, background in node.items:
            if background:
                status = self.background(item)
            else:
                status = yield from self.run(item)
        return status

    def background(self, node: Node) -> int:
        """`a &`: its input is empty, and Ctrl-C is not for it."""
        child = self.fork()
        child.process.attach(0, Source())
        child.process.handlers |= {INTERRUPT: "", QUIT: ""}
        self.jobs[child.process.pid] = child.process.start(child.main(child.run(node)))
        self.job = str(child.process.pid)
        return 0

    def run_andor(self, node: AndOr) -> Task:
        """`a && b`, `a || b`."""
        status = yield from self.condition(node.left)
        if (node.op == "&&") == (status == 0):
            status = yield from self.run(node.right)
        return status

    def condition(self, node: Node) -> Task:
        """Run something whose failure is an answer, so that `set -e` does not count it."""
        self.tested += 1
        try:
            return (yield from self.run(node))
        finally:
            self.tested -= 1

    def run_pipeline(self, node: Pipeline) -> Task:
        """`a | b`: every command is a process, all at the same time."""
        if len(node.commands) == 1:
            return int(not (yield from self.condition(node.commands[0])))
        children: list[Process] = []
        outlet: Stream | None = None
        for number, command in enumerate(node.commands):
            child = self.fork()
            child.tested += node.negated
            if outlet:
                child.process.attach(0, outlet)
            if number + 1 < len(node.commands):
                pipe = Pipe()
                child.process.attach(1, pipe)
                outlet = pipe.outlet
            children.append(child.process.start(child.main(child.run(command))))
        statuses = []
        for process in children:
            statuses.append((yield from self.process.wait(process)))
        failed = [status for status in statuses if status]
        status = failed[-1] if failed and "pipefail" in self.options else statuses[-1]
        return int(not status) if node.negated else status

    def run_subshell(self, node: Subshell) -> Task:
        """`( a )`."""
        child = self.fork()
        child.process.start(child.main(child.run(node.body)))
        return (yield from self.process.wait(child.process))

    def run_if(self, node: If) -> Task:
        """`if a; then b; elif c; then d; else e; fi`."""
        for condition, body in node.branches:
            if not (yield from self.condition(condition)):
                return (yield from self.run(body))
        return (yield from self.run(node.otherwise)) if node.otherwise else 0

    def run_loop(self, node: Loop) -> Task:
        """`while a; do b; done`."""
        status = 0
        self.loops += 1
        try:
            while True:
                if self.process.kernel.due():
                    yield True
                try:
                    if bool((yield from self.condition(node.condition))) != node.until:
                        return status
                    status = yield from self.run(node.body)
                except Jump as jump:
                    status = 0
                    if self.leaves(jump):
                        return 0
        finally:
            self.loops -= 1

    def leaves(self, jump: Jump) -> bool:
        """Whether a `break` or `continue` ends this loop; one for an outer loop goes on."""
        if jump.levels > 1 and self.loops > 1:
            jump.levels -= 1
            raise jump
        return not jump.again

    def run_for(self, node: For) -> Task:
        """`for x in a b; do c; done`."""
        values = list(self.arguments) if node.words is None else (yield from self.expand.arguments(node.words))
        status = 0
        self.loops += 1
        try:
            for value in values:
                self.assign(node.name, value)
                try:
                    status = yield from self.run(node.body)
                except Jump as jump:
                    status = 0
                    if self.leaves(jump):
                        break
        finally:
            self.loops -= 1
        return status

    def run_case(self, node: Case) -> Task:
        """`case x in a|b) c;; esac`."""
        subject = yield from self.expand.string(node.word)
        for patterns, body in node.branches:
            for pattern in patterns:
                if (yield from self.expand.field(pattern)).matches(subject):
                    return (yield from self.run(body))
        return 0

    def run_function(self, node: Function) -> Task:
        """`f() { a; }`."""
        self.functions[node.name] = node.body
        return 0
        yield

    def run_redirected(self, node: Redirected) -> Task:
        """`{ a; } > f`."""
        try:
            saved = yield from self.redirect(node.redirects)
        except OSError as error:
            return self.redirect_error(error)
        try:
            return (yield from self.run(node.body))
        finally:
            self.restore(saved)

    # Redirections

    def redirect(self, redirects: Sequence[Redirect]) -> Generator[bool, None, list[tuple[int, Stream | None]]]:
        """Open and connect; what the descriptors were before, to `restore`."""
        saved: list[tuple[int, Stream | None]] = []
        try:
            for redirect in redirects:
                target = yield from self.expand.string(redirect.word)
                stream = self.target(redirect, target)
                both = redirect.op == "&>"
                for fd in (1, 2) if both else (redirect.fd,):
                    self.save(saved, fd)
                    if stream is None:
                        self.process.detach(fd)
                    else:
                        self.process.attach(fd, stream)
        except BaseException:
            self.restore(saved)
            raise
        return saved

    def target(self, redirect: Redirect, target: str) -> Stream | None:
        """What a redirection leads to; None closes."""
        op = redirect.op
        if op in ("<<", "<<-", "<<<"):
            return Source(encode(target + "\n" * (op == "<<<")))
        if op in (">&", "<&") and target == "-":
            return None
        if op in (">&", "<&") and target.isdigit():
            return self.process.stream(int(target))
        if op == "<":
            return self.process.open(target)
        return self.process.open(target, "a" if op == ">>" else "w")

    def save(self, saved: list[tuple[int, Stream | None]], fd: int) -> None:
        """Remember what a descriptor is, and keep it open."""
        stream = self.process.fds.get(fd)
        if stream:
            stream.refs += 1
        saved.append((fd, stream))

    def restore(self, saved: list[tuple[int, Stream | None]], keep: bool = False) -> None:
        """Put the descriptors back; with `keep` (`exec >f`) only forget what they were."""
        for fd, stream in reversed(saved):
            if not keep:
                self.process.detach(fd) if stream is None else self.process.attach(fd, stream)
            if stream:
                stream.refs -= 1
                if not stream.refs:
                    stream.close()

    def redirect_error(self, error: OSError) -> int:
        """A redirection that failed: the command does not run."""
        what = "can't open " if error.errno == errno.ENOENT else ""
        self.error(f"{what}{error.filename or 'bad file descriptor'}: {error.strerror}")
        return 1

    # Simple commands

    def run_simple(self, node: Simple) -> Task:
        """`A=1 name words >redirect`."""
        self.output_status = 0
        words = yield from self.expand.arguments(node.words)
        assigns: list[tuple[str, str]] = []
        for name, word in node.assigns:
            assigns.append((name, (yield from self.expand.string(word))))
            if not words:
                self.assign(*assigns[-1])
        if "x" in self.options and (words or assigns):
            self.trace(assigns, words)
        try:
            saved = yield from self.redirect(node.redirects)
        except OSError as error:
            self.redirect_error(error)
            if words and words[0] in SPECIAL:
                raise Exit(2) from None
            return 1
        if not words:
            self.restore(saved)
            return self.output_status
        keep = words[0] == "exec"
        try:
            return (yield from self.command(words, assigns))
        finally:
            self.restore(saved, keep)

    def trace(self, assigns: list[tuple[str, str]], words: list[str]) -> None:
        """`set -x`."""
        shown = [f"{name}={quote(value) if value else ''}" for name, value in assigns] + [quote(word) for word in words]
        self.process.err("+ " + " ".join(shown))

    def command(self, words: list[str], assigns: list[tuple[str, str]], functions: bool = True) -> Task:
        """A function, a builtin or a program."""
        name = words[0]
        if functions and name in self.functions:
            return (yield from self.with_variables(assigns, self.call(self.functions[name], words[1:])))
        if name in self.builtins:
            if name in SPECIAL:
                for variable, value in assigns:
                    self.assign(variable, value)
                    self.exported |= {variable} if name == "exec" else set()
                return (yield from self.builtin(words))
            return (yield from self.with_variables(assigns, self.builtin(words)))
        if name in SHARED:
            return (yield from self.process.kernel.perform(self.process, name, words[1:]))
        return (yield from self.program(words, assigns))

    def builtin(self, words: list[str]) -> Task:
        """A command that works on the shell itself."""
        try:
            result = self.builtins[words[0]](self, words[1:])
            status = (yield from result) if isinstance(result, Generator) else result
        except OSError as error:
            self.error(f"{words[0]}: {error.filename}: {error.strerror}")
            status = 1
        yield from self.process.flush()
        return int(status or 0)

    def with_variables(self, assigns: list[tuple[str, str]], task: Task) -> Task:
        """Run with variables that are set, and exported, for this long only."""
        before = [(name, self.variables.get(name), name in self.exported) for name, _ in assigns]
        for name, value in assigns:
            self.assign(name, value)
            self.exported.add(name)
        try:
            return (yield from task)
        finally:
            self.reset(before)

    def reset(self, before: Sequence[tuple[str, str | None, bool]]) -> None:
        """Put variables back: name, value, exported."""
        for name, value, exported in before:
            self.variables.pop(name, None)
            if value is not None:
                self.variables[name] = value
            (self.exported.add if exported else self.exported.discard)(name)

    def call(self, body: Node, arguments: list[str]) -> Task:
        """Call a function."""
        before, self.arguments = self.arguments, arguments
        loops, self.loops = self.loops, 0
        self.locals.append({})
        try:
            return (yield from self.run(body))
        except Return as back:
            return back.status
        finally:
            self.reset([(name, *saved) for name, saved in self.locals.pop().items()])
            self.arguments, self.loops = before, loops

    def program(self, words: list[str], assigns: list[tuple[str, str]]) -> Task:
        """A program: fork, exec, wait."""
        child = self.process.fork(words)
        child.env = self.environment() | dict(assigns)
        try:
            task = self.execute(child, words)
        except CannotRun as error:
            self.error(f"{words[0]}: {error.reason}")
            child.end(error.code)
            return error.code
        return (yield from self.process.wait(child.start(task)))

    def execute(self, process: Process, words: list[str]) -> Task:
        """`execve`, and if that is no known kind of program, a script for this shell."""
        try:
            return process.kernel.program(process, words)
        except CannotRun as error:
            if not error.path:
                raise
            script = Shell(process, self.builtins, error.path, words[1:])
            return script.main(script.text(decode(process.files.read(error.path))))
