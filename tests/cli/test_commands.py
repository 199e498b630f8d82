"""Every command, end to end, on both runtimes: what it prints, and with which exit code it ends."""

from __future__ import annotations

import io
import json
import re
import runpy
import tarfile
from pathlib import Path
from typing import Any

import pytest

BASE = "minidocker/base"
ID = re.compile(r"[0-9a-f]{64}")


@pytest.fixture
def web(cli: Any, request: pytest.FixtureRequest) -> Any:
    """The name of a container that sleeps until the test is over."""
    name = re.sub(r"\W+", "-", request.node.name)[:60]
    cli.ok("run", "-d", "--name", name, BASE, "sleep", "100")
    yield name
    cli("rm", "-f", name)


def build(cli: Any, folder: Path, dockerfile: str, *options: str) -> str:
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n{dockerfile}\n")
    image: str = cli.ok("build", "-q", *options, str(folder))
    return image


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_shows_stdout_and_stderr_apart_and_ends_with_the_programs_code(cli: Any) -> None:
    done = cli("run", "--rm", BASE, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.code, done.out, done.err) == (3, "out\n", "err\n")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/etc"], 126, 'exec: "/etc": '),
        (["/nosuch/program"], 127, "no such file or directory"),
    ],
)
def test_run_of_what_cannot_be_run(cli: Any, words: list[str], code: int, says: str) -> None:
    done = cli("run", "--rm", BASE, *words)
    assert done.code == code
    assert done.err.startswith("minidocker: Error response from daemon: ")
    assert says in done.err
    assert done.err.endswith("Run 'minidocker run --help' for more information\n")
    assert cli.ok("ps", "-a", "--filter", "status=created", "-q") == ""


def test_run_of_an_image_that_is_not_there(cli: Any) -> None:
    done = cli("run", "nosuch:x")
    assert done.code == 125
    assert done.err.startswith("Unable to find image 'nosuch:x' locally\n")
    assert "minidocker: Error response from daemon: " in done.err


def test_run_refuses_a_bad_reference(cli: Any) -> None:
    done = cli("run", "Foo:x")
    assert done.code == 125
    assert done.err.startswith(
        "minidocker: invalid reference format: repository name (library/Foo) must be lowercase\n"
    )


def test_run_detached_prints_the_id(cli: Any) -> None:
    id = cli.ok("run", "-d", BASE, "true")
    assert ID.fullmatch(id)
    assert cli.ok("wait", id) == "0"
    cli.ok("rm", id)


def test_run_takes_env_workdir_hostname_user_and_labels(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# names\nFROM_FILE=1\n\nOTHER=two words\n")
    options = ["-e", "A=b c", "--env-file", str(tmp_path / "env"), "-w", "/tmp", "-h", "box", "-l", "k=v"]
    shown = cli.ok(
        "run", "--name", "opts", *options, BASE, "sh", "-c", 'echo "$A|$FROM_FILE|$OTHER|$(pwd)|$(hostname)"'
    )
    assert shown == "b c|1|two words|/tmp|box"
    assert cli.ok("inspect", "-f", "{{.Config.Labels}} {{.Config.Hostname}} {{.Config.WorkingDir}}", "opts") == (
        "map[k:v] box /tmp"
    )
    cli.ok("rm", "opts")


def test_a_bare_env_name_takes_its_value_from_here(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "it is")
    monkeypatch.delenv("NOT_HERE", raising=False)
    shown = cli.ok("run", "--rm", "-e", "HERE", "-e", "NOT_HERE", BASE, "sh", "-c", 'echo "$HERE ${NOT_HERE-unset}"')
    assert shown == "it is unset"


def test_entrypoint_replaces_the_images_own(cli: Any) -> None:
    assert cli.ok("run", "--rm", "--entrypoint", "echo", BASE, "a", "b") == "a b"
    assert cli.ok("run", "--rm", "--entrypoint", "", BASE, "echo", "c") == "c"
    refused = cli("run", "--rm", "--entrypoint", "", BASE)
    assert refused.code == 125 and "No command specified" in refused.err


def test_a_bind_mount_shares_a_folder(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    assert cli.ok("run", "--rm", "-v", f"{tmp_path}:/data:ro", BASE, "cat", "/data/in") == "hello"
    mount = f"type=bind,source={tmp_path},target=/data,readonly"
    assert cli.ok("run", "--rm", "--mount", mount, BASE, "cat", "/data/in") == "hello"


def test_the_cidfile_is_written_once(cli: Any, tmp_path: Path) -> None:
    cid = tmp_path / "cid"
    cli.ok("run", "--rm", "--cidfile", str(cid), BASE, "true")
    assert ID.fullmatch(cid.read_text())
    assert cli("run", "--rm", "--cidfile", str(cid), BASE, "true").code == 125


def test_without_a_cidfile_there_is_no_container_and_without_a_container_no_cidfile(cli: Any, tmp_path: Path) -> None:
    nowhere = cli("run", "--cidfile", str(tmp_path / "nowhere/cid"), BASE, "true")
    assert nowhere.code == 127 and "minidocker: failed to create the container ID file: open " in nowhere.err
    assert cli("create", "--cidfile", str(tmp_path / "cid"), "-w", "x", BASE).code == 1
    assert (cli.ok("ps", "-aq"), list(tmp_path.iterdir())) == ("", [])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--rm", "--restart", "always"], 125, "conflicting options: cannot specify both --restart and --rm"),
        (["--restart", "always:x"], 125, "invalid restart policy format: maximum retry count must be an integer"),
        (["--security-opt", "foo"], 125, 'Invalid --security-opt: "foo"'),
        (["--device", "a:b:c:d"], 125, "bad format for path: a:b:c:d"),
        (["--isolation", "hyperv"], 125, "Invalid isolation: \"hyperv\" - linux only supports 'default'"),
        (["--label", ""], 125, 'invalid argument "" for "-l, --label" flag: invalid label \'\': empty name'),
    ],
)
def test_options_that_make_no_sense(cli: Any, words: list[str], code: int, says: str) -> None:
    done = cli("run", *words, BASE, "true")
    assert (done.code, says in done.err) == (code, True)
    assert done.err.endswith("\n\nRun 'minidocker run --help' for more information\n")


