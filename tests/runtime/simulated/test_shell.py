"""The simulated shell does what real shells do: each snippet runs here, in dash and in busybox, and all must agree."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidocker.runtime.simulated.applets import COMMANDS
from minidocker.runtime.simulated.files import Files, Mounts
from minidocker.runtime.simulated.kernel import PATH, STUB, Kernel, Process
from minidocker.runtime.simulated.streams import Sink, Source
from minidocker.runtime.simulated.syntax import Parser, ShellSyntaxError
from minidocker.tree import Tree, directory, file
from minidocker.union import Union

Result = tuple[str, int]
ACCOUNTS = {"/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "/etc/group": b"root:x:0:\n"}


class Machine:
    """A simulated machine that has every command of ours, and runs scripts in `/w`."""

    def __init__(self) -> None:
        entries = {f"/bin/{name}": file(STUB + name.encode(), 0o755) for name in COMMANDS}
        entries |= {path: file(text) for path, text in ACCOUNTS.items()}
        entries |= {"/tmp": directory(0o1777), "/w": directory(), "/bin/vi": file(b"\x7fELF\0", 0o755)}
        self.view = Union(lower=Tree(entries))

    def run(self, script: str, *args: str, shell: str = "sh", uid: int = 0) -> tuple[str, str, int]:
        """Standard output, standard error, exit code."""
        kernel = Kernel(COMMANDS)
        files = Files(Mounts(self.view), "/w", uid, uid)
        process = Process(kernel, None, [shell], {"PATH": PATH, "HOME": "/root"}, files)
        out, err = Sink(), Sink()
        for fd, stream in enumerate((Source(), out, err)):
            process.attach(fd, stream)
        process.start(kernel.program(process, [shell, "-c", script, *args]))
        code = kernel.run(process)
        return out.content.decode(), err.content.decode(), code


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a link to busybox for each of its commands."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    folder = tmp_path_factory.mktemp("busybox")
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (folder / name).symlink_to(busybox)
    return folder


@pytest.fixture
def real(tools: Path, tmp_path: Path) -> Callable[[list[str], str], Result]:
    """Run a snippet in a real shell, in an empty folder."""

    def run(shell: list[str], script: str) -> Result:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        done = subprocess.run(
            [*shell, "-c", "umask 022\n" + script],
            cwd=folder,
            env={"PATH": str(tools), "HOME": "/root"},
            capture_output=True,
            text=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout, done.returncode

    return run


def snippets(*sections: str) -> list[str]:
    """The snippets of `snippets.txt` in some of its sections."""
    parts = (Path(__file__).parent / "snippets.txt").read_text(encoding="utf-8").split("== ")
    texts = {name: text for name, _, text in (part.partition("\n") for part in parts)}
    return [case.strip("\n") for section in sections for case in texts[section].split("\n%%\n")]


SHELL = snippets("grammar", "expansion", "state", "redirection")


@pytest.mark.parametrize("script", SHELL)
def test_the_shell_agrees_with_dash(script: str, machine: Machine, real: Callable[[list[str], str], Result]) -> None:
    dash = shutil.which("dash")
    if dash is None:
        pytest.skip("dash is not installed")
    out, _, code = machine.run(script)
    assert (out, code) == real([dash], script)


@pytest.mark.parametrize("script", SHELL + snippets("files", "text", "busybox"))
def test_shell_and_commands_agree_with_busybox(
    script: str, machine: Machine, real: Callable[[list[str], str], Result]
) -> None:
    out, _, code = machine.run(script)
    assert (out, code) == real(["busybox", "sh"], script)


NAMES = st.sampled_from(["a", "b", "n"])
VALUES = {"a": "7", "b": "-3", "n": "0"}
ARITHMETIC = st.recursive(
    st.one_of(st.integers(0, 999).map(str), NAMES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+ - * / % < > <= >= == != & | ^ && ||".split()), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        st.tuples(st.sampled_from("-!~"), inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} ? {three[1]} : {three[2]})"),
    ),
    max_leaves=8,
)


@given(st.lists(ARITHMETIC, min_size=8, max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arithmetic_agrees_with_dash(real: Callable[[list[str], str], Result], expressions: list[str]) -> None:
    if shutil.which("dash") is None:
        pytest.skip("dash is not installed")
    given = "".join(f"{name}={value};" for name, value in VALUES.items())
    script = given + "".join(f"(echo $(( {expression} ))) 2>/dev/null; echo $?\n" for expression in expressions)
    out, _, code = Machine().run(script)
    assert (out, code) == real([str(shutil.which("dash"))], script)


PATTERN = st.text("ab*?./", min_size=1, max_size=4)


@given(st.lists(st.tuples(st.text("ab./ ", max_size=8), PATTERN), min_size=10, max_size=10))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_trimming_agrees_with_dash(real: Callable[[list[str], str], Result], pairs: list[tuple[str, str]]) -> None:
    if shutil.which("dash") is None:
        pytest.skip("dash is not installed")
    script = "set -f\n" + "".join(
        f"x='{value}'; printf '<%s>' \"${{x#{pattern}}}\" \"${{x##{pattern}}}\" "
        f"${{x%{pattern}}} ${{x%%{pattern}}} $x; echo\n"
        for value, pattern in pairs
    )
    out, _, code = Machine().run(script)
    assert (out, code) == real([str(shutil.which("dash"))], script)


@given(st.text("ab'\"$`(){}|&;<>\\ \n#=*~!", max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_program_or_a_syntax_error(text: str) -> None:
    parser = Parser(text)
    try:
        while parser.line() is not None:
            pass
    except ShellSyntaxError as error:
        assert str(error).startswith("syntax error")


# What has no oracle


def test_what_is_bash_s_is_refused_by_name(machine: Machine) -> None:
    for script, name in (
        ("a=(1 2)", "arrays"),
        ("cat <<< x", "<<<"),
        ("if [[ a = a ]]; then :; fi", "[["),
        ("getopts a: x", "getopts"),
        ("echo ${x//a/b}", "bad substitution"),
        ("echo $((x++))", "assignments"),
    ):
        _, err, code = machine.run(script)
        assert code == 2
        assert name in err


def test_a_here_string_is_bash_s(machine: Machine) -> None:
    assert machine.run('read -r a b <<< "foo bar baz"; echo "$b"', shell="bash")[0] == "bar baz\n"


def test_a_program_that_is_no_command_of_ours_is_refused_by_name(machine: Machine) -> None:
    _, err, code = machine.run("vi /etc/passwd")
    assert code == 127
    assert "cannot run 'vi'" in err
    assert "minidocker doctor" in err


def test_an_option_that_a_command_has_not_is_refused_by_name(machine: Machine) -> None:
    _, err, code = machine.run("ls --hyperlink")
    assert code == 1
    assert "hyperlink" in err


def test_awk_is_refused_where_it_is_more_than_printing(machine: Machine) -> None:
    _, err, code = machine.run("echo 1 | awk '{ sum += $1 } END { print sum }'")
    assert code == 1
    assert "only prints fields" in err


def test_set_x_shows_what_runs(machine: Machine) -> None:
    assert machine.run("set -x; a=1; echo $a 'b c'")[1] == "+ a=1\n+ echo 1 'b c'\n"


def test_users_and_groups_become_lines(machine: Machine) -> None:
    script = (
        "addgroup -S app && adduser -S -G app -H app && groupadd staff && useradd -m -s /bin/sh -G staff joe && id joe"
    )
    out, err, code = machine.run(script)
    assert (err, code) == ("", 0)
    assert "joe" in out
    passwd = machine.view.read("/etc/passwd").decode().splitlines()
    assert passwd[1] == "app:x:100:100::/home/app:/bin/false"
    assert passwd[2].startswith("joe:x:1000:")
    assert machine.view.stat("/home/joe").uid == 1000
    assert not machine.view.exists("/home/app")


def test_a_user_has_only_its_rights(machine: Machine) -> None:
    out, _, code = machine.run("touch /w/no; echo $?; cat /etc/passwd >/dev/null && touch /tmp/mine; echo $?", uid=1000)
    assert (out, code) == ("1\n0\n", 0)
    assert machine.view.stat("/tmp/mine").uid == 1000
    machine.view.write("/tmp/root", b"")
    assert machine.run("rm -f /tmp/root", uid=1000)[2] == 1  # the sticky bit


def test_a_script_without_an_end_is_stopped_by_recursion_not_by_a_crash(machine: Machine) -> None:
    assert machine.run("f() { f; }; f")[2] == 2


def test_the_machine_itself_is_in_no_layer(machine: Machine) -> None:
    machine.run("echo x > /dev/null; echo 1.2.3.4 me >> /etc/hosts; cat /etc/hosts; echo y > /dev/shm/y; ls /proc /sys")
    assert list(machine.view.changes()) == []
