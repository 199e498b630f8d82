"""`sed` and `awk`: the two small languages that shell scripts lean on."""

from __future__ import annotations

from minidocker.runtime.kernel import Command

TABLE: dict[str, Command] = {}
