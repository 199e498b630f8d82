"""What a build says, makes and leaves; and what it refuses."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import build_image
from minidocker.errors import BuildError, DockerfileError, ImageNotFound, InvalidArgument, Unsupported


def test_it_speaks_as_dockers_stream(workshop: Any) -> None:
    events: list[dict[str, Any]] = []
    build = workshop.build("FROM busybox\nRUN echo hello\n", tag="app", on_event=events.append)
    said = [event["stream"] for event in events if "stream" in event]
    assert said[0] == "Step 1/2 : FROM busybox\n"
    assert said[2:4] == ["Step 2/2 : RUN echo hello\n", "hello\n"]
    assert said[-2:] == [f"Successfully built {build.image.id[7:19]}\n", "Successfully tagged app:latest\n"]
    assert {"aux": {"ID": build.image.id}} in events
    assert [event["step"].number for event in events if "step" in event] == [1, 2]
    assert list(build) == [event for event in events if not event.keys() & {"step", "plan"}]
    assert json.dumps(list(build)), "as it would go over a wire"


def test_a_step_knows_what_came_of_it(workshop: Any) -> None:
    build = workshop.build("FROM busybox AS one\nENV A=1\nRUN echo hi > /f\nENV A=2\n")
    base, env, run, again = build.steps
    assert (run.number, run.total, run.stage, run.line, run.text) == (3, 4, "one", 3, "RUN echo hi > /f")
    assert list(run.layer.changes) == ["/f"]
    assert run.history["created_by"] == "RUN /bin/sh -c echo hi > /f # buildkit"
    assert env.layer is base.layer is None
    assert again.config_changes["Env"][1][-1] == "A=2"


def test_a_step_keeps_the_image_as_it_left_it(workshop: Any) -> None:
    text = "ARG G=busybox\nFROM $G\nARG V=1\nENV V=2 W=$V\nCOPY a.txt /d/\nRUN rm /d/a.txt\n"
    build = workshop.build(text, {"a.txt": "hello"}, buildargs={"V": "9"})
    base, arg, env, copy, rm = build.steps
    assert build.dockerfile.text == text and build.args["G"] == "busybox"
    assert [step.after.env.get("V") for step in build.steps] == [None, "9", "2", "2", "2"]
    assert "Env" in base.after.config and "V=2" not in arg.after.config["Env"] and "V=2" in env.after.config["Env"]
    assert ["/d/a.txt" in step.after.tree() for step in build.steps] == [False, False, False, True, False]
    assert arg.after.args == ["V"] and rm.facts["args"] == {"V": "2"}
    assert list(copy.files) == ["a.txt"] and rm.files == base.files == {}
    again = workshop.build(text, buildargs={"V": "9"})
    assert again.steps[3].decision.hit and again.steps[3].files == copy.files


def test_the_stages_are_a_graph(workshop: Any) -> None:
    text = "FROM busybox AS a\nFROM a AS unused\nRUN false\nFROM scratch\n"
    build = workshop.build(text + "COPY --from=a /etc /e\nCOPY --from=busybox /bin /b\n")
    assert [(node.name, node.base, node.copies, node.used) for node in build.stages] == [
        ("a", "busybox", (), True),
        ("unused", "a", (), False),
        ("", "scratch", ("a", "busybox"), True),
    ]


def test_a_failed_step_gives_reason_log_and_code(workshop: Any) -> None:
    with pytest.raises(BuildError) as caught:
        workshop.build("FROM busybox\nRUN echo before; exit 3\n", tag="app")
    error = caught.value
    assert error.msg == 'process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3'
    *_, output, last = list(error.build_log)
    assert output == {"stream": "before\n", "id": "2", "output": 1}
    assert last["errorDetail"] == {"code": 3, "message": error.msg}
    with pytest.raises(ImageNotFound):
        workshop.images.get("app")


def test_epoch_fixes_every_time(workshop: Any) -> None:
    text = "FROM scratch\nCOPY . /d/\nWORKDIR /w\nENV A=1\n"
    options = {"files": {"a": "1"}, "buildargs": {"SOURCE_DATE_EPOCH": "1500000000"}}
    image = workshop.image(text, **options)
    assert workshop.image(text, **options, nocache=True).id == image.id
    assert {line["created"] for line in image.raw["history"]} | {image.raw["created"]} == {"2017-07-14T02:40:00Z"}
    assert {entry.mtime for path, entry in image.tree().items() if path != "/"} == {1500000000}


def test_epoch_of_the_environment_is_a_build_argument(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    image = workshop.image("FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /o\n")
    assert image.tree()["/o"].data.read() == b"1500000000\n"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InvalidArgument, match="SOURCE_DATE_EPOCH: yesterday"):
        workshop.build("FROM busybox\n")


def test_here_documents(workshop: Any) -> None:
    text = """FROM busybox