def test_environment_files_that_make_no_sense(cli: Any, web: str, tmp_path: Path) -> None:
    file = tmp_path / "env"
    for text, why in (("A b=1", "variable 'A b' contains whitespaces"), ("=1", "no variable name on line '=1'")):
        file.write_text(text)
        run = cli("run", "--rm", "--env-file", str(file), BASE, "true")
        assert (run.code, run.err.splitlines()[0]) == (125, f"minidocker: invalid env file ({file}): {why}")
        exec = cli("exec", "--env-file", str(file), web, "true")
        assert (exec.code, exec.err) == (1, f"invalid env file ({file}): {why}\n")


def test_who_is_to_blame(cli: Any, web: str) -> None:
    assert cli("start", web, "nosuch").err.endswith("Error: failed to start containers: nosuch\n")
    assert cli("rename", web, "a b").err.startswith(
        "Error response from daemon: Error when allocating new name: Invalid container name (/a b), only "
    )
    gone = cli("rm", "-f", "nosuch")  # is as it was to be, which docker says, but does not hold against anybody
    assert (gone.code, gone.out, gone.err) == (0, "", "Error response from daemon: No such container: nosuch\n")


def test_a_name_is_taken_once(cli: Any, web: str) -> None:
    done = cli("run", "--name", web, BASE, "true")
    assert done.code == 125
    assert f'Conflict. The container name "/{web}" is already in use by container "' in done.err


def test_run_without_a_command_says_so(cli: Any) -> None:
    empty = cli.ok("import", "-", stdin=tar_of({"a": b""}))
    done = cli("run", empty)
    assert (done.code, "No command specified" in done.err) == (125, True)


# --- the life of a container ----------------------------------------------------------------------------------------


def test_create_start_wait_logs_rm(cli: Any) -> None:
    id = cli.ok("create", "--name", "life", BASE, "sh", "-c", "echo out; echo err >&2; exit 2")
    assert cli.ok("ps", "-a", "--filter", f"id={id}", "--format", "{{.Status}} {{.State}}") == "Created created"
    assert cli.ok("start", "life") == "life"
    assert cli.ok("wait", "life") == "2"
    assert re.fullmatch(
        r"Exited \(2\) (Less than a second|\d seconds?) ago",
        cli.ok("ps", "-a", "--filter", "name=life", "--format", "{{.Status}}"),
    )
    logs = cli("logs", "life")
    assert (logs.code, logs.out, logs.err) == (0, "out\n", "err\n")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z out\n", cli("logs", "-t", "life").out)
    assert cli.ok("start", "-a", "life") == "out" if False else cli("start", "-a", "life").code == 2
    assert cli("logs", "-n", "1", "life").out + cli("logs", "--tail", "1", "life").err in ("out\n", "err\n")
    assert cli.ok("rm", "life") == "life"
    assert cli("rm", "life").err == "Error response from daemon: No such container: life\n"


def test_start_attached_shows_its_output(cli: Any) -> None:
    id = cli.ok("create", BASE, "sh", "-c", "echo again; exit 4")
    done = cli("start", "-a", id)
    assert (done.code, done.out) == (4, "again\n")
    cli.ok("rm", id)


def test_stop_restart_kill(cli: Any, web: str) -> None:
    assert cli.ok("stop", "-t", "0", web) == web
    assert cli.ok("inspect", "-f", "{{.State.Status}}", web) == "exited"
    assert cli.ok("restart", web) == web
    assert cli.ok("inspect", "-f", "{{.State.Running}}", web) == "true"
    assert cli.ok("kill", web) == web
    assert cli.ok("wait", web) == "137"
    done = cli("kill", web)
    assert (done.code, "is not running" in done.err) == (1, True)


def test_pause_and_unpause(cli: Any, web: str) -> None:
    assert cli.ok("pause", web) == web
    assert cli.ok("ps", "--filter", f"name={web}", "--format", "{{.Status}}").endswith(" (Paused)")
    assert "is already paused" in cli("pause", web).err
    assert "is paused, unpause the container before exec" in cli("exec", web, "true").err
    assert cli.ok("unpause", web) == web
    assert "is not paused" in cli("unpause", web).err


def test_rename(cli: Any, web: str) -> None:
    assert cli.ok("rename", web, f"{web}-2") == ""
    assert cli.ok("rename", f"{web}-2", web) == ""
    done = cli("rename", "nosuch", "x1")
    assert done.err == (
        "Error response from daemon: No such container: nosuch\nError: failed to rename container named nosuch\n"
    )


