"""The packet tracer over containers that run, on both runtimes: what it foretells is what becomes of the connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("ipywidgets")

from minidocker.engine import Engine
from minidocker.network.plan import ANY, LOOPBACK, MACHINE
from minidocker.network.tracer import trace
from minidocker.notebook.survey import listening, probe, survey
from minidocker.notebook.widgets.tracer import Tracer, tracer
from tests.bridged import bridged

BASE = "minidocker/base"
SERVE = ["sh", "-c", "mkdir /w; hostname >/w/index.html; httpd -p ${AT:-80} -h /w; echo ready; exec sleep 1000"]


@pytest.fixture(scope="module", params=["simulated", "namespaces"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """`web` and `shy` on the one network, `db` on another that is internal."""
    opened = bridged(tmp_path_factory.mktemp(request.param), request.param, "busybox true")
    with opened:
        opened.networks.create("shop")
        opened.networks.create("vault", internal=True)
        for name, network, at in (("web", "shop", "80"), ("shy", "shop", "127.0.0.1:80"), ("db", "vault", "80")):
            options: dict[str, Any] = {"environment": {"AT": at}, "ports": {"80": None} if network == "shop" else None}
            made = opened.containers.run(BASE, SERVE, name=name, network=network, detach=True, **options)
            next(made.logs(stream=True))
        yield opened
        for container in opened.containers.list(all=True):
            container.remove(force=True)


@pytest.fixture
def lab(engine: Engine) -> Iterator[Tracer]:
    lab = tracer(engine, "web", "db", 80)
    yield lab
    lab.close()


def twin(lab: Tracer) -> str:
    assert lab.picture.figure is not None
    return lab.picture.figure.twin


def published(engine: Engine, name: str) -> int:
    return int(engine.containers.get(name).ports["80/tcp"][0]["HostPort"])


def test_what_it_foretells_is_what_happens(engine: Engine) -> None:
    addresses = {peer.name: peer.places[0].address for peer in survey(engine).peers}
    asked = [("web", name, port) for name in ("web", "shy", "db", "localhost", "nobody") for port in (80, 81)]
    asked += [("shy", "localhost", 80), ("db", "localhost", 80), ("db", "web", 80), ("db", addresses["web"], 80)]
    asked += [(MACHINE, "localhost", published(engine, name)) for name in ("web", "shy")]
    plan = survey(engine)
    for question in asked:
        foretold, said = trace(plan, *question).error, probe(engine, *question)
        assert bool(foretold) == bool(said) and foretold in said, question


def test_who_listens_is_seen(engine: Engine) -> None:
    found = {peer.name: peer.listens for peer in survey(engine).peers}
    assert {name: set(spots or ()) for name, spots in found.items()} == {
        "web": {(ANY, 80)},
        "shy": {(LOOPBACK, 80)},
        "db": {(ANY, 80)},
    }


def test_it_begins_with_the_question_and_shows_so_without_a_kernel(lab: Tracer) -> None:
    assert lab.question == ("web", "db", 80)
    assert lab.face().twin == twin(lab) == str(lab) and "it is on vault" in twin(lab)
    assert "<svg" in lab._repr_mimebundle_()["text/html"]


def test_a_move_is_followed_at_once(lab: Tracer) -> None:
    lab.target.value = "shy"
    assert "127.0.0.1:80 only" in twin(lab)
    lab.start.value = "shy"
    lab.target.value = "localhost"
    assert "It arrives." in twin(lab)


def test_it_is_mended_while_all_runs(lab: Tracer) -> None:
    lab.who.value, lab.where.value = "web", "vault"
    lab.join.click()
    assert "both are on vault" in twin(lab) and "It arrives." in twin(lab)
    lab.attempt.click()
    assert "Tried for real: somebody answers." in twin(lab)
    lab.join.click()
    assert "already exists in network vault" in lab.message.value
    lab.part.click()
    lab.attempt.click()
    assert "it is on vault" in twin(lab) and "Tried for real: bad address 'db'" in twin(lab)


def test_what_came_and_went_is_found_by_another_look(engine: Engine, lab: Tracer) -> None:
    late = engine.containers.create(BASE, name="late", network="shop")
    lab.look()
    lab.target.value = "late"
    assert "has no name until it does" in twin(lab)
    late.remove()
    lab.look()
    assert "late" not in lab.target.options and lab.question[1] in lab.target.options


def test_the_kernels_table_of_ports() -> None:
    head = "  sl  local_address rem_address   st\n"
    rows = ["0100007F:0050 00000000:0000 0A", "00000000:1538 00000000:0000 0A", "0200000A:1F90 0300000A:C000 01"]
    rows += [f"{'0' * 32}:0051 {'0' * 32}:0000 0A", f"{'0' * 24}01000000:0052 {'0' * 32}:0000 0A"]
    table = head + "".join(f"   {n}: {row} 0 0\n" for n, row in enumerate(rows))
    assert list(listening(table)) == [(LOOPBACK, 80), (ANY, 5432), (ANY, 81), (LOOPBACK, 82)]