ENV who=me
RUN <<EOF
echo one > /a
echo $who >> /a
EOF
COPY <<one <<"two" /docs/
for $who
one
for $who
two
RUN cat <<X > /x && echo end >> /x
in
X
"""
    image = workshop.image(text)
    read = {path: image.tree()[path].data.read() for path in ("/a", "/docs/one", "/docs/two", "/x")}
    assert read == {"/a": b"one\nme\n", "/docs/one": b"for me\n", "/docs/two": b"for $who\n", "/x": b"in\nend\n"}
    made = [line["created_by"] for line in image.raw["history"][2:]]
    assert made[:2] == [
        "RUN /bin/sh -c echo one > /a\necho $who >> /a\n # buildkit",
        "COPY <<one <<two /docs/ # buildkit",
    ]


def test_a_here_document_may_be_a_script_of_its_own(workshop: Any) -> None:
    build = workshop.build("FROM busybox\nRUN <<EOF\n#!/bin/sh\necho $0 > /o\nEOF\n")
    assert {path: entry.data.read() for path, entry in build.steps[1].layer.changes.items()} == {
        "/o": b"/dev/pipes/EOF\n"
    }


def test_link_does_not_look_at_what_is_below(workshop: Any) -> None:
    text = "FROM busybox\nRUN echo {} > /x\nCOPY --link a /applink/\n"
    build = workshop.build(text.format(1), {"a": "1"})
    assert list(build.steps[2].layer.changes) == ["/applink", "/applink/a"]
    assert workshop.build(text.format(2)).steps[2].decision.hit, "a new parent is no reason to copy again"


def test_a_tag_moves_and_several_may_be_given(workshop: Any) -> None:
    one = workshop.image("FROM busybox\n", tag=["app", "team/app:2"])
    assert one.tags == ["app:latest", "team/app:2"]
    two = workshop.image("FROM busybox\nENV A=1\n", tag="app")
    assert (one.tags, two.tags) == (["team/app:2"], ["app:latest"])


def test_arguments_that_nobody_asked_for(workshop: Any) -> None:
    build = workshop.build("FROM busybox\nARG A\n", buildargs={"A": "1", "B": "2", "HTTP_PROXY": "x"})
    assert "[Warning] One or more build-args [B] were not consumed\n" in build.log


def test_a_dockerfiles_warnings_are_shown(workshop: Any) -> None:
    build = workshop.build("FROM busybox\nRUN echo a \\\n\n  b\nMAINTAINER me\n")
    assert [(warning.rule, warning.line) for warning in build.warnings] == [
        ("NoEmptyContinuation", 4),
        ("MaintainerDeprecated", 5),
    ]
    assert "2 warnings found (use build --check to expand):\n - NoEmptyContinuation: Empty cont" in build.log


def test_a_tar_as_context(workshop: Any) -> None:
    out = io.BytesIO()
    files = {"Dockerfile": "FROM scratch\nCOPY . /d\n", ".dockerignore": "no*", "a": "1", "not": ""}
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    out.seek(0)
    image = build_image(workshop, fileobj=out, custom_context=True).image
    assert image is not None
    assert list(image.tree()) == ["/", "/d", "/d/.dockerignore", "/d/Dockerfile", "/d/a"]
    assert list((workshop.store.root / "tmp").iterdir()) == []


def test_a_dockerfile_alone_and_one_from_elsewhere(workshop: Any, tmp_path: Path) -> None:
    assert build_image(workshop, fileobj=io.BytesIO(b"FROM busybox\nCMD x\n")).image
    with pytest.raises(BuildError, match='"/a" not found'):
        build_image(workshop, fileobj=io.BytesIO(b"FROM busybox\nCOPY a /\n"))
    (tmp_path / "Other").write_text("FROM busybox\nCOPY a /\n")
    workshop.write({"a": "1"})
    image = build_image(workshop, path=workshop.folder, dockerfile=tmp_path / "Other").image
    assert image is not None
    assert "/a" in image.tree()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("RUN --security=insecure true", "RUN --security is not supported: security.insecure is not allowed"),
        ("RUN --device=vendor.com/gpu true", "RUN --device is not supported"),
    ],
)
def test_what_is_not_done_is_refused_by_name_before_anything_is_built(workshop: Any, line: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        workshop.build(f"FROM busybox\nRUN echo 1 > /x\n{line}\n")
    assert not list((workshop.store.root / "cache" / "steps").glob("*"))


def test_bad_requests(workshop: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r'unable to prepare context: path ".*nope" not found'):
        build_image(workshop, path=tmp_path / "nope")
    with pytest.raises(DockerfileError, match="failed to read dockerfile: open Dockerfile: no such file or directory"):
        build_image(workshop, path=workshop.folder)
    with pytest.raises(TypeError, match="Either path or fileobj needs to be specified"):
        build_image(workshop)
    with pytest.raises(Unsupported, match="squash"):
        workshop.build("FROM busybox\n", squash=True)
    with pytest.raises(Unsupported, match="--platform=linux/s390x"):
        workshop.build("FROM busybox\n", platform="linux/s390x")
    with pytest.raises(InvalidArgument, match="network mode 'bridge'"):
        workshop.build("FROM busybox\n", network_mode="bridge")
    with pytest.raises(InvalidArgument, match="invalid reference format"):
        workshop.build("FROM busybox\n", tag="UP!")


def test_where_nothing_is_run_any_platform_can_be_built_for(workshop: Any) -> None:
    copies = "FROM scratch AS one\nCOPY a /\nFROM one\nARG TARGETARCH\nENV ARCH=$TARGETARCH\n"
    ours, theirs = (workshop.image(copies, {"a": "1"}, platform=f"linux/{arch}") for arch in ("amd64", "s390x"))
    assert [image.raw["architecture"] for image in (ours, theirs)] == ["amd64", "s390x"]
    assert "ARCH=s390x" in theirs.config["Env"]
    assert ours.diff_ids == theirs.diff_ids and ours.id != theirs.id
    arm = workshop.image(copies, platform="linux/arm").raw
    assert (arm["architecture"], arm["variant"]) == ("arm", "v7")
    native = "FROM --platform=$BUILDPLATFORM busybox AS tools\nRUN echo x > /x\nFROM tools AS more\nRUN echo y >> /x\n"
    crossed = workshop.image(native + "FROM scratch\nCOPY --from=more /x /\n", platform="linux/arm64")
    assert (crossed.raw["architecture"], crossed.cat("/x")) == ("arm64", b"x\ny\n")
    for refused in ("FROM scratch\nRUN true\n", "FROM --platform=linux/s390x scratch\n"):
        with pytest.raises(Unsupported, match="unless nothing is run"):
            workshop.build(refused, platform="linux/s390x" if "RUN" in refused else "")


def test_an_interrupted_step_leaves_nothing(workshop: Any) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if event.get("stream") == "now\n":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workshop.build("FROM busybox\nRUN echo 1 > /a\nRUN echo now; sleep 0.2\n", on_event=interrupt, tag="app")
    assert list((workshop.store.root / "tmp").iterdir()) == []
    assert workshop.build("FROM busybox\nRUN echo 1 > /a\n").steps[1].decision.hit


def test_a_full_disk_is_said_and_leaves_nothing(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.build("FROM busybox\nCOPY a /\n", {"a": "1"})

    def full(self: Any, data: bytes) -> int:  # noqa: ARG001
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("minidocker.content.BlobWriter.write", full)
        with pytest.raises(BuildError, match="No space left on device"):
            workshop.build("FROM busybox\nCOPY a /\nCOPY a /b\n", tag="app")
    assert list((workshop.store.root / "tmp").iterdir()) == []
    assert workshop.build("FROM busybox\nCOPY a /\nCOPY a /b\n").steps[1].decision.hit


def test_two_builds_at_once_agree(workshop: Any) -> None:
    text = "FROM busybox\nCOPY . /d/\n" + "".join(f"RUN echo {number} > /{number}\n" for number in range(4))
    workshop.write({str(number): "x" * number for number in range(20)})
    options: dict[str, Any] = {"buildargs": {"SOURCE_DATE_EPOCH": "1500000000"}, "path": workshop.folder, "text": text}
    with ThreadPoolExecutor(3) as pool:
        builds = [pool.submit(build_image, workshop, **options, tag=f"app:{number}") for number in range(3)]
        assert len({build.result().image for build in builds}) == 1
    assert len(workshop.images.get("app:1").tags) == 3


def test_the_store_stays_valid(workshop: Any, valid_store: Any) -> None:
    workshop.build("FROM busybox\nRUN rm -r /home /tmplink && mkdir /home\nCOPY a /a\n", {"a": "1"}, tag="app")
    assert set(valid_store(workshop.store.root)) == {"busybox:latest", "app:latest"}


def test_a_base_that_is_nearly_a_stage_was_perhaps_meant_to_be_one(workshop: Any) -> None:
    with pytest.raises(ImageNotFound, match=r"COPY biuld: No such image: biuld.* \(did you mean build\?\)"):
        workshop.build("FROM busybox AS build\nFROM busybox\nCOPY --from=biuld /a /a")


def test_the_target_stage_is_an_argument(workshop: Any) -> None:
    text = "FROM busybox AS one\nARG TARGETSTAGE\nLABEL at=$TARGETSTAGE\nFROM one AS Two\n"
    assert workshop.image(text).labels == {"at": "two"}
    assert workshop.image(text, target="one").labels == {"at": "one"}
    assert workshop.image(f"{text}FROM one", buildargs={"TARGETSTAGE": "mine"}).labels == {"at": "mine"}
    assert workshop.image(f"{text}FROM one").labels == {"at": "default"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"BUILDKIT_SYNTAX": "my/frontend"}, "syntax=my/frontend"),
        ({"BUILDKIT_SANDBOX_HOSTNAME": "me"}, "BUILDKIT_SANDBOX_HOSTNAME"),
    ],
)
def test_an_argument_of_buildkits_that_is_not_done_is_refused_by_name(
    workshop: Any, given: dict[str, str], name: str
) -> None:
    with pytest.raises(Unsupported, match=f"{name} is not supported"):
        workshop.build("FROM busybox", buildargs=given)


def test_arguments_of_buildkits_need_no_arg(workshop: Any) -> None:
    given = {"BUILDKIT_SYNTAX": "docker/dockerfile:1", "BUILDKIT_INLINE_CACHE": "0", "BUILDKIT_DOCKERFILE_CHECK": ""}
    assert "were not consumed" not in workshop.build("FROM busybox", buildargs=given).log


def test_an_error_may_be_made_of_warnings(workshop: Any) -> None:
    with pytest.raises(DockerfileError, match="lint violation found for rules: FromAsCasing") as caught:
        workshop.build("# check=error=true\nFROM busybox as one\nRUN false")
    assert [warning.line for warning in caught.value.warnings] == [2]


def test_history_has_an_argument_as_its_line_says_it(workshop: Any) -> None:
    text = "ARG G=global\nFROM busybox\nARG A=1 B=${A}2 G\nARG N\nRUN true"
    lines = [line["created_by"] for line in workshop.image(text, buildargs={"A": "9"}).raw["history"][1:]]
    assert lines == ["ARG A=1 B=12 G", "ARG N", "RUN |4 A=9 B=92 G=global N= /bin/sh -c true # buildkit"]


def test_importing_the_builder_starts_no_program() -> None:
    code = "import sys, minidocker.build; print('subprocess' in sys.modules, 'tempfile' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
