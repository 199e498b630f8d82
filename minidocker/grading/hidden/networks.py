"""Hidden cases of exercise 11."""

from __future__ import annotations

from minidocker.grading.exercise import Case
from minidocker.grading.networks import end, net

FULL = [f"192.168.7.{number}" for number in range(1, 15)]

HIDDEN = {
    "11.1": (
        Case("udp, alone", ("5353/udp",), [("5353/udp", "", "")]),
        Case(
            "an address, ranges and udp",
            ("10.1.2.3:1-2:3-4/udp",),
            [("3/udp", "10.1.2.3", "1"), ("4/udp", "10.1.2.3", "2")],
        ),
        Case("an address with colons, and any port", ("[fe80::1]::443",), [("443/tcp", "fe80::1", "")]),
        Case("a choice at one address", ("127.0.0.1:1000-1005:22",), [("22/tcp", "127.0.0.1", "1000-1005")]),
        Case("one port of the machine for a range", ("80:80-81",), ValueError),
        Case("an address, and nothing inside", ("127.0.0.1:80:",), ValueError),
    ),
    "11.2": (
        Case("a gap far up", ("192.168.7.0/28", "", FULL[:11] + FULL[12:]), "192.168.7.12"),
        Case("a full one", ("192.168.7.0/28", "", FULL), ValueError),
        Case("one is asked for in a full one", ("192.168.7.0/28", "192.168.7.3", FULL), ValueError),
        Case("the last one that there is", ("192.168.7.0/28", "", FULL[:-1]), "192.168.7.14"),
        Case("from the middle of a large range", ("10.4.0.0/14", "10.7.255.9", []), "10.7.255.9"),
        Case("taken ones of another range", ("10.4.0.0/14", "", ["10.3.0.1"]), "10.4.0.1"),
    ),
    "11.3": (
        Case(
            "three of a name",
            ([end(f"w-{n}", f"10.0.0.{n}", "www") for n in (4, 2, 3)],),
            {
                "w-4": ["10.0.0.4"],
                "www": ["10.0.0.4", "10.0.0.2", "10.0.0.3"],
                "w-2": ["10.0.0.2"],
                "w-3": ["10.0.0.3"],
            },
        ),
        Case(
            "an alias that differs in case", ([end("a", "10.0.0.2", "A", "B")],), {"a": ["10.0.0.2"], "b": ["10.0.0.2"]}
        ),
        Case("another range", ([{"Name": "x", "IPv4Address": "10.0.0.2/8"}],), {"x": ["10.0.0.2"]}),
    ),
    "11.4": (
        Case(
            "on an internal one, of two",
            ("10.0.1.5", [net("a", "10.0.0.0/24"), net("b", "10.0.1.0/24", True)], []),
            "b",
        ),
        Case(
            "two internal ones", ("8.8.8.8", [net("a", "10.0.0.0/24", True), net("b", "10.0.1.0/24", True)], []), None
        ),
        Case("a large other one", ("172.20.77.1", [net("a", "10.0.0.0/24")], ["172.16.0.0/12"]), None),
        Case("just beyond a range", ("10.0.0.128", [net("a", "10.0.0.0/25")], []), "world"),
        Case(
            "the first address beyond an other one", ("10.2.0.0", [net("a", "10.0.0.0/24")], ["10.1.0.0/16"]), "world"
        ),
    ),
    "11.5": (
        Case(
            "three, of which one is new",
            ("1.1.1.1\tx\n2.2.2.2\tx\n", "x", ["2.2.2.2", "3.3.3.3", "1.1.1.1"]),
            "1.1.1.1\tx\n2.2.2.2\tx\n3.3.3.3\tx\n",
        ),
        Case("all are gone", ("1.1.1.1\tx\n2.2.2.2\txx\n1.1.1.1\tx\n", "x", []), "2.2.2.2\txx\n"),
        Case("a comment with the name", ("# x\n9.9.9.9\ta x\n", "x", ["1.1.1.1"]), "# x\n9.9.9.9\ta x\n1.1.1.1\tx\n"),
        Case("the order of what is new", ("", "x", ["9.9.9.9", "1.1.1.1"]), "9.9.9.9\tx\n1.1.1.1\tx\n"),
    ),
}
