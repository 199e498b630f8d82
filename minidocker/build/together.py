"""Stages at the same time: each in a thread of its own. The first that fails stops the others, and so does Ctrl-C.

What the stages report is heard in the thread that asked for the build, so whoever listens needs no locks.

    >>> said = []
    >>> def stage(name):
    ...     return lambda: crew.post(name)
    >>> crew = Together(said.append)
    >>> crew.run([stage("one"), stage("two")]); sorted(said)
    ['one', 'two']
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

LOOK = 0.05  # seconds between two looks whether what was stopped has ended
Report = TypeVar("Report")


class Stopped(Exception):
    """Another stage failed, or the build was interrupted: this one gives up."""


class Together(Generic[Report]):
    """What stages that are built at the same time have in common. `hear` gets what they `post`."""

    def __init__(self, hear: Callable[[Report], None]) -> None:
        self.hear = self._put = hear
        self.error: BaseException | None = None
        self._mutex = threading.Lock()
        self._stops: list[Callable[[], None]] = []
        self._claims: dict[Any, threading.Lock] = {}

    def run(self, jobs: Sequence[Callable[[], object]]) -> None:
        """Do all jobs, at the same time where there is more than one. Raises the error of the one that failed first."""
        if len(jobs) == 1 or sys.platform == "emscripten":  # a browser has no threads
            for job in jobs:
                job()
            return
        reports: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._put = lambda report: reports.put(partial(self.hear, report))
        threads = [threading.Thread(target=self._work, args=(job, reports.put), daemon=True) for job in jobs]
        try:
            self._listen(threads, reports)
        except BaseException as error:
            self.fail(error)
        finally:
            self._end(threads)
            self._put = self.hear
        if self.error is not None:
            raise self.error

    def post(self, report: Report) -> None:
        """Have something heard: at once, or in the thread that waits for the jobs."""
        self._put(report)

    def _work(self, job: Callable[[], object], put: Callable[[None], None]) -> None:
        try:
            job()
        except BaseException as error:
            self.fail(error)
        finally:
            put(None)

    def _listen(self, threads: list[threading.Thread], reports: SimpleQueue[Callable[[], None] | None]) -> None:
        """Start the threads, and hand on what they report until the last has ended."""
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            try:
                report = reports.get(timeout=LOOK if self.error else 1)
            except Empty:  # Windows looks for Ctrl-C only between two waits
                self._stop()
            else:
                left -= report is None
                (report or self._stop)()

    def _end(self, threads: list[threading.Thread]) -> None:
        """Wait until nothing goes on any more, however impatient somebody is."""
        for thread in threads:
            while thread.ident and thread.is_alive():
                with contextlib.suppress(KeyboardInterrupt):
                    self._stop()
                    thread.join(LOOK)

    def _stop(self) -> None:
        """Where something has failed, end what goes on. It may have been about to begin, so once is not enough."""
        with self._mutex:
            stops = list(self._stops) if self.error else []
        for stop in stops:
            stop()

    def fail(self, error: BaseException) -> None:
        """Stop everything because of this; what others raise from now on is a consequence."""
        with self._mutex:
            self.error = self.error or error

    def cancel(self) -> None:
        """End it all, from another thread. Once may not be enough, as something may be about to begin."""
        self.fail(Stopped("context canceled"))
        self._stop()

    def check(self) -> None:
        """Raise Stopped where something else has failed."""
        if self.error is not None:
            raise Stopped

    @contextlib.contextmanager
    def stoppable(self, stop: Callable[[], None]) -> Iterator[None]:
        """While this goes on, `stop` ends it from another thread. It may be called early, late, and more than once."""
        with self._mutex:
            self._stops.append(stop)
        try:
            yield
        finally:
            with self._mutex:
                self._stops.remove(stop)

    @contextlib.contextmanager
    def claim(self, key: object) -> Iterator[None]:
        """Do something that only one at a time may do. Raises Stopped, also where whoever did it before has failed."""
        with self._mutex:
            lock = self._claims.setdefault(key, threading.Lock())
        with lock:
            self.check()
            try:
                yield
            except BaseException as error:
                self.fail(error)
                raise
