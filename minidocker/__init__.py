"""minidocker: a Docker small enough to read in a weekend, that draws itself in a notebook.

    import minidocker
    engine = minidocker.connect()
    engine.containers.run("minidocker/base", "echo hello")

The vocabulary is that of Docker's SDK for Python; start reading at `tree.py` and `layer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minidocker.engine import Engine

__version__ = "0.1.0"
__all__ = ["__version__", "connect", "from_env", "load_ipython_extension"]


def connect(root: Any = None, runtime: str | None = None) -> Engine:
    """Open the engine on a folder; see `minidocker.engine.connect`. Nothing is imported before it is asked for.

    For the address of a daemon (`unix:///run/minidocker.sock`, ours or Docker's) it is Docker's own client,
    a `docker.DockerClient`, which has the same surface.
    """
    if str(root).partition("://")[0] in ("unix", "tcp", "http", "https", "npipe", "ssh"):
        from minidocker.cli.remote import client

        return client(str(root))  # type: ignore[no-any-return]
    from minidocker.engine import connect as open_engine

    return open_engine(root, runtime)


def from_env(**_: Any) -> Engine:
    """`connect()` under the name that Docker's SDK has for it."""
    return connect()


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext minidocker`: the magics `%%dockerfile` and `%docker`."""
    from minidocker.notebook import load_ipython_extension as load

    load(shell)
