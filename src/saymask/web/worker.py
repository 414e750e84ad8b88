"""One thread that uses one device, and the line before it: as long as is bearable, then clients are told to come again.

A step that a user waits for does not stand behind jobs that take seconds: it goes before all that have not begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from saymask.web.problems import busy

T = TypeVar("T")


class Worker:
    """Does one thing after the other: steps in the order in which they came, and, where no step waits, the rest in theirs.

    Args:
        max_waiting: so much may wait or be under way.
    """

    def __init__(self, max_waiting: int):
        self._max_waiting = max_waiting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saymask-worker")
        self._steps: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._rest: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._taken = 0
        self._lock = Lock()

    @property
    def taken(self) -> int:
        """How much waits or is under way."""
        return self._taken

    def take_place(self) -> None:
        """A place in the line, which `submit` uses up, or else `give_back`.

        Raises:
            Problem: it is full.
        """
        with self._lock:
            if self._taken >= self._max_waiting:
                raise busy(self._taken)
            self._taken += 1

    def take_place_unasked(self) -> None:
        """The same for work that was promised before."""
        with self._lock:
            self._taken += 1

    def submit(self, work: Callable[[], T], is_step: bool = False) -> Future[T]:
        """Do it when its turn comes; a place must have been taken.

        Args:
            work: what to do.
            is_step: it is short and waited for, so it goes before what is no step and has not begun.
        """
        future: Future[T] = Future()
        future.add_done_callback(lambda _: self.give_back())
        (self._steps if is_step else self._rest).append((work, future))
        self._thread.submit(self._do_next)
        return future

    def give_back(self) -> None:
        """A place that was taken is free."""
        with self._lock:
            self._taken -= 1

    def stop(self) -> None:
        """What is under way ends, what waits is dropped."""
        self._thread.shutdown(cancel_futures=True)
        for _, future in (*self._steps, *self._rest):
            future.cancel()

    def _do_next(self) -> None:
        """In the thread, once for each thing that was submitted."""
        work, future = (self._steps or self._rest).popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
