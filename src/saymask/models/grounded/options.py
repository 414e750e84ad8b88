"""How `grounded` can be asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from saymask.models.base import Options


class GroundedOptions(Options):
    """It finds what scores high enough, perhaps nothing; `answer="forced"` takes the best box of a phrase whatever its score.

    Args:
        box_threshold: boxes with a lower score (0 ... 1) are left out; None = the detector's own default.
        recheck_seconds: how often the detector looks again for objects that came later; it also looks where a track ends.
        same_above: a box that overlaps a tracked object (IoU) by so much shows that object.
        max_objects: of each query, the highest scores first.
    """

    answer: Literal["forced", "generate"] = "generate"
    box_threshold: float | None = Field(default=None, ge=0, le=1)
    recheck_seconds: float = Field(default=2.0, gt=0)
    same_above: float = Field(default=0.5, gt=0, le=1)
    max_objects: int = Field(default=16, ge=1)
