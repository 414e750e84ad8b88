"""How far a run of a batch is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from saymask.batch.jobs import Job
from saymask.batch.sources import nbytes

Ended = Callable[[Job, str | None], None]
"""Called when a job is done (None) or has failed (why)."""


@dataclass
class Pace:
    """How far a run is, by the size of the sources: a long video counts for more than a short one.

    Args:
        jobs: all that are to be done.
        clock: seconds.
    """

    jobs: Sequence[Job]
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    failed: int = 0
    _weights: dict[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._weights = {job.id: max(1, nbytes(job.source)) for job in self.jobs}
        self.total = sum(self._weights.values())
        self.weight_done = 0
        self._start = self.clock()

    def ended(self, job: Job, why: str | None) -> None:
        """Count a job that has ended."""
        self.done += why is None
        self.failed += why is not None
        self.weight_done += self._weights[job.id]

    def label(self) -> str:
        """How many jobs have ended, and how long the others will take at the pace so far."""
        failed = f", {self.failed} failed" if self.failed else ""
        left = ""
        if self.weight_done:
            seconds = (self.clock() - self._start) / self.weight_done * (self.total - self.weight_done)
            left = f", {duration(seconds)} left"
        return f"{self.done + self.failed} of {len(self.jobs)} jobs{failed}{left}"


def duration(seconds: float) -> str:
    """A time to wait in one or two units."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {minutes} min" if minutes < 90 else f"about {minutes // 60} h {minutes % 60} min"
