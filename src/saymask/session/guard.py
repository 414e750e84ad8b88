"""A session is used by one call at a time and not after it was closed; whoever tries is told so instead of getting mixed-up masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from saymask.errors import ConfigError


class SingleUse:
    """Held by one call at a time.

    Args:
        name: of what is held, for messages.
    """

    def __init__(self, name: str):
        self._name = name
        self._in_use = Lock()
        self._closed = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold it for one call.

        Raises:
            ConfigError: it is closed, or another call is under way.
        """
        self.require_open()
        if not self._in_use.acquire(blocking=False):
            raise ConfigError(
                f"the session of {self._name} is in use by another call (a thread, or a stream that has not ended); "
                "open a session for each thread, or end the stream"
            )
        try:
            yield
        finally:
            self._in_use.release()

    def require_open(self) -> None:
        """Raise ConfigError if it is closed."""
        if self._closed:
            raise ConfigError(f"the session of {self._name} is closed; open the video again")

    def close(self) -> None:
        """From now on it cannot be held; work under way ends with an error where it asks."""
        self._closed = True
