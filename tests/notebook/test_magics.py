"""The magics: a cell that is a Dockerfile, docker's command line in a cell, errors that fit on a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.engine import Engine
from minidocker.errors import BuildError
from minidocker.notebook import lessons, magics

interactive = pytest.importorskip("IPython.core.interactiveshell")


class Shown:
    """What `display` was asked to show, version by version."""

    def __init__(self) -> None:
        self.updates: list[Any] = []

    def update(self, thing: Any) -> None:
        self.updates.append(thing)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIDOCKER_RUNTIME", "simulated")
        patch.setenv("SOURCE_DATE_EPOCH", "1")
        engine, folder = lessons.lesson("test")
        (folder / "a.txt").write_bytes(b"a\n")
        yield engine
        lessons.close_lesson("test")


@pytest.fixture(scope="module")
def shell(engine: Engine) -> Iterator[Any]:
    shell = interactive.InteractiveShell.instance()
    shell.reset()
    shell.run_line_magic("load_ext", "minidocker")
    shell.user_ns |= {"engine": engine, "folder": engine.root.parent / "folder"}
    yield shell
    interactive.InteractiveShell.clear_instance()


def run(shell: Any, cell: str) -> Any:
    result = shell.run_cell(cell)
    result.raise_error()
    return result.result


def test_a_cell_is_a_dockerfile(shell: Any, engine: Engine) -> None:
    build = run(shell, "%%dockerfile -t app {folder}\nFROM scratch\nCOPY a.txt /\nENV A=1")
    assert [step.text for step in build.steps] == ["FROM scratch", "COPY a.txt /", "ENV A=1"]
    assert engine.images.get("app").tree()["/a.txt"].data.read() == b"a\n"
    assert "COPY a.txt /" in str(build)


def test_several_names_arguments_and_a_stage(shell: Any, engine: Engine) -> None:
    cell = "FROM scratch AS one\nARG V\nLABEL v=$V\nFROM scratch\nLABEL v=other"
    run(shell, f"%%dockerfile -t app --tag=app:2 --build-arg V=7 --target one\n{cell}")
    assert engine.images.get("app") == engine.images.get("app:2")
    assert engine.images.get("app").labels == {"v": "7"}


def test_without_a_folder_there_is_nothing_to_copy(shell: Any) -> None:
    with pytest.raises(magics.Complaint, match=r"a\.txt"):
        run(shell, "%%dockerfile\nFROM scratch\nCOPY a.txt /")


def test_the_cache_says_why(shell: Any) -> None:
    run(shell, "%%dockerfile {folder}\nFROM scratch\nCOPY a.txt /")
    (Path(shell.user_ns["folder"]) / "a.txt").write_bytes(b"b\n")
    build = run(shell, "%%dockerfile {folder}\nFROM scratch\nCOPY a.txt /")
    assert "a.txt changed" in str(build)
    (Path(shell.user_ns["folder"]) / "a.txt").write_bytes(b"a\n")


def test_the_ladder_grows_while_it_builds_and_is_gone_at_the_end(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython import display

    shown = Shown()
    monkeypatch.setattr(display, "display", lambda *_, **__: shown)
    run(shell, "%%dockerfile {folder}\nFROM scratch\nCOPY a.txt /\nENV A=1")
    twins = [getattr(update, "twin", "") for update in shown.updates]
    assert [len(re.findall("HIT|MISS", twin)) for twin in twins if twin][-1] == 3
    assert "2 to go" in "".join(twins)
    assert twins[-1] == ""


def test_an_error_of_the_dockerfile_marks_its_line(shell: Any) -> None:
    with pytest.raises(magics.Complaint) as caught:
        run(shell, "%%dockerfile\nFROM scratch\nCOPYY a b\nENV A=1")
    assert "→   2 │ COPYY a b" in str(caught.value)
    assert caught.value._render_traceback_() == [str(caught.value)]


def test_a_step_that_fails_marks_its_line_and_shows_what_was_said(shell: Any) -> None:
    with pytest.raises(magics.Complaint) as caught:
        run(shell, "%%dockerfile\nFROM minidocker/base\nRUN true\n\nRUN echo alas && exit 3\nENV A=1")
    assert "→   4 │ RUN echo alas && exit 3" in str(caught.value)
    assert "alas" in str(caught.value) and "3" in str(caught.value)


def test_a_cell_is_checked_and_not_built(shell: Any, engine: Engine) -> None:
    shown = run(shell, "%%dockerfile --check -t checked\nFROM scratch as web\nCOPY $x /\nCMD run")
    assert shown.twin.splitlines()[:4] == [
        "3 warnings",
        "→ 1 │ FROM scratch as web",
        "        FromAsCasing: 'as' and 'FROM' keywords' casing do not match",
        "→ 2 │ COPY $x /",
    ]
    assert not engine.images.list("checked")
    with pytest.raises(magics.Complaint, match="→   2 │ COPYY"):
        run(shell, "%%dockerfile --check\nFROM scratch\nCOPYY a b")


@pytest.mark.parametrize("line", ["--tag", "--nonsense", "a b", "-t app --squash"])
def test_a_wrong_option_shows_the_usage(shell: Any, line: str) -> None:
    with pytest.raises(Exception, match="Usage: %%dockerfile"):
        run(shell, f"%%dockerfile {line}\nFROM scratch")


def test_docker_in_a_cell(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, "%docker run --rm minidocker/base echo hello")
    assert capsys.readouterr().out == "hello\n"
    run(shell, '%docker images --format "{{.Repository}} {{.Tag}}" minidocker/base')
    assert capsys.readouterr().out == "minidocker/base latest\n"


def test_a_variable_of_the_notebook_in_a_docker_command(shell: Any, engine: Engine) -> None:
    Path(shell.user_ns["folder"], "Dockerfile").write_bytes(b"FROM scratch\nCOPY a.txt /\n")
    run(shell, "%docker build -q -t app {folder}")
    assert engine.images.get("app").tags == ["app:latest"]


def test_a_programs_own_exit_code_is_told_and_a_failed_command_complains(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run(shell, "%docker run --rm minidocker/base sh -c 'exit 7'")
    assert "(exit code 7)" in capsys.readouterr().err
    with pytest.raises(magics.Complaint, match="exit code 1"):
        run(shell, "%docker rmi nowhere")
    assert "No such image: nowhere" in capsys.readouterr().err


def test_errors_of_the_engine_are_short_in_a_notebook(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    result = shell.run_cell("engine.images.get('nowhere')")
    assert type(result.error_in_exec).__name__ == "ImageNotFound"
    assert capsys.readouterr().out.strip().splitlines() == ["ImageNotFound: No such image: nowhere:latest"]


def test_objects_draw_themselves_in_a_notebook(shell: Any, engine: Engine) -> None:
    run(shell, "%%dockerfile -t app {folder}\nFROM scratch\nCOPY a.txt /")
    for thing in (engine.images.get("app"), engine, engine.containers.create("app", "x")):
        data, _ = shell.display_formatter.format(thing)
        assert "<svg" in data["text/html"] and data["text/plain"].strip()


def test_stages_that_are_built_together_each_have_their_rung_and_the_one_that_failed_is_marked(engine: Engine) -> None:
    progress = magics.Progress("app")
    progress.handle = shown = Shown()
    text = "FROM minidocker/base AS one\nRUN sleep 60\nFROM minidocker/base AS two\nENV A=1\n"
    text += "RUN sleep 1; echo oh; exit 2\nFROM scratch\nCOPY --from=one / /\nCOPY --from=two / /\n"
    with pytest.raises(BuildError):
        engine.images.build(text=text, on_event=progress)
    assert any("  …    RUN sleep 60\n  …    RUN sleep 1; echo oh; exit 2" in str(one) for one in shown.updates)
    assert (progress.line(text), progress.said) == (5, ["oh\n"])