def test_rm_of_a_running_container_needs_force(cli: Any, web: str) -> None:
    done = cli("rm", web)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error response from daemon: ")
    assert cli.ok("rm", "-f", web) == web


def test_several_names_go_on_after_an_error(cli: Any) -> None:
    id = cli.ok("create", BASE, "true")
    done = cli("rm", "nosuch", id)
    assert (done.code, done.out) == (1, f"{id}\n")
    assert done.err == "Error response from daemon: No such container: nosuch\n"


@pytest.mark.parametrize("command", ["start", "stop", "restart", "pause", "unpause", "wait", "kill", "logs", "diff"])
def test_no_such_container(cli: Any, command: str) -> None:
    done = cli(command, "nosuch")
    assert done.code == 1
    assert done.err.startswith("Error response from daemon: ")
    assert "No such container: nosuch" in done.err


def test_exec(cli: Any, web: str) -> None:
    done = cli("exec", "-e", "A=b", "-w", "/tmp", web, "sh", "-c", "echo $A $(pwd); echo err >&2; exit 4")
    assert (done.code, done.out, done.err) == (4, "b /tmp\n", "err\n")
    assert cli("exec", web, "nosuch").code == 126
    assert cli("exec", "-u", "nosuch", web, "true").code == 126
    if cli.runtime == "simulated":
        assert "cannot attach anybody" in cli("exec", "-t", web, "sh").err
    else:
        assert cli("exec", "-t", web, "tty").out == "/dev/pts/0\r\n"
    cli.ok("stop", "-t", "0", web)
    assert "is not running" in cli("exec", web, "true").err


def test_top_lists_what_runs_inside(cli: Any, web: str) -> None:
    header, *rows = cli.ok("top", web).splitlines()
    assert header.split() in (["UID", "PID", "PPID", "CMD"], "UID PID PPID C STIME TTY TIME CMD".split())
    assert any(row.endswith("sleep 100") for row in rows)


def test_ps_quotes_words_with_spaces_and_cuts_at_twenty(cli: Any) -> None:
    id = cli.ok("create", BASE, "sh", "-c", "echo out; echo err")
    show = ["ps", "-a", "--filter", f"id={id}", "--format", "{{.Command}}"]
    assert cli.ok(*show) == '"sh -c \'echo out; ec…"'
    assert cli.ok(*show, "--no-trunc") == "\"sh -c 'echo out; echo err'\""
    cli.ok("rm", id)


def test_ps_lists_as_docker_does(cli: Any, web: str) -> None:
    lines = cli.ok("ps", "--filter", f"name={web}").splitlines()
    assert re.fullmatch(r"CONTAINER ID   IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES", lines[0])
    assert re.fullmatch(
        rf'[0-9a-f]{{12}}   {BASE}   "sleep 100"   (Less than a second|\d+ seconds?) ago +'
        rf"Up (Less than a second|\d+ seconds?) +{web}",
        lines[1],
    )
    id = cli.ok("ps", "-q", "--no-trunc", "--filter", f"name={web}")
    assert ID.fullmatch(id)
    assert cli.ok("ps", "-aq", "--filter", f"id={id}") == id[:12]
    assert cli.ok("ps", "-l", "--format", "{{.Names}}") == web
    row = json.loads(cli.ok("ps", "--format", "json", "--filter", f"name={web}"))
    assert (row["Names"], row["State"], row["Command"]) == (web, "running", '"sleep 100"')
    assert cli.ok("ps", "--format", "table {{.Names}}\\t{{.State}}", "-l").splitlines()[0].split() == ["NAMES", "STATE"]
    assert re.search(r"\d+B \(virtual \S+B\)$", cli.ok("ps", "-s", "--filter", f"name={web}"))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["ps", "--filter", "foo=x"], "Error response from daemon: invalid filter 'foo'"),
        (["ps", "--filter", "status=foo"], "Error response from daemon: invalid filter 'status=foo'"),
        (["images", "--filter", "foo=bar"], "Error response from daemon: invalid filter 'foo'"),
    ],
)
def test_a_filter_that_is_none(cli: Any, argv: list[str], says: str) -> None:
    done = cli(*argv)
    assert (done.code, done.err.splitlines()[0].lower()) == (1, says.lower())


def test_inspect(cli: Any, web: str) -> None:
    both = json.loads(cli.ok("inspect", web, BASE))
    assert [both[0]["Name"], both[1]["RepoTags"]] == [f"/{web}", [f"{BASE}:latest"]]
    assert (
        cli.ok("inspect", "-f", "{{.Config.Cmd}} {{.HostConfig.Binds}} {{.State.Running}}", web)
        == "[sleep 100] [] true"
    )
    done = cli("inspect", web, "nosuch")
    assert (done.code, done.err, json.loads(done.out)[0]["Name"]) == (1, "Error: No such object: nosuch\n", f"/{web}")
    assert (
        cli("inspect", "--type", "container", "nosuch").err == "Error response from daemon: No such container: nosuch\n"
    )
    assert cli("container", "inspect", BASE).code == 1
    assert cli("inspect", "-f", "{{.Nope", web).code == 64
    done = cli("inspect", "-f", "{{.Nope}}", web)
    assert (done.code, done.err) == (
        1,
        '\ntemplate parsing error: template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"\n',
    )


