"""Contexts: names for daemons, in docker's own files, so that docker's are ours and ours are docker's.

    ~/.docker/contexts/meta/<sha256 of the name>/meta.json    {"Name", "Metadata", "Endpoints": {"docker": {"Host"}}}
    ~/.docker/contexts/tls/<the same>/docker/ca.pem …         the certificates to speak to it with
    ~/.docker/config.json                                     currentContext

`default` stands in no file: docker's is what DOCKER_HOST says, ours the engine in this process.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidocker.cli.flags import Exit
from minidocker.cli.hosts import DEFAULT, FOLDER, TLS_FILES, Host, checked
from minidocker.content import parse_json, write_atomic
from minidocker.errors import APIError

NAME = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.+-]+")
LARGEST = 10 << 20  # bytes of an archive of a context


@dataclass
class Context:
    """A name, what it is for, and where the daemon is."""

    name: str
    endpoint: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    tls: dict[str, bytes] = field(default_factory=dict)  # ca.pem, cert.pem, key.pem
    others: dict[str, Any] = field(default_factory=dict)  # metadata of somebody else's

    @property
    def folder(self) -> Path:
        """Where its meta.json is."""
        return _folder("meta", self.name)

    @property
    def tls_folder(self) -> Path:
        """Where its certificates are."""
        return _folder("tls", self.name)

    @property
    def address(self) -> str:
        """Where its daemon is."""
        return str(self.endpoint.get("Host") or "")

    def meta(self) -> dict[str, Any]:
        """What stands in its meta.json."""
        said = {"Description": self.description} if self.description else {}
        host = {"Host": self.address} if self.address else {}
        endpoint = {**host, "SkipTLSVerify": bool(self.endpoint.get("SkipTLSVerify"))}
        return {"Name": self.name, "Metadata": said | self.others, "Endpoints": {"docker": endpoint}}

    def save(self) -> None:
        """Write it down; its certificates are for its owner's eyes."""
        folder = self.tls_folder / "docker"
        if self.tls:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif self.tls_folder.is_dir():
            shutil.rmtree(self.tls_folder)
        for name, data in self.tls.items():
            write_atomic(folder / name, data)
            (folder / name).chmod(0o600)
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomic(self.folder / "meta.json", json.dumps(self.meta(), separators=(",", ":")).encode())

    def remove(self) -> None:
        """Forget it."""
        for folder in (self.folder, self.tls_folder):
            shutil.rmtree(folder, ignore_errors=True)


def _folder(kind: str, name: str) -> Path:
    top = Path(os.environ.get("DOCKER_CONFIG") or Path(FOLDER).expanduser())
    return top / "contexts" / kind / hashlib.sha256(name.encode()).hexdigest()


def check_name(name: str) -> str:
    """A name that a new context may have. Raises Exit in docker's words."""
    if name == DEFAULT:
        raise Exit(1, '"default" is a reserved context name')
    if not NAME.fullmatch(name):
        raise Exit(
            1, f'context name "{name}" is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"'
        )
    return name


def get(name: str) -> Context:
    """The context of a name. Raises Exit."""
    if name == DEFAULT:
        return ours()
    path = _folder("meta", name) / "meta.json"
    try:
        return _of(parse_json(path.read_bytes(), str(path)), _certificates(path.parent.name))
    except OSError as error:
        why = f"open {path}: {(error.strerror or str(error)).lower()}"
        raise Exit(1, f'context "{name}": context not found: {why}') from None
    except APIError as error:
        raise Exit(1, f'context "{name}": {error.explanation}') from None


def ours() -> Context:
    """The engine in this process."""
    from minidocker.engine import root_folder

    address = os.environ.get("MINIDOCKER_HOST", "")
    said = "Current MINIDOCKER_HOST based configuration" if address else "The engine in this process"
    return Context(DEFAULT, {"Host": address or str(root_folder()), "SkipTLSVerify": False}, said)


def every() -> Iterator[Context]:
    """All of them, `default` too, by name."""
    found = {DEFAULT: ours()}
    for path in _folder("meta", "").parent.glob("*/meta.json"):
        try:
            context = _of(parse_json(path.read_bytes(), str(path)), _certificates(path.parent.name))
        except (OSError, APIError):
            continue
        if path.parent == context.folder:
            found[context.name] = context
    yield from (found[name] for name in sorted(found))


def _of(meta: dict[str, Any], tls: dict[str, bytes]) -> Context:
    said = meta.get("Metadata") or {}
    endpoint = (meta.get("Endpoints") or {}).get("docker") or {}
    if not isinstance(meta.get("Name"), str) or not isinstance(said, dict) or not isinstance(endpoint, dict):
        raise APIError("its meta.json is not what docker writes")
    others = {key: value for key, value in said.items() if key != "Description"}
    return Context(meta["Name"], endpoint, str(said.get("Description") or ""), tls, others)


def _certificates(key: str) -> dict[str, bytes]:
    folder = _folder("tls", "").parent / key / "docker"
    paths = [folder / f"{name}.pem" for name in TLS_FILES]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def host(name: str) -> Host | None:
    """The daemon of a context; None for the engine in this process. Raises Exit."""
    try:
        context = get(name)
    except Exit as missing:
        raise Exit(1, f"Failed to initialize: unable to resolve docker endpoint: {missing.text}") from None
    if name == DEFAULT:
        return None
    address = context.address or "unix:///var/run/docker.sock"
    folder = context.tls_folder / "docker"
    files = {path.removesuffix(".pem"): str(folder / path) for path in context.tls}
    return Host(checked(address), files, not context.endpoint.get("SkipTLSVerify"))


# --- as a file ------------------------------------------------------------------------------------------------------


def exported(context: Context) -> bytes:
    """A context as a tar: meta.json, and its certificates below tls/docker/."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        data = json.dumps(context.meta(), separators=(",", ":")).encode()
        members: list[tuple[str, bytes | None]] = [("meta.json", data), ("tls", None)]
        if context.tls:
            members += [("tls/docker", None), *((f"tls/docker/{name}", pem) for name, pem in context.tls.items())]
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = (tarfile.DIRTYPE, 0o700) if content is None else (tarfile.REGTYPE, 0o644)
            member.size = len(content or b"")
            tar.addfile(member, io.BytesIO(content or b""))
    return out.getvalue()


def imported(name: str, data: bytes) -> Context:
    """A context out of such a tar, or of a zip of the same files. Raises Exit."""
    files = _unzipped(data) if data.startswith(b"PK\x03\x04") else _untarred(data)
    if "meta.json" not in files:
        raise Exit(1, "invalid context: no meta.json")
    tls = {f"{name}.pem": files[path] for name in TLS_FILES if (path := f"tls/docker/{name}.pem") in files}
    try:
        context = _of(parse_json(files["meta.json"], "meta.json"), tls)
    except APIError as error:
        raise Exit(1, f"invalid context: {error.explanation}") from None
    context.name = name
    return context


def _untarred(data: bytes) -> dict[str, bytes]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = [member for member in tar if member.isfile() and member.size <= LARGEST]
            return {member.name: file.read() for member in members if (file := tar.extractfile(member))}
    except (tarfile.TarError, OSError, EOFError):
        raise Exit(1, "unexpected EOF") from None


def _unzipped(data: bytes) -> dict[str, bytes]:
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist() if info.file_size <= LARGEST}
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise Exit(1, f"invalid context: {error}") from None
