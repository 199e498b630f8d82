"""Build arguments that Docker itself reads, whether a Dockerfile names them or not.

>>> check_arguments({"BUILDKIT_INLINE_CACHE": "0", "VERSION": "1"})
>>> target_stage(Dockerfile.parse("FROM a AS one\\nFROM b"), "")
'default'
"""

from __future__ import annotations

from collections.abc import Mapping

from minidocker.dockerfile import Dockerfile, check_syntax
from minidocker.dockerfile.lint import FALSE
from minidocker.errors import Unsupported

REFUSED = {  # name -> the way out
    "BUILDKIT_CACHE_MOUNT_NS": "give a cache mount an id of its own",
    "BUILDKIT_SANDBOX_HOSTNAME": "every step's host is called buildkitsandbox",
    "BUILDKIT_SBOM_SCAN_CONTEXT": "nothing is scanned",
    "BUILDKIT_SBOM_SCAN_STAGE": "nothing is scanned",
}


def check_arguments(build_args: Mapping[str, str]) -> None:
    """Refuse, by name, what is not done. Raises Unsupported."""
    check_syntax(build_args.get("BUILDKIT_SYNTAX", ""))
    for name in REFUSED.keys() & build_args.keys():
        if build_args[name] not in ("", *FALSE):
            raise Unsupported(f"--build-arg {name} is not supported: {REFUSED[name]}")


def target_stage(dockerfile: Dockerfile, target: str) -> str:
    """The value of TARGETSTAGE: what `--target` says, else the name of the last stage."""
    return target or dockerfile.stages[-1].name or "default"
