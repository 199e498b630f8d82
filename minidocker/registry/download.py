"""A layer on its way here: hashed while it streams, unpacked beside that, and kept where it is cut.

    downloads/<hex>     what has come of a blob so far; the next attempt, or the next process, asks for the rest

Its size is known beforehand, so no server can send more; what a compressed one unpacks to has a limit too. It becomes a
blob when all of the image is here: until then nothing but this folder knows of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from minidocker.compression import decompress
from minidocker.content import LAYER, BlobWriter, Descriptor, FileLock, Store, unwritable
from minidocker.errors import APIError, CorruptBlob, InvalidArgument
from minidocker.registry.client import Repository
from minidocker.registry.progress import Progress, short
from minidocker.registry.refusals import Refused
from minidocker.registry.wire import PIECE, Answer, Request, Unreachable

MAX_LAYER = 4 << 30  # bytes that a layer may unpack to, unless it is so large itself; `$MINIDOCKER_MAX_LAYER`
MAX_RATIO = 100
AHEAD = 16  # pieces that unpacking may be behind


class Download:
    """One layer. `run` brings it into the downloads folder, checked; `commit` makes a blob of it."""

    def __init__(
        self,
        store: Store,
        repository: Repository,
        blob: Descriptor,
        diff_id: str,
        progress: Progress,
        urls: tuple[str, ...] = (),
    ) -> None:
        self.store, self.repository, self.blob, self.diff_id, self.progress = store, repository, blob, diff_id, progress
        self.urls, self.id = urls, short(blob.digest)
        folder = store.root / "downloads"
        folder.mkdir(exist_ok=True)
        self.path = folder / blob.digest.partition(":")[2]
        self.here = store.has(blob.digest) and store.path(blob.digest).stat().st_size == blob.size

    def run(self) -> None:
        """Fetch it, and check all that can be checked. Raises CorruptBlob, LayerError, Refused, Unreachable…"""
        if self.here:
            self.progress.state(self.id, "Already exists")
            return
        with FileLock(self.store.root / "tmp" / f"download-{self.path.name}.lock"):  # another process may be at it
            if not self.store.has(self.blob.digest):
                self._fetch()
        self.progress.state(self.id, "Pull complete")

    def _fetch(self) -> None:
        try:
            with self._unpacking() as inflater:
                with self.path.open("ab+") as out:
                    self._fill(out, inflater)
                    self.progress.state(self.id, "Verifying Checksum")
                    os.fsync(out.fileno())
                self.progress.state(self.id, "Download complete")
                plain = inflater.finish() if inflater else self.path
            self.progress.amount(self.id, "Extracting", self.blob.size, self.blob.size)
            self.store.admit(self.diff_id, plain)
        except OSError as error:
            raise unwritable(self.store.root, error) from error
        except (CorruptBlob, InvalidArgument):
            self.path.unlink(missing_ok=True)
            raise

    def _unpacking(self) -> contextlib.AbstractContextManager[Inflater | None]:
        if self.blob.digest == self.diff_id:
            return contextlib.nullcontext()
        return Inflater(self.store, self.diff_id, limit_of(self.blob.size))

    def _fill(self, out: BinaryIO, inflater: Inflater | None) -> None:
        """Read what is there, then ask for the rest until nothing is missing; after a cut, once more."""
        sha, size = hashlib.sha256(), 0
        out.seek(0)
        while chunk := out.read(PIECE):
            size += len(chunk)
            sha.update(chunk)
            if inflater:
                inflater.feed(chunk)
        failures = 0
        while size < self.blob.size:
            before = size
            try:
                for chunk in self._rest(size):
                    size += len(chunk)
                    if size > self.blob.size:
                        raise self._wrong(f"it is larger than the {self.blob.size} bytes that the manifest promises")
                    sha.update(chunk)
                    out.write(chunk)
                    if inflater:
                        inflater.feed(chunk)
                    self.progress.amount(self.id, "Downloading", size, self.blob.size)
                if size < self.blob.size:
                    raise Unreachable(f"layer {self.blob.digest}: unexpected EOF after {size} bytes")
            except (Unreachable, Refused) as error:
                failures = 1 if size > before else failures + 1
                wait = error.wait if isinstance(error, Refused) else None
                if not error.again or failures >= self.repository.client.settings.attempts or self._stopped:
                    out.flush()
                    raise
                self.progress.state(self.id, "Retrying in 1 second")
                self.repository.client.pause(failures, wait)
        out.flush()
        if size > self.blob.size or f"sha256:{sha.hexdigest()}" != self.blob.digest:
            raise self._wrong("its bytes have another digest")

    @property
    def _stopped(self) -> bool:
        return self.repository.client.wire.stopped.is_set()

    def _rest(self, start: int) -> Iterator[bytes]:
        """The bytes from `start` on; a server that begins anew is listened to until it is there."""
        with self._answer(start) as answer:
            skip = start if answer.status == 200 else 0
            if answer.status == 206:
                found = re.match(r"bytes (\d+)-", answer.header("Content-Range"))
                if found and int(found[1]) != start:
                    raise self._wrong(f"the server sent {answer.header('Content-Range')}, not what follows {start}")
            for chunk in answer.chunks():
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                yield chunk[skip:]
                skip = 0

    def _answer(self, start: int) -> Answer:
        """From the registry; a foreign layer, which it may not have, from one of its own addresses."""
        try:
            return self.repository.blob(self.blob.digest, start)
        except Refused as error:
            if not self.urls or error.again:
                raise
        headers = {"Range": f"bytes={start}-"} if start else {}
        answer = self.repository.client.wire.ask(Request("GET", self.urls[0], "a foreign layer", headers))
        if answer.status not in (200, 206):
            answer.close()
            raise APIError(f"foreign layer {self.blob.digest}: {self.urls[0]} answered {answer.reason}")
        return answer

    def _wrong(self, why: str) -> CorruptBlob:
        return CorruptBlob(f"filesystem layer verification failed for digest {self.blob.digest}: {why}")

    def commit(self) -> None:
        """Make a blob of it."""
        if not self.store.has(self.blob.digest) and self.path.exists():
            self.path.replace(self.store.path(self.blob.digest))
        self.path.unlink(missing_ok=True)


class Inflater:
    """Unpacks a stream in a thread of its own, into the tar that a container of it will need."""

    def __init__(self, store: Store, diff_id: str, limit: int) -> None:
        self.store, self.diff_id, self.limit = store, diff_id, limit
        self.path = store.root / "layers" / f"{diff_id.partition(':')[2]}.tar"
        self.queue: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self.error: BaseException | None = None
        self.cancelled = self.ended = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Inflater:
        self.thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.cancelled = True
        self.queue.put(None)
        self.thread.join()

    def feed(self, chunk: bytes) -> None:
        """More of the stream. Raises what unpacking has raised."""
        if self.error is not None:
            raise self.error
        self.queue.put(chunk)

    def finish(self) -> Path:
        """That was all: the tar. Raises CorruptBlob where it is not the one that the image promises…"""
        self.queue.put(None)
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.path

    def _run(self) -> None:
        try:
            with BlobWriter(self.store, LAYER) as writer:
                for chunk in decompress(self._pieces()):
                    writer.write(chunk)
                    if writer.size > self.limit:
                        raise InvalidArgument(
                            f"layer {self.diff_id} unpacks to more than {self.limit} bytes: "
                            "$MINIDOCKER_MAX_LAYER sets another limit"
                        )
                if not self.cancelled:
                    writer.commit(self.diff_id, self.path, sync=False)
                return
        except BaseException as error:  # the thread that waits for this one raises it
            self.error = error
        for _ in self._pieces():
            pass

    def _pieces(self) -> Iterator[bytes]:
        while not self.ended:
            chunk = self.queue.get()
            if chunk is None:
                self.ended = True
                return
            yield chunk


def limit_of(size: int) -> int:
    """Bytes that a layer of so many may unpack to."""
    text = os.environ.get("MINIDOCKER_MAX_LAYER", "")
    if text and not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"invalid $MINIDOCKER_MAX_LAYER: {text}: a number of bytes is expected")
    return int(text) if text else max(MAX_LAYER, size * MAX_RATIO)


__all__ = ["Download", "limit_of"]
