"""Hidden cases of exercise 02."""

from __future__ import annotations

import hashlib
from typing import Any

from minidocker.content import CONFIG, LAYER, MANIFEST
from minidocker.grading.exercise import Case


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _manifest(config: bytes, *layers: tuple[str, bytes]) -> dict[str, Any]:
    made = [{"mediaType": kind, "digest": _digest(blob), "size": len(blob)} for kind, blob in layers]
    about = {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)}
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": made}


CONFIGURED = '{"author":"Zoë", "os":"linux"}\n'.encode()
PACKED, LATE, SHORT = b"\x1f\x8b\x08\x00" + bytes(60), b"a\x1f\x8b\x08", b"\x1f"
ZIPPED = LAYER + "+gzip"
INDEX = [("app:1", "sha256:aa"), ("", "sha256:bb"), ("r.io/team/app:1", "sha256:cc"), ("web:latest", "sha256:aa")]
DEEP = {
    "sha256:1": b'{"manifests":["sha256:2","sha256:5"]}',
    "sha256:2": b'{"manifests":["sha256:3"]}',
    "sha256:3": b'{"config":"sha256:4","layers":["sha256:6"]}',
    "sha256:4": b"{}",
    "sha256:5": b' {"config":"sha256:7"}',
    "sha256:6": b'["sha256:7"]',
    "sha256:7": b"nobody mentions this",
}

HIDDEN = {
    "2.1": (
        Case("a config that ends in a newline", (CONFIGURED,), _digest(CONFIGURED)),
        Case("no bytes", (b"",), _digest(b"")),
        Case("a long one", (b"{}" * 5000,), _digest(b"{}" * 5000)),
    ),
    "2.2": (
        Case(
            "the layer first packed, then not",
            (b"{}", [PACKED, LATE]),
            _manifest(b"{}", (ZIPPED, PACKED), (LAYER, LATE)),
        ),
        Case("gzip's bytes, but not at the beginning", (b"{}", [LATE]), _manifest(b"{}", (LAYER, LATE))),
        Case(
            "a layer too short to be gzip",
            (CONFIGURED, [SHORT, b""]),
            _manifest(CONFIGURED, (LAYER, SHORT), (LAYER, b"")),
        ),
        Case("a config that looks like gzip", (PACKED, []), _manifest(PACKED)),
    ),
    "2.3": (
        Case(
            "a name that moves in the midst of others",
            (INDEX, "app:1", "sha256:dd"),
            [("", "sha256:bb"), ("r.io/team/app:1", "sha256:cc"), ("web:latest", "sha256:aa"), ("app:1", "sha256:dd")],
        ),
        Case(
            "a registry with a port, and a tag",
            (INDEX[:2], "localhost:5000/team/app:2", "sha256:bb"),
            [("app:1", "sha256:aa"), ("localhost:5000/team/app:2", "sha256:bb")],
        ),
        Case(
            "a name without a tag moves `latest`",
            (INDEX[2:], "web", "sha256:ee"),
            [("r.io/team/app:1", "sha256:cc"), ("", "sha256:aa"), ("web:latest", "sha256:ee")],
        ),
        Case(
            "to a digest that has another name",
            (INDEX[:3], "app:1", "sha256:cc"),
            [("", "sha256:aa"), ("", "sha256:bb"), ("r.io/team/app:1", "sha256:cc"), ("app:1", "sha256:cc")],
        ),
    ),
    "2.4": (
        Case("four levels deep", (["sha256:1"], DEEP), [f"sha256:{n}" for n in "123456"]),
        Case("a root that is a layer, and one that is not there", (["sha256:6", "sha256:9"], DEEP), ["sha256:6"]),
        Case("the same root twice", (["sha256:3", "sha256:3"], DEEP), ["sha256:3", "sha256:4", "sha256:6"]),
        Case("one that mentions itself", (["sha256:a"], {"sha256:a": b'{"x":"sha256:a"}'}), ["sha256:a"]),
        Case("an empty store", (["sha256:1"], {}), []),
    ),
}
