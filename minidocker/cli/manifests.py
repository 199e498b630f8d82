"""`manifest inspect`: a look at what a registry has, without pulling it."""

from __future__ import annotations

from minidocker.cli.flags import Call, Exit, command
from minidocker.errors import NotFound


@command("""
manifest inspect [OPTIONS] MANIFEST

Display an image manifest, or manifest list

      --insecure   Allow communication with an insecure registry
  -v, --verbose    Output additional info including layers and platform
""")
def manifest_inspect(call: Call) -> int:
    """`docker manifest inspect`."""
    try:
        print(call.engine.images.registries.manifest(call.args[0], call.verbose, call.insecure))
    except NotFound as error:
        raise Exit(1, error.explanation) from None
    return 0
