"""ADD of a URL: a file fetched over http or https, once; asked about again, and fetched again only if it changed.

    cache/remote/<digest of the URL>.json   what the server said of it: ETag, Last-Modified, and the content's digest
    cache/remote/<digest>                   the content

A server that gives ETags is asked with the last one whether anything changed (RFC 9110, If-None-Match). With
`--checksum` nobody is asked: content that is there, or a layer made of it, is taken as it is. What comes over the
network is hostile: its size has a limit (`$MINIDOCKER_MAX_DOWNLOAD`, bytes), redirects have one, and lead to http and
https only.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import posixpath
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from minidocker.build.gitref import redacted
from minidocker.build.remotes import Remote
from minidocker.content import file_digest, read_json, temp_path, write_json
from minidocker.errors import BuildError
from minidocker.images import Guard, unguarded
from minidocker.tree import CHUNK, FileData, Tree, file

MAX_BYTES = 4 << 30
TIMEOUT = 30  # seconds without a byte
REDIRECTS = 10
UNNAMED = "__unnamed__"  # BuildKit's name for what a URL without a path gives
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Answer:
    """What is remembered of a URL."""

    url: str
    digest: str
    size: int
    modified: int = 0
    etag: str = ""


class Downloads:
    """What was fetched, in a folder. `ask` gives one answer in all of a build."""

    def __init__(self, folder: Path, guard: Guard = unguarded) -> None:
        self.folder, self.guard = folder, guard
        self.answers: dict[str, Answer] = {}
        self.locks: dict[str, threading.Lock] = {}

    def ask(self, url: str, checksum: str = "") -> Remote:
        """What a URL gives now. Raises BuildError where the server is not there, says no, or gives something else."""
        if checksum and not SHA256.fullmatch(checksum):
            raise BuildError(f"invalid checksum digest format: {checksum}: sha256: and 64 hex digits are expected")
        digest = checksum or self.answer(url).digest
        return Remote(redacted(url), f"file 600 0:0 {digest}", lambda: self.tree(url, checksum))

    def tree(self, url: str, checksum: str = "") -> Tree:
        """The file, by the name that the URL gives it; mode 600, and the time of Last-Modified."""
        answer = self.answer(url, checksum)
        path = self.folder / answer.digest[7:]
        if file_digest(path) != answer.digest:  # damaged since it was fetched: fetch it again
            path.unlink()
            del self.answers[url]
            answer = self.answer(url, checksum)
        return Tree(
            {f"/{name_of(url)}": file(FileData(path, answer.size, answer.digest), 0o600, mtime=answer.modified)}
        )

    def answer(self, url: str, checksum: str = "") -> Answer:
        """What the server says of a URL; fetched unless it is here and did not change."""
        with self.locks.setdefault(url, threading.Lock()):
            known = self.answers.get(url)
            if known is None:
                known = self.recall(url)
                if not (checksum and known and known.digest == checksum):
                    known = fetch(url, self.folder, known, self.guard)
                    write_json(self._path(url), vars(known), sync=False)
                self.answers[url] = known
        if checksum and known.digest != checksum:
            raise BuildError(f"digest mismatch for {redacted(url)}: {known.digest} (expected: {checksum})")
        return known

    def recall(self, url: str) -> Answer | None:
        """What was said the last time, if the content is still here."""
        try:
            answer = Answer(**read_json(self._path(url)))
            here = SHA256.fullmatch(answer.digest) and (self.folder / answer.digest[7:]).stat().st_size == answer.size
        except (OSError, ValueError, TypeError):
            return None
        return answer if here else None

    def _path(self, url: str) -> Path:
        return self.folder / f"{hashlib.sha256(url.encode(errors='surrogateescape')).hexdigest()}.json"


def fetch(url: str, folder: Path, known: Answer | None = None, guard: Guard = unguarded) -> Answer:
    """Fetch a URL into a folder, under its digest; `known`, if the server says that nothing changed since."""
    shown = redacted(url)
    try:
        with _open(url, known.etag if known else "") as response, guard(partial(_hang_up, response)):
            etag = etag_of(response)
            if known and known.etag and etag == known.etag:
                return known  # a server that gives ETags but does not look at ours
            digest, size = _save(response, folder, shown)
            return Answer(shown, digest, size, _modified(response.headers.get("Last-Modified", "")), etag)
    except HTTPError as error:
        with error:
            if error.code == http.client.NOT_MODIFIED and known:
                return known
        raise BuildError(f"failed to load cache key: {shown}: {refusal(error)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BuildError(unreachable(shown, error)) from error


def refusal(error: HTTPError) -> str:
    """Why an answer is none."""
    to = str(error.headers.get("Location", ""))
    if urlsplit(to).scheme not in ("", "http", "https"):
        return f"it redirects to {redacted(to)}, and only http and https are followed"
    if to:
        return f"stopped after {REDIRECTS} redirects"
    return f"invalid response status {error.code} {http.client.responses.get(error.code, '')}"


def unreachable(shown: str, error: Exception) -> str:
    """Why a URL cannot be fetched, and what to do."""
    why = error.reason if isinstance(error, URLError) else error
    host = urlsplit(shown).hostname
    hint = "is this machine online? Else fetch it yourself, and COPY it"
    return f"failed to load cache key: {shown} cannot be fetched from {host}: {why or type(error).__name__}: {hint}"


def name_of(url: str) -> str:
    """The name of the file that a URL gives: the last part of its path.

    >>> name_of("https://example.org/a/b%20c.txt?x=1"), name_of("https://example.org/")
    ('b c.txt', '__unnamed__')
    """
    name = posixpath.basename(unquote(urlsplit(url).path, errors="surrogateescape").rstrip("/"))
    return UNNAMED if name in ("", ".", "..") or "\0" in name else name


def etag_of(response: Any) -> str:
    """The ETag of a response; a weak one is as good."""
    return str(response.headers.get("ETag", "")).removeprefix("W/")


class _Redirect(urllib.request.HTTPRedirectHandler):
    """At most so many redirects, and to http and https only."""

    max_redirections = max_repeats = REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme.lower() not in ("http", "https"):
            raise HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, etag: str) -> Any:
    """Ask for a URL. The opener has nothing but what is named here: no file:, no ftp:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirect(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    request = urllib.request.Request(_quoted(bare), headers={"User-Agent": "minidocker", "Accept-Encoding": "identity"})
    if parts.username is not None:
        from base64 import b64encode

        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {b64encode(pair).decode()}")
    if etag:
        request.add_header("If-None-Match", etag)
    return opener.open(request, timeout=TIMEOUT)


def _quoted(url: str) -> str:
    """A URL as the wire wants it: what is not ASCII, and blanks, as %xx."""
    return re.sub(r"[^!-~]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), url)


def _hang_up(response: Any) -> None:
    """End a response that another thread is waiting for."""
    with contextlib.suppress(AttributeError, OSError):
        response.fp.raw._sock.shutdown(socket.SHUT_RDWR)


def _save(response: Any, folder: Path, shown: str) -> tuple[str, int]:
    folder.mkdir(parents=True, exist_ok=True)
    temp = temp_path(folder / "download")
    try:
        with temp.open("xb") as out:
            digest, size = _copy(response, out, shown)
        temp.replace(folder / digest[7:])
    finally:
        temp.unlink(missing_ok=True)
    return digest, size


def _copy(response: Any, out: BinaryIO, shown: str) -> tuple[str, int]:
    limit, sha, size = max_bytes(), hashlib.sha256(), 0
    for chunk in _chunks(response):
        size += len(chunk)
        if size > limit:
            raise BuildError(f"{shown} is larger than {limit} bytes; $MINIDOCKER_MAX_DOWNLOAD sets another limit")
        sha.update(chunk)
        out.write(chunk)
    expected = response.headers.get("Content-Length", "")
    if expected.isdigit() and int(expected) != size:
        raise BuildError(f"{shown}: the connection ended after {size} of {expected} bytes: build again")
    return f"sha256:{sha.hexdigest()}", size


def max_bytes() -> int:
    """The limit of what is fetched. Raises BuildError."""
    text = os.environ.get("MINIDOCKER_MAX_DOWNLOAD") or str(MAX_BYTES)
    if not (text.isascii() and text.isdigit()):
        raise BuildError(f"invalid $MINIDOCKER_MAX_DOWNLOAD: {text}: a number of bytes is expected")
    return int(text)


def _chunks(response: Any) -> Iterator[bytes]:
    while chunk := response.read(CHUNK):
        yield chunk


def _modified(text: str) -> int:
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        moment = parsedate_to_datetime(text)
        return max(0, int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()))
    return 0
