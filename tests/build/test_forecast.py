"""A forecast says before the build what the build says of its cache, and leaves no trace."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidocker.build import build_image
from minidocker.build.forecast import Forecast, Forecaster
from minidocker.build.records import prune
from minidocker.engine import connect
from minidocker.errors import BuildError, DockerException, DockerfileError, ImageNotFound, Unsupported

DOCKERFILE = """FROM busybox AS build
ARG V=1
COPY req.txt /
RUN echo $V > /v
COPY src /src
RUN cat /src/app.py > /out
FROM busybox
WORKDIR /w
COPY --from=build /out /v ./
RUN cat out > copy
CMD ["cat", "copy"]
"""
FILES = {"req.txt": "r", "src/app.py": "1", "src/lib.py": "l"}


def forecast(workshop: Any, text: str, **options: Any) -> Forecast:
    found = build_image(workshop, path=workshop.folder, text=text, builder=Forecaster, **options)
    assert isinstance(found, Forecast)
    return found


def decisions(build: Any) -> dict[int, str]:
    return {step.number: step.decision.word if step.decision.hit else step.decision.reason for step in build.steps}


def words(build: Any) -> str:
    return " ".join(step.decision.word for step in build.steps)


def everything(root: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        found[str(path)] = (about.st_mtime_ns, about.st_size, path.read_bytes() if path.is_file() else b"")
    return found


@pytest.fixture
def built(workshop: Any) -> Any:
    workshop.build(DOCKERFILE, FILES)
    return workshop


def test_the_first_time_all_is_built_and_that_is_certain(workshop: Any) -> None:
    workshop.write(FILES)
    found = forecast(workshop, DOCKERFILE)
    assert decisions(found) == decisions(workshop.build(DOCKERFILE))
    assert (found.image, words(found).count("depends")) == (None, 0)
    assert repr(found) == "<Forecast: 11 steps: 2 hit, 9 miss>"


def test_nothing_is_written_and_nothing_is_run(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    built.write({"src/app.py": "2"})
    before = everything(built.store.root)
    monkeypatch.setattr(built, "runtime", None)
    assert "miss" in words(forecast(built, DOCKERFILE, tag="new"))
    assert everything(built.store.root) == before


def test_a_changed_file_is_named_and_what_another_stage_makes_is_left_open(built: Any) -> None:
    built.write({"src/app.py": "2"})
    found = forecast(built, DOCKERFILE)
    assert words(found) == "hit hit hit hit miss miss hit hit depends depends depends"
    assert decisions(found)[5].startswith("miss because src/app.py changed (was sha256:6b86…")
    assert decisions(found)[6] == "miss because parent changed (step 5)"
    assert decisions(found)[9] == "depends on what stage build makes this time"
    assert decisions(found)[10] == decisions(found)[11] == "depends on step 9"


@pytest.mark.parametrize(("change", "ends"), [("1 # said otherwise", "miss"), ("1", "hit")])
def test_it_may_come_out_either_way(built: Any, change: str, ends: str) -> None:
    built.write({"src/lib.py": "changed", "src/app.py": change})
    assert words(forecast(built, DOCKERFILE)).endswith("depends depends depends")
    assert words(built.build(DOCKERFILE)).endswith(ends)


def test_what_a_stage_copies_can_be_known_without_running(workshop: Any) -> None:
    text = "FROM scratch AS files\nCOPY src /src\nWORKDIR /w\nFROM busybox\nCOPY --from=files /src/app.py /\nRUN true\n"
    workshop.build(text, FILES)
    workshop.write({"src/lib.py": "changed"})
    assert words(forecast(workshop, text)) == "hit miss miss hit hit hit"
    workshop.write({"src/app.py": "changed"})
    assert decisions(forecast(workshop, text))[5].startswith("miss because src/app.py changed")


def test_what_mounts_show_counts(workshop: Any) -> None:
    text = (
        "FROM busybox AS build\nARG V=1\nRUN mkdir /o && echo $V > /o/v\nFROM busybox\n"
        "RUN --mount=target=/c,source=src --mount=type=cache,target=/k --mount=type=secret,id=s cat /c/app.py > /k/a\n"
        "RUN --mount=from=build,source=o,target=/o cat /o/v\n"
    )
    workshop.build(text, FILES)
    assert words(forecast(workshop, text, secrets={"s": "other"})) == "hit hit hit hit hit hit"
    found = forecast(workshop, text, buildargs={"V": "2"})
    assert words(found).endswith("miss hit hit depends")
    assert decisions(found)[6] == "depends on what stage build makes this time"
    workshop.write({"req.txt": "not mounted", "src/lib.py": "2"})
    found = forecast(workshop, text)
    assert decisions(found)[5].startswith("miss because c/lib.py changed")
    assert decisions(found) == decisions(workshop.build(text))


def test_a_step_that_two_stages_share_is_built_once(workshop: Any) -> None:
    run = "RUN head -c 9 /dev/urandom > /r\n"
    text = f"FROM busybox AS a\n{run}FROM busybox\n{run}COPY --from=a /etc /e\nRUN true\n"
    assert words(forecast(workshop, text)) == "hit miss hit miss miss miss"
    build = workshop.build(text)
    assert words(build) == "hit miss hit miss miss miss", "what counts is what was there before, whoever comes first"
    assert build.steps[1].layer.diff_id == build.steps[3].layer.diff_id


def test_below_a_sure_miss_even_an_unknown_copy_is_sure(built: Any) -> None:
    changed = DOCKERFILE.replace("WORKDIR /w", "WORKDIR /x").replace("echo $V", "echo new $V")
    found = forecast(built, changed)
    assert "depends" not in words(found)
    assert decisions(found) == decisions(built.build(changed))


def test_build_arguments_target_and_no_cache_count(built: Any) -> None:
    for options in ({"buildargs": {"V": "2"}}, {"target": "build"}, {"nocache": True}, {"buildargs": {"X": "2"}}):
        found = forecast(built, DOCKERFILE, **options)
        made = build_image(built, path=built.folder, text=DOCKERFILE, **options)
        sure = {number for number, step in enumerate(found.steps, 1) if not step.decision.depends}
        assert {n: decisions(found)[n] for n in sure} == {n: decisions(made)[n] for n in sure}
        assert [line for line in found.log.splitlines() if "Warning" in line] == [
            line for line in made.log.splitlines() if "Warning" in line
        ]


def test_triggers_are_followed(workshop: Any) -> None:
    workshop.build("FROM busybox\nONBUILD COPY req.txt /\nONBUILD RUN cat /req.txt\n", FILES, tag="parent")
    text = "FROM parent\nRUN echo own\n"
    workshop.build(text)
    workshop.write({"req.txt": "changed"})
    found = forecast(workshop, text)
    assert words(found) == "hit miss miss miss"
    assert decisions(found) == decisions(workshop.build(text))


def test_a_linked_copy_is_known_even_in_doubt(workshop: Any) -> None:
    text = "FROM busybox AS a\nRUN echo {} > /a\nFROM busybox\nCOPY --from=a /a /\nCOPY --link req.txt /r\nRUN true\n"
    workshop.build(text.format(1), FILES)
    assert words(forecast(workshop, text.format(2))) == "hit miss hit depends hit depends"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("FROM busybox\nCOPY nope /\n", BuildError),
        ("FROM busybox\nCOPY --chown=nobody-here req.txt /\n", BuildError),
        ("FROM busybox\nCOPY req.txt /etc\nCOPY src /etc/req.txt\n", BuildError),
        ("FROM nope\n", ImageNotFound),
        ("FROM busybox\nCOYP a b\n", DockerfileError),
        ("FROM busybox\nRUN --security=insecure true\n", Unsupported),
        ("FROM busybox\nRUN true\nCOPY --from=7 / /\n", DockerfileError),
    ],
)
def test_it_fails_as_the_build_would(workshop: Any, text: str, error: type[DockerException]) -> None:
    workshop.write(FILES)
    with pytest.raises(error) as early:
        forecast(workshop, text)
    with pytest.raises(error) as late:
        workshop.build(text)
    assert str(early.value) == str(late.value)


def test_it_tells_how_long_things_took(workshop: Any) -> None:
    text = "FROM busybox\nRUN sleep 0.1\nRUN sleep 0.2\n"
    assert forecast(workshop, text).cost == 0
    workshop.build(text)
    first, second = (step.seconds for step in forecast(workshop, text).steps[1:])
    assert first > 0.1 and second > 0.2
    for changed, saved, cost in (("", first + second, 0), ("0.1", 0, second), ("0.2", first, 0)):
        found = forecast(workshop, text.replace(f"sleep {changed}\n", f"sleep {changed}1\n"))
        assert (found.saved, found.cost) == (saved, cost), "what a new line takes is not known"


def test_an_event_comes_after_each_step_even_if_it_breaks_off(workshop: Any) -> None:
    events: list[dict[str, Any]] = []
    with pytest.raises(BuildError):
        forecast(workshop, "FROM busybox\nRUN true\nCOPY nope /\n", on_event=events.append)
    assert [event["step"].decision.word for event in events if "step" in event] == ["hit", "miss"]
    assert events[-1]["errorDetail"]["message"].startswith("failed to compute cache key")


def test_a_base_that_is_made_here_is_promised(tmp_path: Path) -> None:
    engine, text = connect(tmp_path, runtime="simulated"), "FROM minidocker/base\nRUN true\n"
    found = engine.images.forecast(text=text)
    assert words(found) == "hit miss" and not engine.images.list()
    image, build = engine.images.build(text=text)
    assert decisions(found) == decisions(build)
    for name in (image.id, "minidocker/base"):
        engine.images.remove(name, force=True)
    found = engine.images.forecast(text=text)
    assert decisions(found) == {1: "depends on minidocker/base, which is made first", 2: "depends on step 1"}
    engine.close()


LINES = [
    "COPY a.txt /",
    "COPY a.txt b.txt /d/",
    "COPY --link b.txt /l",
    "RUN cat a.txt > /got; true",
    "RUN echo 1 > /one",
    "RUN echo $V > /v",
    "RUN --mount=target=/c,source=a.txt --mount=type=secret,id=s,env=S cat /c > /got",
    "RUN --mount=type=cache,target=/k,id=$V --mount=target=/c,rw cat /c/b.txt >> /k/all",
    "RUN --mount=from=one,source=v,target=/m --mount=type=tmpfs,target=/t cat /m > /one",
    "ARG V=0",
    "ENV V=5",
    "LABEL k=v",
    "WORKDIR /w",
    "COPY --from=one /got /one /here/",
    "COPY --from=one /v /",
    "COPY . /all/",
    "COPY --exclude=a.* . /some/",
    "COPY --parents --chmod=u=rwX,go=rX ./*.txt nope* /kept/",
    "ADD URL a.txt /url/",
    "ADD --checksum=sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 URL /sure",  # of x
]
EARLY = [line for line in LINES if "from=one" not in line]
EDITS = st.tuples(st.sampled_from(["a.txt", "b.txt"]), st.sampled_from("xyz"))
STATES = st.tuples(
    st.lists(st.sampled_from(EARLY), min_size=1, max_size=4),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=5),
    st.sampled_from(["busybox", "one"]),
    EDITS,
    st.sampled_from([{}, {"V": "1"}]),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    serve = runpy.run_path(str(Path(__file__).parent / "site.py"))["serve"]
    with serve(tmp_path_factory.mktemp("www")) as found:
        yield found


@settings(max_examples=25)
@given(st.lists(STATES, min_size=2, max_size=4))
def test_whatever_is_edited_the_build_does_what_was_forecast(
    shared_workshop: Any, site: Any, states: list[Any]
) -> None:
    url = site.put("/f", "x")
    shared_workshop.write({"a.txt": "x", "b.txt": "x", "go": "RUN touch /got /one /v"})
    prune(shared_workshop.store)
    for early, late, base, (name, content), args in states:
        text = "\n".join(["FROM busybox AS one", "RUN touch /got /one /v", *early, f"FROM {base}", *late])
        text = text.replace("URL", url)
        site.put("/f", "x" if "--checksum" in text else content)
        options = {"files": {name: content}, "buildargs": args}
        shared_workshop.write(options["files"])
        found = forecast(shared_workshop, text, buildargs=args)
        made = shared_workshop.build(text, **options)
        sure = [step.number for step in found.steps if not step.decision.depends]
        assert {n: decisions(found)[n] for n in sure} == {n: decisions(made)[n] for n in sure}, text
        assert [step.text for step in found.steps] == [step.text for step in made.steps]
