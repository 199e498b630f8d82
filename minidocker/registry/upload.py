"""A blob on its way to a registry: POST opens an upload, PUT closes it with the digest, PATCH sends a part of it.

One whose digest is known goes with the PUT, as a whole. One that is still being compressed goes in chunks meanwhile, of
at least what the registry asks for (OCI-Chunk-Min-Length). After a cut the registry is asked how far it came (GET, the
Range of its 204), and gets the rest.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urljoin

from minidocker.compression import gzip_together
from minidocker.content import LAYER, Descriptor, Store, temp_path
from minidocker.errors import APIError, DockerException
from minidocker.registry.client import Repository
from minidocker.registry.refusals import Refused
from minidocker.registry.wire import PIECE, Answer, Unreachable

CHUNK = 16 << 20  # bytes of a PATCH
GZIP_LAYER = LAYER + "+gzip"
Tell = Callable[[int], None]


class Source:
    """A file to send, all of it there."""

    def __init__(self, path: Path, blob: Descriptor) -> None:
        self.path, self.size, self.blob = path, blob.size, blob

    def available(self, start: int, wanted: int) -> tuple[int, bool]:
        """How many bytes there are from `start` on, at most `wanted`; and whether that is the end."""
        count = min(wanted, self.size - start)
        return count, start + count == self.size

    def chunks(self, start: int, count: int) -> Iterator[bytes]:
        """Those bytes."""
        with self.path.open("rb") as stream:
            stream.seek(start)
            while count and (chunk := stream.read(min(PIECE, count))):
                count -= len(chunk)
                yield chunk


class Packed(Source):
    """A layer that is being compressed, by threads of its own, into a file; it can be read as far as it has come."""

    def __init__(self, store: Store, diff_id: str) -> None:
        super().__init__(temp_path(store.root / "tmp" / "packed"), Descriptor(GZIP_LAYER, diff_id, 0))
        self.store, self.diff_id, self.plain = store, diff_id, 0
        self.error: BaseException | None = None
        self.done, self.stopped, self.changed = False, False, threading.Condition()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Packed:
        self.path.touch()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped = True
        self.thread.join()
        self.path.unlink(missing_ok=True)

    def available(self, start: int, wanted: int) -> tuple[int, bool]:
        """Waits until there are so many, or no more will come."""
        with self.changed:
            self.changed.wait_for(lambda: self.done or self.size - start >= wanted)
            if self.error is not None:
                raise self.error
            count = min(wanted, self.size - start)
            return count, self.done and start + count == self.size

    def _run(self) -> None:
        sha = hashlib.sha256()
        try:
            with self.path.open("wb", buffering=0) as out:
                for chunk in gzip_together(self._plain(), os.cpu_count() or 1):
                    out.write(chunk)
                    sha.update(chunk)
                    with self.changed:
                        self.size += len(chunk)
                        self.changed.notify_all()
            self.blob = Descriptor(GZIP_LAYER, f"sha256:{sha.hexdigest()}", self.size)
        except BaseException as error:  # the thread that waits for this one raises it
            self.error = error
        with self.changed:
            self.done = True
            self.changed.notify_all()

    def _plain(self) -> Iterator[bytes]:
        for chunk in self.store.open(self.diff_id):
            if self.stopped:
                raise DockerException("context canceled")
            self.plain += len(chunk)
            yield chunk


class Upload:
    """One upload. `mount` and `open` begin it; `send` does the rest."""

    def __init__(self, repository: Repository, tell: Tell = lambda _sent: None) -> None:
        self.repository, self.tell = repository, tell
        self.location, self.least, self.offset = "", 0, 0

    def mount(self, digest: str, other: str) -> bool:
        """Ask for a blob of another repository; where that cannot be, an upload is open now."""
        answer = self._post(
            f"blobs/uploads/?mount={quote(digest, '')}&from={quote(other, '')}", f"take it from {other}"
        )
        return answer.status == 201

    def open(self) -> None:
        """Open an upload."""
        if not self.location:
            self._post("blobs/uploads/", "may I upload?")

    def _post(self, place: str, why: str) -> Answer:
        def ask() -> Answer:
            with self.repository.ask("POST", place, why, [201, 202]) as answer:
                if answer.status == 202:
                    self._moved(answer)
                    least = answer.header("OCI-Chunk-Min-Length")
                    self.least, self.offset = int(least) if least.isdigit() else 0, 0
            return answer

        return self.repository.client.again(ask)

    def _moved(self, answer: Answer) -> None:
        where = answer.header("Location")
        if not where:
            raise APIError(f"{self.repository.endpoint.host} opened an upload, but does not say where")
        self.location = urljoin(answer.request.url, where)

    def send(self, source: Source) -> Descriptor:
        """Send all of it, also over some cuts; what it is there. Raises Refused, Unreachable, CorruptBlob."""
        failures, client = 0, self.repository.client
        self.open()
        while True:
            before = self.offset
            try:
                return self._send(source)
            except (Refused, Unreachable) as error:
                out_of_step = isinstance(error, Refused) and error.http_status in (404, 416)
                failures = 1 if self.offset > before else failures + 1
                if (
                    not (error.again or out_of_step)
                    or failures >= client.settings.attempts
                    or client.wire.stopped.is_set()
                ):
                    raise
                client.pause(failures, error.wait if isinstance(error, Refused) else None)
                self._resume(error)

    def _resume(self, error: APIError) -> None:
        """Find out how far it came; where the registry knows nothing of it any more, begin anew."""
        try:
            with self.repository.ask("GET", self.location, "how far did it come?", [204, 202, 200]) as answer:
                self.offset = received(answer.header("Range"))
                if answer.header("Location"):
                    self._moved(answer)
        except (Refused, Unreachable):
            self.location = ""
            self.open()

    def _send(self, source: Source) -> Descriptor:
        if not isinstance(source, Packed) and self.offset == 0:
            return self._put(source, 0, source.size)
        while True:
            count, last = source.available(self.offset, max(CHUNK, self.least))
            if last and self.offset == 0:
                return self._put(source, 0, count)
            if count:
                self._patch(source, count)
            if last and source.available(self.offset, 1) == (0, True):
                return self._put(source, self.offset, 0)

    def _patch(self, source: Source, count: int) -> None:
        start = self.offset
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{start}-{start + count - 1}"}
        with self._ask("PATCH", self.location, "a part of the blob", [202], headers, source, start, count) as answer:
            self._moved(answer)
            said = answer.header("Range")
        self.offset = received(said) if said else start + count
        if not start < self.offset <= start + count:
            raise APIError(f"{self.repository.endpoint.host} has {self.offset} bytes of what cannot be more, or less")

    def _put(self, source: Source, start: int, count: int) -> Descriptor:
        blob = source.blob
        url = f"{self.location}{'&' if '?' in self.location else '?'}digest={quote(blob.digest, '')}"
        why = "the blob, and its digest" if count else "that was all: its digest"
        headers = {"Content-Type": "application/octet-stream"}
        with self._ask("PUT", url, why, [201, 204], headers, source, start, count):
            return blob

    def _ask(
        self,
        method: str,
        url: str,
        why: str,
        good: list[int],
        headers: dict[str, str],
        source: Source,
        start: int,
        count: int,
    ) -> Answer:
        def body() -> Iterator[bytes]:
            sent = start
            for chunk in source.chunks(start, count):
                yield chunk
                sent += len(chunk)
                self.tell(sent)

        return self.repository.ask(method, url, why, good, headers, body, count)

    def cancel(self) -> None:
        """Tell the registry that nothing more will come."""
        if self.location:
            with suppress(DockerException):
                self.repository.ask("DELETE", self.location, "forget it", [204, 202, 200, 404]).close()


def received(text: str) -> int:
    """How many bytes a Range header of an upload speaks of; `0-0` is none, as registries have it.

    >>> received("0-1023"), received("0-0"), received("bytes=0-9"), received("")
    (1024, 0, 10, 0)
    """
    found = re.search(r"\b0-(\d+)", text)
    return int(found[1]) + 1 if found and found[1] != "0" else 0
