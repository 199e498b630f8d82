"""The widgets of lesson 05 on both runtimes: what is shown was measured, or it is said that it was not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipywidgets")

import minidocker
from minidocker.container import Container
from minidocker.engine import Engine
from minidocker.errors import StartError
from minidocker.notebook import attacks, sight
from minidocker.notebook.pictures.lens import Facet, Sight
from minidocker.notebook.widgets import lens as module
from minidocker.notebook.widgets.lens import SIMULATED, Lens, lens
from minidocker.notebook.widgets.limitslab import CHOICES, LimitsLab, limits_lab, measured
from minidocker.notebook.widgets.starts import starts
from minidocker.runtime import probe
from minidocker.runtime.capabilities import DEFAULT

SWITCHED = [kind for kind, (flag, _) in sight.SHARED.items() if flag]


@pytest.fixture(scope="module", params=["simulated", "namespaces"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == "namespaces" and probe.choose() != "namespaces":
        pytest.skip("no namespaces on this machine: minidocker doctor says why")
    with minidocker.connect(tmp_path_factory.mktemp("lens"), runtime=request.param) as engine:
        yield engine


@pytest.fixture
def real(engine: Engine) -> Engine:
    if engine.runtime.name != "namespaces":
        pytest.skip("about real containers")
    return engine


@pytest.fixture
def glass(engine: Engine) -> Iterator[Lens]:
    glass = lens(engine)
    yield glass
    glass.close()


@pytest.fixture
def lab(engine: Engine) -> Iterator[LimitsLab]:
    lab = limits_lab(engine)
    yield lab
    lab.close()


def twin(widget: Lens | LimitsLab) -> str:
    assert widget.picture.figure is not None
    return widget.picture.figure.twin


def facet(glass: Lens, kind: str) -> Facet:
    return next(facet for facet in sight.sight(glass.container).facets if facet.kind == kind)


def test_its_still_face_is_the_same_on_both_runtimes_and_the_living_one_is_measured(glass: Lens) -> None:
    assert "process 1, and only its own" in glass.face().twin
    assert glass.container.hostname() in twin(glass) and glass.container.hostname() not in glass.face().twin


@pytest.mark.usefixtures("real")
def test_every_namespace_is_its_own_at_first(glass: Lens) -> None:
    found = sight.sight(glass.container)
    there = {facet.kind: facet for facet in found.facets if facet.host_id}
    assert all(facet.apart and facet.sign == "≠" for facet in there.values()) and len(there) >= 7
    assert there["pid"].inside.startswith("process 1 of ")
    assert there["pid"].host.startswith(f"process {glass.container.state()['Pid']} of ")
    assert [seen.inside for seen in found.processes if not seen.own] == ["", ""]


@pytest.mark.parametrize("kind", [kind for kind in SWITCHED if kind != "user"])
def test_a_switch_makes_both_columns_equal_and_back(real: Engine, glass: Lens, kind: str) -> None:
    first = glass.container.id
    glass.switches[kind].value = False
    found = facet(glass, kind)
    assert (found.host, found.host_id, found.sign) == (found.inside, found.inside_id, "=")
    assert sight.SHARED[kind][0] in twin(glass) and glass.container.id != first
    glass.switches[kind].value = True
    assert facet(glass, kind).sign == "≠"
    assert len(real.containers.list(all=True)) == 1


@pytest.mark.usefixtures("real")
def test_users_are_shared_as_root_and_else_it_is_said_that_they_are_not(glass: Lens) -> None:
    glass.switches["user"].value = False
    if os.geteuid():
        assert facet(glass, "user").sign == "≠" and "Asked for, and not shared" in twin(glass)
    else:
        assert facet(glass, "user").sign == "="


@pytest.mark.usefixtures("real")
def test_all_of_them_at_once(glass: Lens) -> None:
    for kind in SWITCHED:
        glass.switches[kind].value = False
    assert glass.shares == SWITCHED
    assert re.search(rf"this notebook +{os.getpid()} +as +{os.getpid()}$", twin(glass), re.M)


@pytest.mark.usefixtures("real")
def test_what_docker_refuses_is_told_and_the_switch_goes_back(glass: Lens, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(container: Container) -> Sight:
        if not glass.switches["pid"].value:
            raise StartError("not this time")
        return sight.sight(container)

    monkeypatch.setattr(module, "sight", refusing)
    glass.switches["pid"].value = False
    assert "Docker says: not this time" in twin(glass)
    assert glass.switches["pid"].value and glass.container.status == "running"


def test_a_simulated_machine_has_no_switches_and_says_why(glass: Lens) -> None:
    fixed = [kind for kind, switch in glass.switches.items() if switch.disabled]
    assert fixed == (["mnt", "time"] if glass.real else [*sight.SHARED])
    assert (SIMULATED in twin(glass)) is not glass.real
    assert ("≠" in twin(glass)) is glass.real, "nothing is called a wall that was not measured"


def test_closed_it_leaves_nothing(engine: Engine) -> None:
    lens(engine).close()
    limits_lab(engine).close()
    assert engine.containers.list(all=True) == []


def test_made_twice_there_is_one_container(engine: Engine) -> None:
    lens(engine)
    second = lens(engine)
    assert len(engine.containers.list(all=True)) == 1
    second.close()


# Limits


def test_a_limit_that_is_changed_is_in_the_kernels_file(lab: LimitsLab) -> None:
    for limit, (_, key, choices) in CHOICES.items():
        for value in choices:
            if key in lab.allowed:
                lab.fields[limit].value = value
                shown = f"{value.removesuffix('m')} MiB" if limit == "memory" else value
                assert f"says {shown}" in twin(lab)
    assert all(field.disabled == (CHOICES[limit][1] not in lab.allowed) for limit, field in lab.fields.items())


def test_what_cannot_be_limited_is_said(lab: LimitsLab) -> None:
    assert ("Not limited here" in twin(lab)) is any(field.disabled for field in lab.fields.values())
    assert "its cgroup says 64 MiB" in lab.face().twin


@pytest.mark.usefixtures("real")
def test_free_reads_the_same_as_here(lab: LimitsLab) -> None:
    here = {name: Path(name).read_text().splitlines() for name in ("/proc/meminfo", "/proc/self/status")}
    told = measured(here, {})["memory"].told
    assert f"free says {told}" in twin(lab) and "nothing here" not in twin(lab)


def test_of_version_1_no_limit_is_a_large_number() -> None:
    told = {"/proc/meminfo": ["MemTotal: 1048576 kB"]}
    for file, text in (("memory.limit_in_bytes", "9223372036854771712"), ("memory.max", "max")):
        assert measured(told, {file: text})["memory"].limit == "no limit"


# Times, attacks


def test_starts_are_measured_again_at_the_press_of_a_button(engine: Engine) -> None:
    bench = starts(engine)
    bench.again.click()
    assert bench.picture.figure is not None
    assert bench.picture.figure.twin.count("measured here") == 2
    assert bench.face().twin.count("recorded") == 2
    assert engine.containers.list(all=True) == []
    bench.close()


def test_a_container_that_cannot_be_started_is_told(engine: Engine) -> None:
    bench = starts(engine, "nosuch")
    assert bench.picture.figure is not None
    assert "not measured: No such image: nosuch" in bench.picture.figure.twin


def test_powers_are_those_that_the_kernel_says(engine: Engine) -> None:
    fewer: dict[str, Any] = {"cap_drop": ["ALL"], "cap_add": ["KILL"]} if engine.runtime.name == "namespaces" else {}
    box = engine.containers.run("minidocker/base", ["sleep", "100"], detach=True, **fewer)
    assert {*sight.capabilities(box)} == ({"CAP_KILL"} if fewer else {*DEFAULT})
    box.remove(force=True)


def test_an_attack_that_docker_refuses_says_so(engine: Engine) -> None:
    answer = attacks.attempt(engine, "mount a disk", cap_add=["NO_SUCH"])
    assert 'invalid CapAdd: unknown capability: "CAP_NO_SUCH"' in answer


@pytest.mark.usefixtures("real")
def test_a_program_in_a_chroot_that_fails_says_why(tmp_path: Path) -> None:
    assert attacks.in_a_chroot("print('hi')", tmp_path) == "hi\n"
    with pytest.raises(OSError, match="ValueError: no"):
        attacks.in_a_chroot("raise ValueError('no')", tmp_path)
