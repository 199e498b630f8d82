"""Netlink (rtnetlink(7)): how the kernel is told about bridges and cables, one message each.

The messages are `pyroute2`'s, the socket is ours: of the package, only what writes messages is loaded, since all of it
takes longer to load than a container to start.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
ERROR = struct.Struct("=i")
NEW_LINK, DELETE_LINK, SET_LINK, NEW_ROUTE, DELETE_ROUTE, NEW_RULE, DELETE_RULE = 16, 17, 19, 24, 25, 32, 33  # RTM_…
REQUEST, ACKNOWLEDGE, EXCLUSIVE, CREATE = 0x1, 0x4, 0x200, 0x400
ERROR_MESSAGE = 2
UP = {"flags": 1, "change": 1}  # IFF_UP
TO_TABLE, UNREACHABLE = 1, 7  # what a rule does: FR_ACT_TO_TBL, FR_ACT_UNREACHABLE; a route, RTN_UNREACHABLE
UNICAST, BOOT, EVERYWHERE, LINK = 1, 3, 0, 253  # of a route: its type, its origin and its scope
BRIDGE_FAMILY, PORT_INFO, ISOLATED = 7, 12 | 0x8000, 33  # AF_BRIDGE; IFLA_PROTINFO, and IFLA_BRPORT_ISOLATED in it
MAIN = 254  # the routing table of everyday


class Links:
    """The links of the network namespace in which this was made."""

    def __init__(self) -> None:
        from pyroute2.netlink.rtnl.fibmsg import fibmsg
        from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
        from pyroute2.netlink.rtnl.rtmsg import rtmsg

        self._forms = {NEW_LINK: ifinfmsg, DELETE_LINK: ifinfmsg, NEW_RULE: fibmsg, NEW_ROUTE: rtmsg}
        self._forms |= {DELETE_RULE: fibmsg, DELETE_ROUTE: rtmsg}
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._asked = 0

    def bridge(self, name: str, mtu: int, mac: str) -> None:
        """Make a bridge."""
        info = {"attrs": [("IFLA_INFO_KIND", "bridge")]}
        own = (("IFLA_IFNAME", name), ("IFLA_MTU", mtu), ("IFLA_ADDRESS", mac))
        self._ask(NEW_LINK, UP, *own, ("IFLA_LINKINFO", info))

    def cable(self, name: str, bridge: int, mtu: int, namespace: int, interface: str, mac: str) -> None:
        """Lay a cable: one end, `name`, in a bridge; the other, `interface`, in another network namespace."""
        far = (("IFLA_IFNAME", interface), ("IFLA_NET_NS_FD", namespace), ("IFLA_ADDRESS", mac), ("IFLA_MTU", mtu))
        data = {"attrs": [("VETH_INFO_PEER", {"attrs": list(far)})]}
        info = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}
        near = (("IFLA_IFNAME", name), ("IFLA_MTU", mtu), ("IFLA_MASTER", bridge))
        self._ask(NEW_LINK, UP, *near, ("IFLA_LINKINFO", info))

    def isolate(self, name: str) -> None:
        """Let a port of a bridge reach no other such port, only the bridge itself. Raises OSError."""
        attribute = struct.pack("=HHB3x", 5, ISOLATED, 1)
        body = struct.pack("=BxHiII", BRIDGE_FAMILY, 0, socket.if_nametoindex(name), 0, 0)
        self._send(SET_LINK, body + struct.pack("=HH", 4 + len(attribute), PORT_INFO) + attribute, 0)

    def move(self, name: str, namespace: int, new: str, mac: str = "") -> None:
        """Move a link to another network namespace, where it has another name. Raises OSError."""
        own = (("IFLA_ADDRESS", mac),) if mac else ()
        what = {"index": socket.if_nametoindex(name)}
        self._ask(NEW_LINK, what, ("IFLA_NET_NS_FD", namespace), ("IFLA_IFNAME", new), *own, create=False)

    def route(self, where: str, through: str, interface: str) -> None:
        """Lead to a range of addresses through a neighbour, or where there is none, right by an interface."""
        ip, _, size = where.partition("/")
        scope = EVERYWHERE if through else LINK
        fields = {"family": socket.AF_INET, "type": UNICAST, "proto": BOOT, "scope": scope, "dst_len": int(size)}
        by = ("RTA_GATEWAY", through) if through else ("RTA_OIF", socket.if_nametoindex(interface))
        self._ask(NEW_ROUTE, fields, ("RTA_DST", ip), by, ("RTA_TABLE", MAIN))

    def close(self) -> None:
        """Be done."""
        self._socket.close()

    def remove(self, name: str) -> None:
        """Take a link away, of a cable both ends."""
        self._ask(DELETE_LINK, {}, ("IFLA_IFNAME", name))

    def rule(self, priority: int, interface: str = "", table: int = 0, kind: int = NEW_RULE) -> None:
        """Say by which table goes on what comes in by an interface (`lo`: what begins here); without one, nothing goes
        on, and whoever sends it is told so at once. The lowest priority that fits counts.
        """
        rule = {"family": socket.AF_INET, "action": TO_TABLE if table else UNREACHABLE}
        what = (("FRA_IIFNAME", interface),) if interface else ()
        self._ask(kind, rule, *what, ("FRA_PRIORITY", priority), *((("FRA_TABLE", table),) if table else ()))

    def way_out(self, table: int, interface: int, gateway: str) -> None:
        """The only route of a table: everything goes through a gateway."""
        route = {"family": socket.AF_INET, "type": UNICAST, "proto": BOOT, "scope": EVERYWHERE}
        self._ask(NEW_ROUTE, route, ("RTA_GATEWAY", gateway), ("RTA_OIF", interface), ("RTA_TABLE", table))

    def no_way(self, table: int, subnet: str, kind: int = NEW_ROUTE) -> None:
        """Say in a table that nothing goes to a range of addresses."""
        ip, _, size = subnet.partition("/")
        route = {"family": socket.AF_INET, "type": UNREACHABLE, "proto": BOOT, "dst_len": int(size)}
        self._ask(kind, route, ("RTA_DST", ip), ("RTA_TABLE", table))

    def _ask(self, kind: int, fields: dict[str, Any], *attributes: tuple[str, Any], create: bool = True) -> None:
        """Send one message and wait for the kernel's answer. Raises OSError."""
        message = self._forms[kind]()
        message.update(fields, attrs=list(attributes))
        message.encode()
        more = CREATE | EXCLUSIVE if create and kind not in (DELETE_LINK, DELETE_ROUTE, DELETE_RULE) else 0
        self._send(kind, bytes(message.data)[HEADER.size :], more)  # after the header that it gives itself

    def _send(self, kind: int, body: bytes, more: int) -> None:
        self._asked += 1
        head = HEADER.pack(HEADER.size + len(body), kind, REQUEST | ACKNOWLEDGE | more, self._asked, 0)
        self._socket.send(head + body)
        while True:
            answer = self._socket.recv(1 << 16)
            _, said, _, number, _ = HEADER.unpack_from(answer)
            if number == self._asked and said == ERROR_MESSAGE:
                break
        if code := -ERROR.unpack_from(answer, HEADER.size)[0]:
            raise OSError(code, os.strerror(code))
