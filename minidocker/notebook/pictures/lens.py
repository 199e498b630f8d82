"""The namespace lens: one row a namespace, and in it what the host sees and what the container sees.

`≠` stands where the kernel keeps them apart, `=` where both are in the same namespace; below it the same processes,
with the number that each side calls them by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minidocker.notebook.pictures.svg import Figure, Markup, el, group, rect, text

WIDTH, HOST, SIGN, INSIDE, ROW, TOP, LINE = 800, 186, 486, 516, 40, 68, 22  # columns; a row; where they begin
KINDS = {  # of namespaces, as in /proc/<pid>/ns -> what each is about
    "pid": "processes",
    "mnt": "files, mounts",
    "uts": "host name",
    "net": "network",
    "user": "users, powers",
    "ipc": "shared memory",
    "cgroup": "limits, groups",
    "time": "clocks",
}
TITLE = "a container, from outside and from inside"


@dataclass(frozen=True)
class Facet:
    """One kind of namespace: what each side sees, whether they are apart (None: who knows), and the kernel's ids."""

    kind: str
    host: str
    inside: str
    apart: bool | None = True
    host_id: str = ""
    inside_id: str = ""

    @property
    def sign(self) -> str:
        """`≠` where they are apart."""
        return "?" if self.apart is None else "≠" if self.apart else "="


@dataclass(frozen=True)
class Seen:
    """A process, and the number that each side has for it; empty: that side does not see it."""

    name: str
    host: str
    inside: str
    own: bool = False  # whether it is the container's


@dataclass(frozen=True)
class Sight:
    """All that the lens shows."""

    facets: tuple[Facet, ...]
    processes: tuple[Seen, ...]


STILL = Sight(  # true of every container that shares nothing, whatever its machine
    (
        Facet("pid", "one process among many", "process 1, and only its own"),
        Facet("mnt", "all of the machine's files", "the image's layers, and its own on top"),
        Facet("uts", "the machine's name", "a name of its own"),
        Facet("net", "the machine's interfaces", "interfaces of its own"),
        Facet("user", "somebody with no special power", "root, over what is its own"),
        Facet("ipc", "the machine's shared memory", "shared memory of its own"),
        Facet("cgroup", "one group of the machine's tree", "the top of a tree"),
        Facet("time", "the machine's clocks", "clocks of its own, not shifted"),
    ),
    (
        Seen("the machine's first process", "1", ""),
        Seen("this notebook", "a number", ""),
        Seen("the container's first process", "a number", "1", True),
    ),
)


def lens_figure(sight: Sight, command: str = "docker run", notes: Sequence[str] = ()) -> Figure:
    """Draw both sides; `command` is how the container was started, `notes` is what there is to say about it."""
    apart = sum(facet.apart is not False for facet in sight.facets)
    table = TOP + ROW * len(sight.facets) + 22.0
    below = table + LINE * (len(sight.processes) + 1) + 8
    drawn = [text(0, 16, TITLE, "md-h"), text(0, 34, command, "md-c", "md-dim", width=WIDTH), *_heads(TOP - 10)]
    drawn += [group(_row(facet), 0, TOP + ROW * index) for index, facet in enumerate(sight.facets)]
    drawn.append(group(_processes(sight.processes), 0, table))
    drawn += [text(0, below + 14 + index * 16, note, "md-s", width=WIDTH) for index, note in enumerate(notes)]
    said = f"{apart} of {len(sight.facets)} kinds of namespaces are the container's own."
    told = [f"{KINDS[each.kind]}: {each.host or '-'} {each.sign} {each.inside}" for each in sight.facets]
    return Figure(
        TITLE,
        " ".join([said, ". ".join(told), *notes]),
        "".join(drawn),
        WIDTH,
        below + 16 * len(notes) + 6,
        "\n".join([TITLE, f"  {command}", *_twin(sight), *(f"  {note}" for note in notes)]),
    )


def _heads(y: float) -> list[Markup]:
    heads = ((0, "namespace"), (HOST + 10, "what the host sees"), (INSIDE + 10, "what the container sees"))
    return [text(x, y, words, "md-dim", "md-s") for x, words in heads]


def _row(facet: Facet) -> Iterator[Markup]:
    look = ["md-on"] if facet.apart is False else ["md-box"] if facet.apart else ["md-thin", "md-dash"]
    yield text(0, 15, KINDS[facet.kind], "md-b")
    yield text(0, 29, facet.kind, "md-c", "md-dim")
    for x, words, id_ in ((HOST, facet.host, facet.host_id), (INSIDE, facet.inside, facet.inside_id)):
        width = SIGN - HOST - 16 if x == HOST else WIDTH - INSIDE
        if words:
            yield rect(x, 0, width, ROW - 6, *look)
        yield text(x + 10, 14.5 if id_ else 21, words, "md-c", width=width - 18)
        yield text(x + 10, 28, id_, "md-dim", "md-s", width=width - 18)
    yield text(SIGN + 7, 22, facet.sign, "md-h", text_anchor="middle")


def _processes(processes: Sequence[Seen]) -> Iterator[Markup]:
    yield text(0, 0, "the same process", "md-dim", "md-s")
    for x, words in ((HOST, "its number for the host"), (INSIDE, "its number in the container")):
        yield text(x + 10, 0, words, "md-dim", "md-s")
    for index, seen in enumerate(processes):
        y = 16.0 + LINE * index
        yield el("path", d=f"M0 {y - 11:.0f}H{WIDTH}", class_="md-thin", stroke_opacity=0.5)
        yield text(0, y + 4, seen.name, "md-b" if seen.own else "", width=HOST - 6)
        yield text(HOST + 10, y + 4, seen.host, "md-c")
        yield text(INSIDE + 10, y + 4, seen.inside or "it does not see it", "md-c", "" if seen.inside else "md-dim")


def _twin(sight: Sight) -> Iterator[str]:
    rows = [(KINDS[each.kind], each.host or "-", each.sign, each.inside) for each in sight.facets]
    rows += [(each.name, each.host, "as", each.inside or "not seen") for each in sight.processes]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        name, host, sign = (words.ljust(width) for words, width in zip(row, wide, strict=False))
        yield f"  {name}  {host}  {sign}  {row[3]}"
