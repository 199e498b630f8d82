"""A network plugin, as short as one can be: a pair of interfaces for each container, its other end on a bridge.

python plugin.py SOCKET LOG
"""

import http.server
import json
import os
import socketserver
import subprocess
import sys
from pathlib import Path
from typing import Any


def ip(words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


def answer(method: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What it does, and says."""
    bridge, end = f"nd{asked.get('NetworkID', '')[:6]}", asked.get("EndpointID", "")[:6]
    if method == "Plugin.Activate":
        return {"Implements": ["NetworkDriver"]}
    if method == "NetworkDriver.GetCapabilities":
        return {"Scope": "local", "ConnectivityScope": "local"}
    if method == "NetworkDriver.CreateNetwork":
        if asked["Options"]["com.docker.network.generic"].get("refuse"):
            raise ValueError("no such networks today")
        ip(f"link add {bridge} type bridge")
        ip(f"addr add {asked['IPv4Data'][0]['Gateway']} dev {bridge}")
        ip(f"link set {bridge} up")
    if method == "NetworkDriver.DeleteNetwork":
        ip(f"link del {bridge}")
    if method == "NetworkDriver.CreateEndpoint":
        return {"Interface": {"MacAddress": "02:42:00:00:00:" + end[:2]}}
    if method == "NetworkDriver.Join":
        if Path(sys.argv[2] + ".die").exists():
            os._exit(1)
        ip(f"link add o{end} type veth peer name i{end}")
        ip(f"link set o{end} master {bridge} up")
        routes = [{"Destination": "10.77.0.0/16", "RouteType": 1}]
        return {"InterfaceName": {"SrcName": f"i{end}", "DstPrefix": "net"}, "StaticRoutes": routes}
    if method == "NetworkDriver.DeleteEndpoint":
        subprocess.run(["ip", "link", "del", f"o{end}"], check=False, capture_output=True)  # it may have gone before
    return {}


class Plugin(http.server.BaseHTTPRequestHandler):
    """One request: a method of libnetwork's protocol, its arguments in JSON."""

    def do_POST(self) -> None:
        """Answer it."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        with Path(sys.argv[2]).open("a") as log:
            print(self.path[1:], file=log)
        try:
            said, status = answer(self.path[1:], asked), 200
        except (ValueError, subprocess.CalledProcessError) as error:
            said, status = {"Err": str(error)}, 500
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    socketserver.UnixStreamServer(sys.argv[1], Plugin).serve_forever()