def test_diff_commit_and_history(cli: Any) -> None:
    cli.ok("run", "--name", "writer", BASE, "sh", "-c", "mkdir /new; echo hi > /new/file; rm /etc/passwd")
    assert cli.ok("diff", "writer").splitlines() == ["C /etc", "D /etc/passwd", "A /new", "A /new/file"]
    image = cli.ok("commit", "-m", "why", "-a", "me", "-c", 'CMD ["cat", "/new/file"]', "writer", "committed")
    assert image.startswith("sha256:")
    assert cli.ok("run", "--rm", "committed") == "hi"
    assert cli.ok("history", "--format", "{{.ID}} {{.Comment}}", "committed").splitlines()[0] == f"{image[7:19]} why"
    assert cli("commit", "-c", "FOO x", "writer").err.startswith("Error response from daemon: ")
    cli.ok("rm", "writer")
    cli.ok("rmi", "committed")


# --- files in and out -----------------------------------------------------------------------------------------------


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return sorted(member.name.rstrip("/") for member in archive)


def test_cp_both_ways(cli: Any, tmp_path: Path) -> None:
    id = cli.ok("create", "--name", "cp", BASE, "true")
    (tmp_path / "file").write_text("one")
    (tmp_path / "dir/sub").mkdir(parents=True)
    (tmp_path / "dir/sub/deep").write_text("two")
    cli.ok("cp", str(tmp_path / "file"), "cp:/tmp")  # into a folder
    cli.ok("cp", str(tmp_path / "file"), f"{id[:12]}:/tmp/named")  # under a name
    cli.ok("cp", str(tmp_path / "dir"), "cp:/srv-new")  # a folder under a name
    cli.ok("cp", f"{tmp_path / 'dir'}/.", "cp:/tmp")  # a folder's contents
    cli.ok("cp", "-", "cp:/tmp", stdin=tar_of({"from-stdin": b"three"}))
    changed = cli.ok("diff", "cp").splitlines()
    expected = {"/tmp/file", "/tmp/named", "/srv-new/sub/deep", "/tmp/sub/deep", "/tmp/from-stdin"}
    assert {f"A {path}" for path in expected} <= set(changed)

    out = tmp_path / "out"
    out.mkdir()
    cli.ok("cp", "cp:/tmp/file", str(out))
    cli.ok("cp", "cp:/tmp/named", str(out / "renamed"))
    cli.ok("cp", "cp:/srv-new", str(out / "folder"))
    cli.ok("cp", "cp:/srv-new/.", str(out))
    found = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert found == {"file": "one", "renamed": "one", "folder/sub/deep": "two", "sub/deep": "two"}
    assert names_in(cli("cp", "cp:/srv-new", "-").raw) == ["srv-new", "srv-new/sub", "srv-new/sub/deep"]
    cli.ok("rm", "cp")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["a", "b"], "must specify at least one container source"),
        (["a:/x", "b:/y"], "copying between containers is not supported"),
        (["nosuch:/x", "y"], "No such container: nosuch"),
    ],
)
def test_cp_that_makes_no_sense(cli: Any, argv: list[str], says: str) -> None:
    done = cli("cp", *argv)
    assert (done.code, says in done.err) == (1, True)


