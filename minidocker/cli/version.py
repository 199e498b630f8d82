"""`minidocker version`: so light that asking for it costs hardly more than starting Python."""

from __future__ import annotations

import platform
import sys

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
    server = {"Version": __version__, "ApiVersion": API_VERSION, "Os": "linux", "Arch": arch}
    server["KernelVersion"] = platform.release()
    if call.format:
        from minidocker.cli.format import formatted

        print(formatted({"Client": client, "Server": server}, call.format, "system.versionInfo"))
        return 0
    print(f"Client: minidocker\n{lines(client)}\n\nServer: minidocker\n Engine:\n{lines(server, '  ')}")
    return 0


def lines(values: dict[str, str], indent: str = " ") -> str:
    """Labels and values, as docker lists them."""
    shown = {**values, "Os": f"{values['Os']}/{values['Arch']}"}
    return "\n".join(f"{indent}{label:<18}{shown[key]}" for key, label in LABELS.items() if key in shown)
