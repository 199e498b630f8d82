"""`tracer(engine)`: choose who asks, for whom, at which port, and see how far that gets, and which piece is missing.

The way is computed from what the engine tells of its networks; a button makes the connection for real. Others connect
containers to networks and take them off, while they run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as W

from minidocker.errors import DockerException
from minidocker.network.plan import MACHINE, WORLD, Plan
from minidocker.network.tracer import trace
from minidocker.notebook.pictures.networkmap import map_figure
from minidocker.notebook.pictures.packet import trace_figure
from minidocker.notebook.pictures.svg import Figure, stacked
from minidocker.notebook.survey import probe, survey
from minidocker.notebook.widgets.face import Faced, Picture, on_change

if TYPE_CHECKING:
    from minidocker.engine import Engine

FREE = "the port that was given"
Question = tuple[str, str, int]  # who asks, for whom, at which port


class Tracer(Faced):
    """A connection to choose, the map of networks, and its way through them."""

    def __init__(self, engine: Engine, question: Question) -> None:
        self.engine = engine
        self.plan = plan = survey(engine)
        start, target, port = question
        self.start = _choice("from", _starts(plan), start)
        self.target = _choice("to", _targets(plan), target)
        self.port = _choice("port", _ports(plan, port), port)
        self.who = _choice("container", [peer.name for peer in plan.peers if peer.mode not in ("host", "none")])
        self.where = _choice("network", [net.name for net in plan.nets if net.named])
        self.attempt = _button("try it for real", "make this connection, and see what becomes of it")
        self.join = _button("connect", "docker network connect, while it runs")
        self.part = _button("disconnect", "docker network disconnect, while it runs")
        self.again = _button("look again", "after you changed something in another cell")
        self.message, self.picture = W.Label(""), Picture()
        for choice in (self.start, self.target, self.port):
            on_change(choice, lambda _: self.show())
        self.attempt.on_click(lambda _: self.show(self.tried()))
        self.join.on_click(lambda _: self.plug("connect"))
        self.part.on_click(lambda _: self.plug("disconnect"))
        self.again.on_click(lambda _: self.look())
        rows = [
            [self.start, self.target, self.port, self.attempt],
            [self.who, self.where, self.join, self.part, self.again],
        ]
        boxes = [W.HBox(row, layout={"flex_flow": "row wrap"}) for row in rows]
        super().__init__([*boxes, self.message, self.picture])
        self.show()

    @property
    def question(self) -> Question:
        """Who asks, for whom, at which port."""
        return self.start.value, self.target.value, self.port.value

    def show(self, tried: str = "") -> None:
        """Draw the networks, and the way of the connection."""
        self.picture.figure = self.drawn(tried)

    def drawn(self, tried: str = "") -> Figure:
        """The map, and below it the way."""
        plan = self.plan
        start, target, _ = self.question
        found = plan.called(target)
        lit = {start, found.name if found else ""}
        return stacked("where does it end?", [map_figure(plan, lit), trace_figure(trace(plan, *self.question), tried)])

    def tried(self) -> str:
        """What becomes of it for real."""
        self.plan = survey(self.engine)
        try:
            said = probe(self.engine, *self.question)
        except (DockerException, OSError) as error:
            said = str(error)
        if said == "?":
            return "It cannot be tried from here."
        return f"Tried for real: {said or 'somebody answers'}."

    def plug(self, verb: str) -> None:
        """Connect the container to the network, or take it off; an answer that is no is shown."""
        said = f"docker network {verb} {self.where.value} {self.who.value}"
        try:
            getattr(self.engine.networks.get(self.where.value), verb)(self.who.value)
        except (DockerException, OSError) as error:
            said += f": {error}"
        self.message.value = said[:200]
        self.plan = survey(self.engine, self.plan)
        self.show()

    def look(self) -> None:
        """Find out anew who is there."""
        self.plan = plan = survey(self.engine)
        for choice, options in (
            (self.start, _starts(plan)),
            (self.target, _targets(plan)),
            (self.port, _ports(plan, self.port.value)),
            (self.who, [peer.name for peer in plan.peers if peer.mode not in ("host", "none")]),
            (self.where, [net.name for net in plan.nets if net.named]),
        ):
            before = choice.value
            choice.options = options
            if before in [value for _, value in choice._options_full]:
                choice.value = before
        self.show()

    def face(self) -> Figure:
        """The map and the way, as they were seen last."""
        return self.drawn()


def tracer(engine: Engine, start: str, target: str, port: int) -> Tracer:
    """Follow connections between the containers of an engine, step by step; these are the first ones to be chosen."""
    return Tracer(engine, (start, target, port))


def _choice(label: str, options: list[object], value: object = None) -> W.Dropdown:
    known = [option[1] if isinstance(option, tuple) else option for option in options]
    chosen = value if value in known else next(iter(known), None)
    return W.Dropdown(
        options=options,
        value=chosen,
        description=label,
        style={"description_width": "initial"},
        layout={"width": "auto"},
    )


def _button(words: str, tooltip: str) -> W.Button:
    return W.Button(description=words, tooltip=tooltip, layout={"width": "auto"})


def _starts(plan: Plan) -> list[object]:
    return [*(peer.name for peer in plan.peers), MACHINE, WORLD]


def _targets(plan: Plan) -> list[object]:
    """Names, then addresses."""
    aliases = sorted({name for peer in plan.peers for name in peer.names} - {peer.name for peer in plan.peers})
    addresses = [place.address for peer in plan.peers for place in peer.places if place.address]
    return [*(peer.name for peer in plan.peers), *aliases, "localhost", MACHINE, "example.com", *addresses]


def _ports(plan: Plan, wanted: int) -> list[object]:
    """The ports that anybody listens at, exposes or publishes; those that the machine chose by what they lead to."""
    published = [(peer.name, one) for peer in plan.peers for one in peer.published]
    given = {one.number: f"{FREE} for {one.inside} of {name}" for name, one in published if not one.asked}
    known = {wanted, *(port for peer in plan.peers if peer.mode != "host" for port in (*peer.ports(), *peer.exposed))}
    known |= {number for _, one in published for number in (one.number, one.inside)}
    return [
        *((str(port), port) for port in sorted(known - given.keys())),
        *((words, port) for port, words in given.items()),
    ]
