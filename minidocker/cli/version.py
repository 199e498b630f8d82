"""`minidocker version`: so light that asking for it costs hardly more than starting Python."""

from __future__ import annotations

import platform
import sys
from typing import Any

from minidocker import __version__
from minidocker.cli.flags import Call, command

API_VERSION = "1.41"  # of Docker's Engine API, whose words the engine speaks
LABELS = {
    "Version": "Version:",
    "ApiVersion": "API version:",
    "PythonVersion": "Python version:",
    "Os": "OS/Arch:",
    "KernelVersion": "Kernel version:",
}


@command(
    """
version [OPTIONS]

Show the minidocker version information

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
""",
    needs_engine=False,
)
def version(call: Call) -> int:
    """`docker version`: this command line, and the engine that comes with it (`minidocker info` opens it)."""
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    client = {"Version": __version__, "PythonVersion": platform.python_version(), "Os": sys.platform, "Arch": arch}
    server = remote(call) or {"Version": __version__, "ApiVersion": API_VERSION, "Os": "linux", "Arch": arch}
    server.setdefault("KernelVersion", platform.release())
    if call.format:
        from minidocker.cli.format import formatted

        print(formatted({"Client": client, "Server": server}, call.format, "system.versionInfo"))
        return 0
    name = (server.get("Platform") or {}).get("Name") or "minidocker"
    print(f"Client: minidocker\n{lines(client)}\n\nServer: {name}\n Engine:\n{lines(server, '  ')}")
    return 0


def remote(call: Call) -> dict[str, Any]:
    """What the daemon says of itself, where one is meant."""
    from minidocker.cli import hosts

    if not (host := hosts.chosen(call.top)):
        return {}
    from minidocker.cli.remote import Remote

    call.engine = Remote(host.address, host.tls())
    return call.engine.version()  # type: ignore[no-any-return]


def lines(values: dict[str, Any], indent: str = " ") -> str:
    """Labels and values, as docker lists them."""
    shown = {**values, "Os": f"{values['Os']}/{values['Arch']}"}
    return "\n".join(f"{indent}{label:<18}{shown[key]}" for key, label in LABELS.items() if key in shown)
