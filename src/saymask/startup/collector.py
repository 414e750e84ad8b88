"""Imports of large libraries without looking for garbage in between: what modules make is there to stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_own_process = False


def own_process() -> None:
    """Say that this process runs nothing but a command: what its imports make is never looked through for garbage again."""
    global _own_process
    _own_process = True


@contextmanager
def collector_paused() -> Iterator[None]:
    """While modules are imported: the collector would look through all they make again and again, a seventh of a start."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if _own_process:
                gc.freeze()  # in a program of somebody else this would keep their garbage, too
            gc.enable()
