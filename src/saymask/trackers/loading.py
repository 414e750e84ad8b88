"""From a name to a loaded tracker."""

from __future__ import annotations

from pathlib import Path

from saymask.lookup import resolve
from saymask.runtime import Runtime
from saymask.trackers.base import Tracker


def load_tracker(name: str, runtime: Runtime | None = None, weights: str | Path | None = None) -> Tracker:
    """Load a tracker by name and place it.

    Args:
        name: a tracker of `saymask list`.
        runtime: device and dtype; without one the best device present and the checkpoint's own dtype.
        weights: a folder or file of weights instead of the tracker's own.

    Raises:
        UnknownName: no such tracker.
        CheckpointError: the weights cannot be read or do not fit.
        ConfigError: weights for a tracker that has none.
    """
    return resolve(name, "tracker")(runtime or Runtime.choose(), weights)
