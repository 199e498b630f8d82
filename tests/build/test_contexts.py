"""`--build-context`: what a name stands for instead; `--no-cache-filter`: stages that are built in any case."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from minidocker.archive import save
from minidocker.build.forecast import Forecaster
from minidocker.errors import BuildError, ImageLoadError, InvalidArgument, Unsupported
from minidocker.image import Image

COPIES = "FROM busybox\nCOPY --from=other a.txt sub/b.txt /here/\n"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    folder = tmp_path / "other"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    (folder / "ignored.txt").write_text("no")
    (folder / ".dockerignore").write_text("ignored.txt\n")
    return folder


def read(image: Image, path: str) -> bytes:
    return image.tree()[path].data.read()


def layout(folder: Path, image: Image, *names: str) -> Path:
    archive = folder.with_suffix(".tar")
    archive.write_bytes(b"".join(save([(image, names)])))
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def test_copy_from_a_folder_that_is_not_the_context(workshop: Any, other: Path) -> None:
    image = workshop.image(COPIES, build_contexts={"other": other})
    assert [read(image, f"/here/{name}.txt") for name in "ab"] == [b"a", b"b"]
    with pytest.raises(BuildError, match=r"ignored.txt.* not found"):
        workshop.build("FROM scratch\nCOPY --from=other ignored.txt /\n", build_contexts=[f"other={other}"])


def test_its_files_count_for_the_cache(workshop: Any, other: Path) -> None:
    workshop.build(COPIES, build_contexts={"other": other})
    assert workshop.build(COPIES, build_contexts={"other": other}).steps[1].decision.hit
    (other / "sub" / "b.txt").write_text("changed")
    reason = workshop.build(COPIES, build_contexts={"other": other}).steps[1].decision.reason
    assert reason.startswith("miss because sub/b.txt changed")


def test_a_run_may_have_it_mounted(workshop: Any, other: Path) -> None:
    text = "FROM busybox\nRUN --mount=from=other,target=/o cat /o/a.txt /o/sub/b.txt > /seen\n"
    assert read(workshop.image(text, build_contexts={"other": other}), "/seen") == b"ab"


def test_from_a_folder_its_files_are_a_layer(workshop: Any, other: Path) -> None:
    text = "FROM other AS one\nRUN cp /a.txt /c.txt; ls / > /l\nFROM scratch\nCOPY --from=one /c.txt /a.txt /\n"
    image = workshop.image(
        text.partition("FROM scratch")[0].replace("RUN", "ENV X=1\n#"), build_contexts={"other": other}
    )
    assert set(image.tree()) == {"/", "/a.txt", "/sub", "/sub/b.txt", "/.dockerignore"}
    assert image.raw["history"][0]["comment"] == "buildkit.exporter.image.v0"
    assert (image.config["WorkingDir"], len(image.layers)) == ("/", 1)


def test_what_is_based_on_a_folder_is_cached_and_explained(workshop: Any, other: Path) -> None:
    text = "FROM other\nWORKDIR /w\n"
    first = workshop.build(text, build_contexts={"other": other})
    assert [step.decision.hit for step in first.steps] == [False, False]
    assert all(step.decision.hit for step in workshop.build(text, build_contexts={"other": other}).steps)
    (other / "a.txt").write_text("changed")
    reasons = [step.decision.reason for step in workshop.build(text, build_contexts={"other": other}).steps]
    assert reasons[0].startswith("miss because a.txt changed")
    assert reasons[1] == "miss because parent changed (step 1)"


def test_an_image_instead_of_another(workshop: Any) -> None:
    mine = workshop.image("FROM busybox\nENV MINE=1\n", tag="mine")
    build = workshop.build("FROM absent\nENV A=1\n", build_contexts={"absent": "docker-image://mine"})
    assert build.image.config["Env"] == [*mine.config["Env"], "A=1"]
    for name in ("docker.io/library/absent", "absent:latest"):
        assert workshop.image("FROM absent\nENV A=1\n", build_contexts={name: "docker-image://mine"}).id
    with pytest.raises(Exception, match="No such image: absent:2"):
        workshop.build("FROM absent:2\n", build_contexts={"absent": "docker-image://mine"})
    copied = workshop.image(
        "FROM scratch\nCOPY --from=absent /etc/passwd /\n", build_contexts={"absent": "docker-image://mine"}
    )
    assert "/passwd" in copied.tree()


def test_a_stage_may_be_replaced(workshop: Any, other: Path) -> None:
    text = "FROM absent AS other\nRUN exit 1\nFROM busybox\nCOPY --from=other /a.txt /\nCOPY --from=0 /sub /s\n"
    build = workshop.build(text, build_contexts={"OTHER".lower(): other})
    assert read(build.image, "/a.txt") == b"a" and read(build.image, "/s/b.txt") == b"b"
    assert [step.text for step in build.steps][:2] == ["FROM absent AS other", "FROM busybox"]
    based = "FROM absent AS base\nRUN exit 1\nFROM base\nENV A=1\n"
    assert workshop.image(based, build_contexts={"base": "docker-image://busybox"}).config["Env"][-1] == "A=1"


def test_scratch_and_context_always_mean_the_same(workshop: Any, other: Path) -> None:
    contexts = {"scratch": f"docker-image://{'busybox'}", "context": other}
    assert workshop.image("FROM scratch\nENV A=1\n", build_contexts=contexts).layers == []
    empty = workshop.image("FROM other\nENV A=1\n", build_contexts={"other": "docker-image://scratch"})
    assert empty.layers == [] and empty.config["WorkingDir"] == "/"


def test_an_oci_layout_by_tag_and_by_digest(workshop: Any, tmp_path: Path) -> None:
    mine = workshop.image("FROM busybox\nENV LAID=out\n", tag="mine:v1")
    digest, folder = mine.manifest_digest, layout(tmp_path / "laid", mine, "mine:v1", "mine:latest")
    workshop.images.remove(mine.id, force=True)
    for value in (f"{folder}", f"{folder}:v1", f"{folder}@{digest}", f"{folder}:v1@{digest}"):
        image = workshop.image("FROM base\nENV A=1\n", build_contexts={"base": f"oci-layout://{value}"})
        assert "LAID=out" in image.config["Env"]
    with pytest.raises(ImageLoadError, match="no image v9 in this OCI layout"):
        workshop.build("FROM base\n", build_contexts={"base": f"oci-layout://{folder}:v9"})


def test_a_forecast_knows_them(workshop: Any, other: Path) -> None:
    text = "FROM other AS one\nWORKDIR /w\nFROM busybox\nCOPY --from=one /a.txt /\nRUN true\n"

    def decisions(builder: Any = None) -> list[str]:
        more = {"builder": builder} if builder else {}
        build = workshop.build(text, build_contexts={"other": other}, **more)
        return [step.decision.word if step.decision.hit else step.decision.reason for step in build.steps]

    assert decisions(Forecaster) == decisions()
    (other / "sub" / "b.txt").write_text("changed")
    assert decisions(Forecaster) == decisions()
    assert list((workshop.store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (["nothing"], InvalidArgument, "invalid context value: nothing, expected key=value"),
        ({"Upper": "."}, InvalidArgument, "invalid context name Upper: invalid reference format"),
        ({"x": "/not/there"}, InvalidArgument, "failed to get build context x: stat /not/there: no such file"),
        ({"x": "oci-layout:///not/there"}, InvalidArgument, "failed to get build context x: stat /not/there"),
        ({"x": "docker-image://A"}, InvalidArgument, "invalid reference format"),
        (
            {"x": "target:base"},
            Unsupported,
            "--build-context x=target:base is not supported: only `docker buildx bake`",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_built(workshop: Any, given: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        workshop.build("FROM busybox\nRUN true\n", build_contexts=given)
    assert not list((workshop.store.root / "cache" / "steps").glob("*"))


STAGES = "FROM busybox AS one\nRUN echo 1 > /1\nFROM busybox AS two\nRUN echo 2 > /2\nFROM one\nCOPY --from=two /2 /\n"


def test_some_stages_are_built_in_any_case(workshop: Any) -> None:
    workshop.build(STAGES)
    for given in ("TWO", ["two"], "two,absent"):
        build = workshop.build(STAGES, no_cache_filter=given)
        missed = {step.number: step.decision.reason for step in build.steps if not step.decision.hit}
        assert missed == {4: "miss because of --no-cache-filter"}, "what it makes may be the same as before"
    with pytest.raises(InvalidArgument, match="--no-cache and --no-cache-filter cannot currently be used together"):
        workshop.build(STAGES, nocache=True, no_cache_filter="two")
