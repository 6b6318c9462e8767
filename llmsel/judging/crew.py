"""A crew of threads: so many judgements at a time, and what is paid for is kept."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")
GRACE = 10.0  # seconds that judgements in flight get when the rest is stopped


class Crew(Generic[J, R]):
    """Do jobs in threads and keep each result in the caller's thread, as it arrives.

    The threads are daemons: one that waits for a server that never answers does not keep the
    program from ending.

    Args:
        work: does a job; called in threads.
        keep: takes a job and its result; called in the caller's thread, one at a time.
        workers: jobs at a time.
        stop: called when the rest is stopped; breaks off soon what is in flight.
    """

    def __init__(
        self,
        work: Callable[[J], R],
        keep: Callable[[J, R], None],
        *,
        workers: int,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Nobody works yet."""
        self._work, self._keep, self._stop = work, keep, stop
        self._workers = max(1, workers)
        self._stopped = threading.Event()
        self._ready = threading.Semaphore(0)
        # a result stays here until it is kept: a stop in between loses none
        self._arrived: deque[tuple[J, R]] = deque()
        self._errors: list[BaseException] = []

    def do(self, jobs: Iterable[J]) -> None:
        """Do the jobs.

        The first error of a job ends it, and so does Ctrl-C: no further job is begun, those in
        flight get `GRACE` seconds, and what they bring is kept.

        Raises:
            BaseException: the error.
        """
        todo = deque(jobs)
        count = len(todo)
        threads = [
            threading.Thread(target=self._labour, args=(todo,), daemon=True)
            for _ in range(min(self._workers, count))
        ]
        try:
            for thread in threads:
                thread.start()
            for _ in range(count):
                while not self._ready.acquire(timeout=0.5):
                    pass  # in short waits, so that Ctrl-C is heard on every system
                if self._errors:
                    raise self._errors[0]
                self._keep_next()
        except BaseException:
            self._wind_up(threads)
            raise

    def _labour(self, todo: deque[J]) -> None:
        while not self._stopped.is_set():
            try:
                job = todo.popleft()
            except IndexError:
                return
            try:
                self._arrived.append((job, self._work(job)))
            except BaseException as error:  # raised in the caller's thread
                self._errors.append(error)
                self._stopped.set()
            self._ready.release()

    def _keep_next(self) -> None:
        self._keep(*self._arrived[0])
        self._arrived.popleft()

    def _wind_up(self, threads: list[threading.Thread]) -> None:
        """Let nobody begin another job; keep what those in flight bring in time."""
        self._stopped.set()
        self._stop()
        end = time.monotonic() + GRACE
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        while self._arrived:
            with contextlib.suppress(Exception):  # one that was kept already, or cannot be
                self._keep(*self._arrived[0])
            self._arrived.popleft()
