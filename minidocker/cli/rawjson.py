"""A build for other programs, as BuildKit tells its clients: vertexes, their logs, and what an export has done."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

from minidocker.cli.progress import EXPORT, Progress, Vertex


class RawJSON(Progress):
    """BuildKit's SolveStatus, for other programs: `{"vertexes": […]}`, `{"logs": […]}`, `{"statuses": […]}`."""

    def digest(self, id: str) -> str:
        """What a vertex is called by the others: which one of this build it is, and its name."""
        return f"sha256:{hashlib.sha256(f'{id} {self.vertexes[id].name}'.encode()).hexdigest()}"

    def send(self, **status: Any) -> None:
        """Write one status."""
        self.out.write(json.dumps({key: [value] for key, value in status.items()}) + "\n")
        self.out.flush()

    def changed(self, vertex: Vertex) -> None:
        """A vertex begins or ends."""
        about: dict[str, Any] = {"digest": self.digest(vertex.id)}
        about |= {"inputs": [self.digest(one) for one in vertex.inputs]} if vertex.inputs else {}
        about |= {"name": vertex.name, "started": moment(vertex.started)}
        about |= {"completed": moment(vertex.completed)} if vertex.completed else {}
        about |= {"cached": True} if vertex.cached else {}
        self.send(vertexes=about | ({"error": vertex.error} if vertex.error else {}))

    def said(self, vertex: Vertex, text: str, stamped: str) -> None:
        """Output, or of an export what it has done."""
        now, digest = moment(time.time()), self.digest(vertex.id)
        if vertex.id == EXPORT:
            times = {"timestamp": now, "started": now, "completed": now}
            self.send(statuses={"id": text.removesuffix(" done\n"), "vertex": digest, "current": 0, **times})
        else:
            data = base64.b64encode(text.encode(errors="replace")).decode()
            self.send(logs={"vertex": digest, "stream": 1, "data": data, "timestamp": now})

    def __exit__(self, kind: object, *_: object) -> None:
        super().__exit__(kind)
        for warning in self.warnings:
            short = base64.b64encode(warning.removeprefix("[Warning] ").encode(errors="replace")).decode()
            self.send(warnings={"level": 1, "short": short})

    def recall(self) -> str:
        """It was in the logs."""
        return ""


def moment(seconds: float) -> str:
    """A time as Go writes it in JSON."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
