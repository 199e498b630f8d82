"""`--progress`: what BuildKit shows of a build, on a terminal, in lines, and for programs."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from minidocker.cli.plain import Plain, Quiet
from minidocker.cli.progress import Progress, printable, show
from minidocker.cli.rawjson import RawJSON
from minidocker.cli.terminal import Terminal

APART = """FROM minidocker/base AS one
ENV A=1
RUN echo first; sleep 0.3; echo last; echo 1 > /tmp/one
FROM minidocker/base AS two
RUN sleep 0.1; echo two > /tmp/two
FROM scratch
COPY --from=one /tmp/one /
COPY --from=two /tmp/two /
"""


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(folder: Path, text: str) -> str:
    (folder / "Dockerfile").write_text(text)
    return str(folder)


def steady(text: str) -> list[str]:
    """Lines without what differs from one time to the next: seconds and digests."""
    return re.sub(r"sha256:\w{64}", "sha256:…", re.sub(r"\d+\.\d+(s| )", r"N\1", text)).splitlines()


def test_plain_lines_are_buildkits(cli: Any, tmp_path: Path) -> None:
    folder = written(tmp_path, "FROM minidocker/base\nENV A=1\nRUN echo hi; echo there\nWORKDIR /made\n")
    done = cli("build", "--no-cache", "--progress", "plain", "-t", "shown", folder)
    assert done.out == ""
    assert steady(done.err) == [
        "#1 [1/3] FROM docker.io/minidocker/base:latest",
        "#1 CACHED",
        "",
        "#2 [2/3] RUN echo hi; echo there",
        "#2 N hi",
        "#2 N there",
        "#2 DONE Ns",
        "",
        "#3 [3/3] WORKDIR /made",
        "#3 DONE Ns",
        "",
        "#4 exporting to image",
        "#4 writing image sha256:… done",
        "#4 naming to docker.io/library/shown:latest done",
        "#4 DONE Ns",
    ]
    again = steady(cli("build", "-t", "shown", "--build-arg", "X=1", folder).err)
    assert again[3:8] == ["#2 [2/3] RUN echo hi; echo there", "#2 CACHED", "", "#3 [3/3] WORKDIR /made", "#3 CACHED"]
    assert again[-1] == "[Warning] One or more build-args [X] were not consumed"
    cli.ok("rmi", "shown")


def test_a_step_says_why_it_is_built_again(cli: Any, tmp_path: Path) -> None:
    cli.ok("build", written(tmp_path, "FROM minidocker/base\nRUN echo was\n"))
    changed = written(tmp_path, "FROM minidocker/base\nRUN echo is\n")
    assert "#2 miss because line 2 changed: was `RUN echo was`, now `RUN echo is`\n" in cli("build", changed).err


def test_steps_of_stages_that_run_together_take_turns(cli: Any, tmp_path: Path) -> None:
    said = cli("build", "--no-cache", written(tmp_path, APART)).err
    blocks = [block.splitlines() for block in said.strip().split("\n\n")]
    assert all(len({line.split()[0] for line in block}) == 1 for block in blocks), "a block speaks of one step"
    names = {block[0] for block in blocks}
    assert {name.partition(" ")[2] for name in names} >= {
        "[one 2/2] RUN echo first; sleep 0.3; echo last; echo 1 > /tmp/one",
        "[two 2/2] RUN sleep 0.1; echo two > /tmp/two",
        "[stage-2 1/2] COPY --from=one /tmp/one /",
    }
    ends = [line for line in said.splitlines() if re.search(r" (DONE .*s|CACHED)$", line)]
    assert len(ends) == len(set(ends)) == 7
    assert said.index(" first\n") < said.index(" last\n")


def test_a_failure_shows_the_output_once_more_and_stops_the_others(cli: Any, tmp_path: Path) -> None:
    text = (
        APART.replace("echo two >", "echo oh; exit 9;").replace("sleep 0.3", "sleep 60").replace("sleep 0.1", "sleep 1")
    )
    done = cli("build", "--no-cache", "--progress", "plain", written(tmp_path, text))
    assert done.code == 1
    error = 'process "/bin/sh -c sleep 1; echo oh; exit 9; /tmp/two" did not complete successfully: exit code: 9'
    assert re.search(rf"^#\d+ ERROR: {re.escape(error)}$", done.err, re.MULTILINE)
    assert re.search(r"^#\d+ CANCELED$", done.err, re.MULTILINE)
    assert steady(done.err)[-5:] == [
        "------",
        " > [two 2/2] RUN sleep 1; echo oh; exit 9; /tmp/two:",
        "N oh",
        "------",
        f"ERROR: failed to solve: {error}",
    ]


def test_quiet_shows_the_id_alone_unless_it_fails(cli: Any, tmp_path: Path) -> None:
    for words in (["-q"], ["--progress", "quiet"]):
        done = cli("build", *words, written(tmp_path, "FROM minidocker/base\nRUN echo hidden\n"))
        assert (re.fullmatch(r"sha256:\w{64}\n", done.out) is not None, done.err) == (True, "")
    failed = cli("build", "-q", written(tmp_path, "FROM minidocker/base\nRUN echo seen; false\n"))
    assert "seen" in failed.err and failed.out == ""


@pytest.mark.parametrize("mode", ["rawjson", "json"])
def test_raw_json_is_buildkits_solve_status(cli: Any, tmp_path: Path, mode: str) -> None:
    done = cli("build", "--no-cache", "--progress", mode, "-t", "raw", written(tmp_path, APART))
    sent = [json.loads(line) for line in done.err.splitlines()]
    assert {key for status in sent for key in status} == {"vertexes", "logs", "statuses"}
    last = {one["digest"]: one for status in sent for one in status.get("vertexes", [])}
    assert all({"started", "completed"} <= one.keys() for one in last.values())
    names = {one["name"].split("] ")[0]: one for one in last.values()}
    assert [last[digest]["name"].split()[0] for digest in names["[stage-2 2/2"]["inputs"]] == ["[stage-2", "[two"]
    assert "inputs" not in names["[one 1/2"] and names["[one 1/2"]["cached"]
    logs = [one for status in sent for one in status.get("logs", [])]
    assert {one["vertex"] for one in logs} == {names["[one 2/2"]["digest"]}
    assert b"".join(base64.b64decode(one["data"]) for one in logs) == b"first\nlast\n"
    assert "naming to docker.io/library/raw:latest" in {one["id"] for s in sent for one in s.get("statuses", [])}
    cli.ok("rmi", "raw")


def test_raw_json_tells_of_a_failure(cli: Any, tmp_path: Path) -> None:
    done = cli("build", "--progress", "rawjson", written(tmp_path, "FROM minidocker/base\nRUN exit 4\n"))
    sent = [json.loads(line) for line in done.err.splitlines()[:-1]]
    assert sent[-1]["vertexes"][0]["error"].endswith("exit code: 4")
    assert done.err.splitlines()[-1].startswith("ERROR: failed to solve: ")


def test_on_a_terminal_each_step_has_its_line(cli: Any, tmp_path: Path) -> None:
    folder = written(tmp_path, "FROM minidocker/base\nRUN echo climbing; sleep 0.3\n")
    shown = cli("build", "--progress", "tty", "-t", "ladder", folder).err
    final = shown.rpartition("\033[?25l")[2]
    assert re.search(r"\[\+\] Building \d+\.\ds \(3/3\) FINISHED", final)
    assert re.search(r" => \[2/2\] RUN echo climbing; sleep 0\.3 +\d+\.\ds", final)
    assert " => => miss because " in final
    assert final.endswith("\033[J\033[?25h"), "the cursor is back"
    if cli.runtime == "namespaces":
        assert " => => # climbing" in shown, "what a step says while it runs"
    assert " => # climbing" not in final
    assert " => CACHED [2/2] RUN echo climbing; sleep 0.3" in cli("build", "--progress", "tty", folder).err
    cli.ok("rmi", "ladder")


def played(progress: Progress, *events: dict[str, Any]) -> None:
    with progress:
        for event in events:
            progress(event)


BEGIN = {"stream": "Step 1/1 : RUN x", "id": "1", "vertex": {"name": "[1/1] RUN x\033]0;owned\007", "inputs": []}}
EVIL = {"stream": "\033[2J\033]0;owned\007\033c\033[31mred\033[0m\u202egnp\x9b2J\n", "id": "1"}


@pytest.mark.parametrize("kind", [Plain, Terminal])
def test_output_drives_no_terminal(kind: type[Progress]) -> None:
    screen = Screen()
    played(kind(screen), BEGIN, EVIL)
    ours = re.sub(r"\033\[(\?25[lh]|\d*[AKJ]|[\d;]*m)", "", screen.getvalue())
    assert not set(ours) & set("\033\007\x9b\u202e")
    assert "red" in ours


def test_what_is_no_terminal_gets_every_byte() -> None:
    out = io.StringIO()
    played(Plain(out), BEGIN, EVIL)
    assert EVIL["stream"] in out.getvalue()
    assert "#1 [1/1] RUN x?]0;owned?" in out.getvalue(), "but the Dockerfile is one's own to show"


def test_a_small_screen_is_not_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    terminal = Terminal(screen)
    monkeypatch.setattr(terminal, "size", lambda: (30, 8))
    for number in range(40):
        terminal({"stream": "", "id": str(number), "vertex": {"name": f"[{number}] 宽字{'字' * number}", "inputs": []}})
        terminal({"stream": "line\n" * 9, "id": str(number)})
    terminal.draw()
    frame = screen.getvalue().rpartition("\033[?25l")[2]
    rows = re.sub(r"\033\[(\?25[lh]|\d*[AKJ]|[\d;]*m)", "", frame).split("\n")[:-1]
    assert len(rows) < 8
    assert all(len(row) + sum(one >= "一" for one in row) <= 30 for row in rows)


def test_buildkit_progress_of_the_environment(monkeypatch: pytest.MonkeyPatch, bare: Any, tmp_path: Path) -> None:
    for mode, kind in (("quiet", Quiet), ("rawjson", RawJSON), ("tty", Terminal), ("auto", Plain), ("", Plain)):
        monkeypatch.setenv("BUILDKIT_PROGRESS", mode)
        assert type(show("")) is kind
        assert type(show("plain")) is Plain, "what the command line says goes first"
    done = bare("build", "--progress", "loud", written(tmp_path, "FROM scratch\n"))
    assert (done.code, done.err.splitlines()[0]) == (
        125,
        "invalid progress mode loud: use auto, plain, tty, quiet, rawjson",
    )


def test_what_can_be_printed() -> None:
    assert printable("tab\tand line\nand nothing\r\b else") == "tab\tand line\nand nothing?? else"


def test_contexts_and_stages_that_are_never_cached(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a").write_text("a")
    folder = written(tmp_path, "FROM more AS files\nFROM minidocker/base AS run\nCOPY --from=files /a /a\n")
    words = ["build", "--build-context", f"more={tmp_path / 'more'}", folder]
    assert "[context more] load from client\n" in cli(*words).err
    assert "#3 [run 2/2] COPY --from=files /a /a\n#3 DONE" in cli(*words, "--no-cache-filter", "run").err
