"""Events of one job, from the thread that works to any number of clients, each of whom sees all of them from the first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from threading import Event

KEEP_ALIVE_SECONDS = 15.0
"""So long nothing may happen, then a comment is sent: proxies cut a connection that is silent, and a large model loads for minutes."""
KEEP_ALIVE = ": nothing yet\n\n"
"""Clients skip lines that begin with a colon."""


class Feed:
    """What happened so far; held as long as the job is under way or somebody listens."""

    def __init__(self) -> None:
        self.cancelled = Event()
        self._events: list[str] = []
        self._ended = False
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def add(self, event: str) -> None:
        """From the working thread."""
        self._events.append(event)
        self._wake()

    def end(self, event: str | None = None) -> None:
        """The last one; None if the job has not ended, but nothing more comes from this process."""
        if event is not None:
            self._events.append(event)
        self._ended = True
        self._wake()

    async def follow(self) -> AsyncIterator[str]:
        """All events, as they come, to the last; `KEEP_ALIVE` while nothing comes."""
        woken = asyncio.Event()
        listener = (asyncio.get_running_loop(), woken)
        self._listeners.add(listener)
        try:
            seen = 0
            while True:
                woken.clear()
                ended, events = self._ended, self._events[seen:]
                seen += len(events)
                for event in events:
                    yield event
                if ended:
                    return
                try:
                    async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    yield KEEP_ALIVE
        finally:
            self._listeners.discard(listener)

    def _wake(self) -> None:
        for loop, woken in tuple(self._listeners):
            loop.call_soon_threadsafe(woken.set)
