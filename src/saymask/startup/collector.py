"""Imports of large libraries without looking for garbage in between: what modules make is there to stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """While modules are imported: the collector would look through all that they make, again and again.

    Afterwards everything counts as old, so that it is looked through when the collector next looks through everything.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():  # what the program has frozen itself stays frozen
                gc.freeze()
                gc.unfreeze()
            gc.enable()