def test_cp_writes_nothing_through_a_link_that_was_copied(cli: Any, tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    cli.ok("create", "--name", "evil", BASE, "true")
    link = io.BytesIO()
    with tarfile.open(fileobj=link, mode="w") as archive:
        member = tarfile.TarInfo("trap/door")
        member.type, member.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(member)
    cli.ok("cp", "-", "evil:/", stdin=link.getvalue())
    cli.ok("cp", "evil:/trap", str(out))
    assert (out / "trap/door").is_symlink()
    cli.ok("rm", "evil")
    cli.ok("create", "--name", "evil", BASE, "true")
    cli.ok("cp", "-", "evil:/", stdin=tar_of({"trap/door/x": b"got out"}))
    done = cli("cp", "evil:/trap", str(out))
    assert (done.code, list(outside.iterdir())) == (1, [])
    cli.ok("rm", "evil")


def test_export_and_import(cli: Any, tmp_path: Path) -> None:
    cli.ok("run", "--name", "exported", BASE, "sh", "-c", "echo kept > /kept")
    raw = cli("export", "exported").raw
    assert "kept" in names_in(raw)
    cli.ok("export", "-o", str(tmp_path / "all.tar"), "exported")
    assert (tmp_path / "all.tar").read_bytes() == raw
    image = cli.ok("import", "-c", 'CMD ["cat", "/kept"]', "-m", "note", str(tmp_path / "all.tar"), "flat:1")
    assert image.startswith("sha256:")
    assert cli.ok("run", "--rm", "flat:1") == "kept"
    assert cli.ok("history", "--format", "{{.Comment}}", "flat:1") == "note"
    cli.ok("rm", "exported")
    cli.ok("rmi", "flat:1")
    assert cli("import", "-", stdin=b"garbage").code == 1
    assert cli("import", "/nosuch").err == "open /nosuch: no such file or directory\n"


# --- images ---------------------------------------------------------------------------------------------------------


def test_build_tag_images_rmi(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello")
    id = build(cli, tmp_path, "COPY hello.txt /\nCMD cat /hello.txt", "-t", "app", "-t", "app:2")
    assert id.startswith("sha256:")
    assert cli.ok("run", "--rm", "app:2") == "hello"
    rows = cli.ok("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "app").splitlines()
    assert sorted(rows) == [f"app:2 {id[7:19]}", f"app:latest {id[7:19]}"]
    assert cli.ok("images", "-q", "app") == id[7:19]
    assert cli.ok("images", "-q", "--no-trunc", "app:2") == id
    assert cli.ok("images", "nosuch").splitlines() == ["REPOSITORY   TAG       IMAGE ID   CREATED   SIZE"]
    cli.ok("tag", "app", "team/app:3")
    assert cli.ok("rmi", "app", "app:2").splitlines() == ["Untagged: app:latest", "Untagged: app:2"]
    assert cli.ok("rmi", "team/app:3").splitlines() == ["Untagged: team/app:3", f"Deleted: {id}"]
    done = cli("rmi", "app")
    assert (done.code, done.err) == (1, "Error response from daemon: No such image: app:latest\n")


def test_build_shows_its_steps(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo from run\n")
    shown = cli("build", "--no-cache", "--iidfile", str(tmp_path / "iid"), "-t", "steps", str(tmp_path)).err
    assert "#2 [2/2] RUN echo from run\n" in shown
    assert re.search(r"^#2 \d\.\d+ from run$", shown, re.MULTILINE)
    assert (tmp_path / "iid").read_text().startswith("sha256:")
    assert "#2 CACHED\n" in cli("build", "-t", "steps", str(tmp_path)).err
    cli.ok("rmi", "steps")


def test_build_plan_says_which_steps_would_run_and_builds_nothing(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    text = "FROM minidocker/base AS one\nCOPY a.txt /\nRUN sleep 0.2\nFROM minidocker/base AS two\nRUN sleep 0.1\n"
    text += "FROM minidocker/base AS other\nRUN false\n"
    text += "FROM minidocker/base\nCOPY --from=one /a.txt /\nCOPY --from=two /etc /e\n"
    (tmp_path / "Dockerfile").write_text(text)
    cli.ok("build", "-t", "planned", str(tmp_path))
    (tmp_path / "a.txt").write_text("b")
    before = cli.ok("images", "-q", "--no-trunc", "planned")
    said = cli.ok("build", "--plan", "-t", "planned", str(tmp_path)).splitlines()
    assert said[0] == "nothing is built yet: 8 steps, 4 from the cache, 2 to build, 2 depending on what is built"
    assert [re.split(" {2,}", line) for line in said[2:7]] == [
        ["STAGE", "STEPS", "NEEDS", "SIDE BY SIDE WITH"],
        ["one", "1-3", "none", "two"],
        ["two", "4-5", "none", "one"],
        ["stage-3", "6-8", "one, two", "none"],
        ["other", "none", "never runs: nothing needs it"],
    ]
    rows = [re.split(" {2,}", line) for line in said[8:17]]
    assert rows[2][:4] == ["2", "2", "COPY a.txt /", "miss"]
    assert rows[2][5] == "a.txt changed (was sha256:ca97…, now sha256:3e23…)"
    assert rows[5][:4] == ["5", "5", "RUN sleep 0.1", "hit"] and re.fullmatch(r"\d\.\ds", rows[5][4])
    assert rows[7][3] == "depends" and rows[7][-1] == "depends on what stage one makes this time"
    assert re.fullmatch(r"the cache saves \d\.\ds; the rest took \d\.\ds the last time, \d\.\ds side by side", said[-1])
    assert cli.ok("images", "-q", "--no-trunc", "planned") == before
    cli.ok("rmi", "planned")


def test_a_plan_for_programs(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM minidocker/base\nRUN echo planned for programs\n")
    plan = json.loads(cli.ok("build", "--plan", "--format", "json", str(tmp_path)))
    assert plan["steps"][1] | {"reason": ""} == {
        "number": 2,
        "stage": "stage-0",
        "line": 2,
        "instruction": "RUN echo planned for programs",
        "decision": "miss",
        "reason": "",
        "seconds": 0,
    }
    assert (plan["stages"][0]["name"], plan["unused"], plan["saved"], plan["cost"]) == ("stage-0", [], 0, 0)


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (["--format", "json"], 125, "minidocker: --format says how a plan is printed: it needs --plan"),
        (["--plan", "--format", "xml"], 125, 'minidocker: invalid format \'xml\' for a plan: use "table" or "json"'),
        (["--plan"], 1, 'ERROR: failed to solve: failed to compute cache key: "/nope" not found'),
    ],
)
def test_a_plan_that_cannot_be_made(cli: Any, tmp_path: Path, options: list[str], code: int, error: str) -> None:
    done = cli("build", *options, "-f", "-", str(tmp_path), stdin=b"FROM minidocker/base\nCOPY nope /\n")
    assert done.code == code
    assert done.err.startswith(error)


def test_build_check_warns_and_builds_nothing(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch AS web\nCOPY . /\n")
    (tmp_path / ".dockerignore").write_text("a.txt\n")
    assert cli.ok("build", "--check", str(tmp_path)) == "Check complete, no warnings found."
    (tmp_path / "Dockerfile").write_text("FROM scratch AS web\nCOPY a.txt /\nCMD run\n")
    done = cli("build", "--call=check", "-t", "checked", str(tmp_path))
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith(
        "Check complete, 2 warnings have been found!\n\n"
        "WARNING: CopyIgnoredFile - https://docs.docker.com/go/dockerfile/rule/copy-ignored-file/\n"
        'Attempting to Copy file "a.txt" that is excluded by .dockerignore\n'
        "Dockerfile:2\n--------------------\n   1 |     FROM scratch AS web\n   2 | >>> COPY a.txt /\n"
    )
    assert cli.ok("images", "-q", "checked") == ""
    assert cli("build", "--call=outline", str(tmp_path)).code == 125
    assert cli.ok("build", "--check", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all", str(tmp_path))


def test_what_is_wrong_with_a_dockerfile_is_shown_with_its_lines(cli: Any, tmp_path: Path) -> None:
    wrong = "FROM scratch AS Web\nCOPPY a /\n"
    shown = (
        "Dockerfile:2\n--------------------\n   1 |     FROM scratch AS Web\n   2 | >>> COPPY a /\n   3 |     \n"
        "--------------------\nERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: COPPY "
        "(did you mean COPY?)\n"
    )
    (tmp_path / "Dockerfile").write_text(wrong)
    built, checked = (cli("build", *options, str(tmp_path)) for options in ([], ["--check"]))
    assert (built.code, built.out, built.err) == (1, "", shown)
    assert (checked.code, checked.err) == (1, shown)
    assert "WARNING: StageNameCasing" in checked.out


def test_a_build_says_at_its_end_what_docker_would_warn_about(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch as web\nLABEL a=1\n")
    line = " - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"
    assert cli("build", "-t", "warned", str(tmp_path)).err.endswith(
        f"\n\n 1 warning found (use build --check to expand):\n{line}\n"
    )
    (tmp_path / "Dockerfile").write_text("# check=error=true\nFROM scratch as web\nLABEL a=1\n")
    done = cli("build", str(tmp_path))
    assert (done.code, done.err) == (1, "ERROR: failed to solve: lint violation found for rules: FromAsCasing\n")
    cli.ok("rmi", "warned")


def test_build_from_stdin(cli: Any, tmp_path: Path) -> None:
    assert cli.ok("build", "-q", "-", stdin=f"FROM {BASE}\n".encode()).startswith("sha256:")
    context = tar_of({"Dockerfile": f"FROM {BASE}\nCOPY a /a\n".encode(), "a": b"from the tar"})
    cli.ok("build", "-q", "-t", "from-tar", "-", stdin=context)
    assert cli.ok("run", "--rm", "from-tar", "cat", "/a") == "from the tar"
    (tmp_path / "a").write_text("from the folder")
    cli.ok("build", "-q", "-t", "mixed", "-f", "-", str(tmp_path), stdin=f"FROM {BASE}\nCOPY a /a\n".encode())
    assert cli.ok("run", "--rm", "mixed", "cat", "/a") == "from the folder"
    cli.ok("rmi", "from-tar", "mixed")


def test_build_from_a_url(cli: Any, tmp_path: Path) -> None:
    serve = runpy.run_path(str(Path(__file__).parent.parent / "build" / "site.py"))["serve"]
    (tmp_path / "Local").write_text(f"FROM {BASE}\nCOPY a /local\n")
    with serve(tmp_path) as site:
        tar = site.put("/c.tar", tar_of({"sub/Other": f"FROM {BASE}\nCOPY a /a\n".encode(), "a": b"from afar"}))
        cli.ok("build", "-q", "-t", "afar", "-f", "sub/Other", tar)
        assert cli.ok("run", "--rm", "afar", "cat", "/a") == "from afar"
        cli.ok("build", "-q", "-t", "afar", "-f", str(tmp_path / "Local"), tar)
        assert cli.ok("run", "--rm", "afar", "cat", "/local") == "from afar"
        cli.ok("build", "-q", "-t", "afar", "-f", "-", tar, stdin=f"FROM {BASE}\nCOPY a /in\n".encode())
        assert cli.ok("run", "--rm", "afar", "cat", "/in") == "from afar"
        assert cli.ok("build", "-q", site.put("/Dockerfile", f"FROM {BASE}\n")).startswith("sha256:")
        done = cli("build", f"{site.url}/nope")
        assert (done.code, "invalid response status 404 Not Found" in done.err) == (1, True)
        done = cli("build", "-f", f"{site.url}/Dockerfile", str(tmp_path))
        assert (done.code, "the Dockerfile cannot come from a URL alone" in done.err) == (1, True)
    cli.ok("rmi", "afar")


def test_build_takes_args_labels_and_a_target(cli: Any, tmp_path: Path) -> None:
    dockerfile = "AS first\nARG WHO\nRUN echo $WHO > /who\nFROM first\nRUN exit 1"
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE} {dockerfile}\n")
    options = ["--build-arg", "WHO=me", "--label", "a=b", "--target", "first", "-t", "targeted"]
    cli.ok("build", "-q", *options, str(tmp_path))
    assert cli.ok("run", "--rm", "targeted", "cat", "/who") == "me"
    assert cli.ok("inspect", "-f", "{{.Config.Labels}}", "targeted") == "map[a:b]"
    cli.ok("rmi", "targeted")


@pytest.mark.parametrize(
    ("dockerfile", "says"),
    [
        ("RUN exit 7", "exit 7"),
        ("COPY nosuch /", "nosuch"),
        ("FOO bar", "unknown instruction: FOO"),
    ],
)
def test_a_build_that_fails_says_why(cli: Any, tmp_path: Path, dockerfile: str, says: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\n{dockerfile}\n")
    done = cli("build", str(tmp_path))
    assert done.code != 0
    assert says in done.err


def test_build_with_secrets(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "tok")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "key").write_text("key\n")
    (tmp_path / "Dockerfile").write_text(
        "FROM scratch\nFROM minidocker/base\nRUN --mount=type=secret,id=key --mount=type=secret,id=TOKEN,env=T "
        "cat /run/secrets/key && echo $T\n"
    )
    secrets = ["--secret", f"id=key,src={tmp_path}/key", "--secret", "id=TOKEN", "--allow", "network.host"]
    done = cli("build", "--progress=plain", *secrets, str(tmp_path))
    assert done.code == 0 and re.search(r" key\n.* tok\n", done.out + done.err)
    for words, why in {
        ("--secret", "x"): "invalid field 'x' must be a key=value pair",
        ("--secret", "id=x,src=/no/such"): "failed to stat /no/such",
        ("--ssh", "default"): "invalid empty ssh agent socket, make sure SSH_AUTH_SOCK is set",
        ("--ssh", f"default={tmp_path}/key"): "minidocker reads no private keys",
        ("--allow", "security.insecure"): "security.insecure is not supported",
    }.items():
        done = cli("build", *words, str(tmp_path))
        assert done.code and why in done.err


def test_build_of_nothing(cli: Any, tmp_path: Path) -> None:
    done = cli("build", str(tmp_path))
    assert done.code == 1
    assert "Dockerfile" in done.err
    assert cli("build", str(tmp_path / "nosuch")).err.startswith("unable to prepare context: path ")
    assert cli("build", "-t", "A:", str(tmp_path)).code == 125


def test_save_and_load(cli: Any, tmp_path: Path) -> None:
    id = build(cli, tmp_path, "LABEL a=b", "-t", "saved:1")
    cli.ok("save", "-o", str(tmp_path / "saved.tar"), "saved:1")
    raw = cli("save", "saved:1").raw
    assert (tmp_path / "saved.tar").read_bytes() == raw
    cli.ok("rmi", "saved:1")
    assert cli.ok("load", "-i", str(tmp_path / "saved.tar")) == "Loaded image: saved:1"
    assert cli.ok("images", "-q", "--no-trunc", "saved") == id
    cli.ok("rmi", "saved:1")
    assert cli.ok("load", stdin=raw) == "Loaded image: saved:1"
    unnamed = cli("save", id).raw
    cli.ok("rmi", "saved:1")
    assert cli.ok("load", stdin=unnamed) == f"Loaded image ID: {id}"
    cli.ok("rmi", id)
    assert cli("load", "-i", "/nosuch").err == "open /nosuch: no such file or directory\n"
    assert cli("load", stdin=b"garbage").code == 1
    assert cli("save", "-o", str(tmp_path / "no/such/dir.tar"), BASE).err.startswith("invalid output path: directory ")


def test_save_of_a_repository_takes_all_its_tags(cli: Any, tmp_path: Path) -> None:
    build(cli, tmp_path, "LABEL n=1", "-t", "many:1")
    build(cli, tmp_path, "LABEL n=2", "-t", "many:2", "-t", "other:2")
    raw = cli("save", "many").raw
    cli.ok("rmi", "many:1", "many:2", "other:2")
    assert sorted(cli.ok("load", stdin=raw).splitlines()) == ["Loaded image: many:1", "Loaded image: many:2"]
    cli.ok("rmi", "many:1", "many:2")


def test_history_of_a_build(cli: Any, tmp_path: Path) -> None:
    build(cli, tmp_path, "ENV A=b\nRUN echo " + "x" * 60 + " > /f", "-t", "history")
    lines = cli.ok("history", "history").splitlines()
    assert re.fullmatch(r"IMAGE +CREATED +CREATED BY +SIZE +COMMENT", lines[0])
    assert "…" in lines[1]
    assert "ENV A=b" in lines[2]
    assert lines[2].startswith("<missing>")
    assert len(cli.ok("history", "-q", "--no-trunc", "history").splitlines()[0]) == 71
    sizes = cli.ok("history", "-H=false", "--format", "{{.Size}}", "history").splitlines()
    assert sizes[:2] == ["61", "0"]
    cli.ok("rmi", "history")


@pytest.mark.parametrize("target", ["A", "a:b:c", "-x"])
def test_tag_refuses_what_is_no_name(cli: Any, target: str) -> None:
    done = cli("tag", BASE, "--", target)
    assert done.code == 1
    assert done.err.startswith(f'Error parsing reference: "{target}" is not a valid repository/tag: ')


def test_no_such_image(cli: Any) -> None:
    for argv in (["history", "nosuch"], ["tag", "nosuch", "a"], ["rmi", "nosuch"]):
        done = cli(*argv)
        assert (done.code, done.err) == (1, "Error response from daemon: No such image: nosuch:latest\n")
    done = cli("image", "inspect", "nosuch")
    assert (done.code, done.out) == (1, "[]\n")


# --- the engine -----------------------------------------------------------------------------------------------------


def test_info_and_version(cli: Any) -> None:
    assert cli.ok("info", "--format", "{{.DefaultRuntime}}") == cli.runtime
    assert f" Docker Root Dir: {cli.root}" in cli.ok("info").splitlines()
    version = json.loads(cli.ok("version", "--format", "json"))
    assert version["Client"]["Version"] == version["Server"]["Version"]
    assert cli.ok("--version") == f"Minidocker version {version['Client']['Version']}"


def test_the_version_that_is_shown_is_the_engines(tmp_path: Path) -> None:
    import minidocker
    from minidocker.cli import version as shown

    with minidocker.connect(tmp_path, "simulated") as engine:
        assert engine.version()["ApiVersion"] == shown.API_VERSION


def test_df_and_prune(bare: Any, tmp_path: Path) -> None:
    build(bare, tmp_path, "RUN echo first > /f", "-t", "pruned")
    build(bare, tmp_path, "RUN echo second > /f", "-t", "pruned")
    id = bare.ok("create", BASE, "true")
    rows = [json.loads(line) for line in bare.ok("system", "df", "--format", "json").splitlines()]
    assert [row["Type"] for row in rows] == ["Images", "Containers", "Local Volumes", "Build Cache"]
    assert [row["TotalCount"] for row in rows][:3] == ["3", "1", "0"]
    header = bare.ok("system", "df").splitlines()[0]
    assert header == "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE" or header.split() == [
        "TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE",
    ]  # fmt: skip
    assert "Containers space usage:" in bare.ok("system", "df", "-v")

    asked = bare("system", "prune", stdin=b"n\n")
    assert (asked.code, asked.out.startswith("WARNING! This will remove:\n  - all stopped containers\n")) == (0, True)
    assert bare.ok("ps", "-aq", "--no-trunc") == id
    done = bare.ok("system", "prune", "-f")
    assert f"Deleted Containers:\n{id}\n" in done
    assert re.search(r"^Total reclaimed space: \S+B$", done, re.MULTILINE)
    assert bare.ok("images", "-q", "--filter", "dangling=true") == ""
    assert bare.ok("images", "-q", "pruned") != ""
    assert bare.ok("image", "prune", "-af").startswith("Deleted Images:\nUntagged: ")
    assert bare.ok("images", "-q", "pruned") == ""
    assert bare.ok("container", "prune", "-f") == "Total reclaimed space: 0B"
    assert bare.ok("builder", "prune", "-f").startswith("Total reclaimed space: ")


def test_doctor(cli: Any) -> None:
    done = cli("doctor")
    assert f"Runtime: {cli.runtime}\n" in done.out
    assert f"{cli.root} is writable" in done.out


def test_the_tour_shows_all_four_stations_and_leaves_nothing(cli: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shown = cli.ok("tour")
    assert [line[0] for line in shown.splitlines() if re.match(r"\d\. ", line)] == ["1", "2", "3", "4"]
    assert "Hello from inside a container." in shown
    assert list(tmp_path.iterdir()) == []


def test_management_spellings(cli: Any, web: str) -> None:
    assert cli.ok("container", "ls", "-q", "--filter", f"name={web}") == cli.ok("ps", "-q", "--filter", f"name={web}")
    assert cli.ok("image", "ls", "-q") == cli.ok("images", "-q")
    assert cli.ok("container", "rm", "-f", web) == web


# --- the front door -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["foo"], 1, "minidocker: 'foo' is not a minidocker command.\nSee 'minidocker --help'"),
        (["image", "foo"], 1, "minidocker: unknown command: minidocker image foo"),
        (["image", "pull", "X"], 1, "invalid reference format: repository name (library/X) must be lowercase"),
        (["pull", "-a", "x:1"], 1, "tag can't be used with --all-tags/-a"),
        (["search", "x"], 1, "Error response from daemon: cannot search for 'x'"),
        (["run", "--pull=often", "x"], 125, "minidocker: invalid pull option: 'often': must be one of"),
        (["--foo"], 125, "unknown flag: --foo"),
        (["-Q"], 125, "unknown shorthand flag: 'Q' in -Q"),
        (["build"], 1, "minidocker: 'minidocker build' requires 1 argument"),
        (["image", "prune", "--foo"], 125, "unknown flag: --foo"),
        (
            ["ps", "-n", "x"],
            125,
            'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (["--runtime", "nope", "ps"], 1, "Error response from daemon: "),
    ],
)
def test_misuse(bare: Any, argv: list[str], code: int, says: str) -> None:
    done = bare(*argv)
    assert done.code == code
    assert done.err.startswith(says)


def test_help(bare: Any) -> None:
    shown = bare.ok()
    assert shown == bare.ok("--help") == bare.ok("help")
    assert re.search(r"^  run +Create and run a new container from an image$", shown, re.MULTILINE)
    assert bare.ok("image").startswith("Usage:  minidocker image COMMAND\n")
    assert bare.ok("help", "rm").startswith("Usage:  minidocker rm [OPTIONS] CONTAINER [CONTAINER...]\n")
    assert bare.ok("container", "rm", "--help").startswith("Usage:  minidocker container rm [OPTIONS]")


def test_every_command_has_a_help_page_within_80_columns_where_docker_keeps_them(bare: Any) -> None:
    from minidocker.cli import WHERE

    for name in WHERE:
        page = bare.ok(*name.split(), "--help")
        assert page.startswith(f"Usage:  minidocker {name}")
        options = page.partition("Options:\n")[2]
        assert max(map(len, options.splitlines()), default=0) <= 82, name
