"""What may stand in a registry's URLs: repository names, tags and digests. They become paths, so nothing else may pass.

>>> check_name("team/app"), check_tag("1.2")
('team/app', '1.2')
>>> check_name("../etc")
Traceback (most recent call last):
...
minidocker.registry.errorcodes.RegistryError: invalid repository name
"""

from __future__ import annotations

import re
from pathlib import Path

from minidocker.registry.errorcodes import RegistryError

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
ALGORITHMS = {"sha256": 64, "sha512": 128}  # and how many hex digits
MAX_NAME = 255


def check_name(name: str) -> str:
    """A repository's name, by the grammar of the specification."""
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise RegistryError("NAME_INVALID", {"name": name[: 2 * MAX_NAME]})
    return name


def check_tag(tag: str) -> str:
    """A tag."""
    if not _TAG.fullmatch(tag):
        raise RegistryError("TAG_INVALID", {"tag": tag[:256]}, "invalid tag")
    return tag


def check_digest(digest: str) -> str:
    """A digest by an algorithm that we have.

    >>> check_digest("sha256:abc")
    Traceback (most recent call last):
    ...
    minidocker.registry.errorcodes.RegistryError: invalid checksum digest length
    """
    algorithm, _, text = digest.partition(":")
    if not _DIGEST.fullmatch(digest):
        problem = "invalid checksum digest format"
    elif algorithm not in ALGORITHMS:
        problem = "unsupported digest algorithm"
    elif len(text) != ALGORITHMS[algorithm]:
        problem = "invalid checksum digest length"
    elif not re.fullmatch("[0-9a-f]+", text):
        problem = "invalid checksum digest format"
    else:
        return digest
    raise RegistryError("DIGEST_INVALID", {"digest": digest[:256]}, problem)


def is_digest(reference: str) -> bool:
    """Whether a reference in a URL is meant as a digest: tags have no colon."""
    return ":" in reference


def blob_path(root: Path, digest: str) -> Path:
    """Where the bytes of a digest lie in an OCI image layout."""
    algorithm, _, text = digest.partition(":")
    return root / "blobs" / algorithm / text
