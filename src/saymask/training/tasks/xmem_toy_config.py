"""What a run says that trains XMem on drawn clips."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from saymask.config import Config
from saymask.training.config import TrainConfig


class ClipConfig(Config):
    """Training clips of a tracker: a few frames of one drawn video, some of its things as objects.

    The gap between neighbouring frames is drawn anew for every batch, from 1 to a bound that grows to `max_gap` over the run's first half.

    Args:
        size: side of the drawn frames in pixels.
        crop: side of the square cut out of them, at a place drawn anew for every batch; the network sees it enlarged as it would see a
            whole frame.
        num_frames: T; the first frame's masks are given.
        max_objects: a clip follows 1 to so many things.
        min_pixels: what a thing shows on the first frame, if it is to be followed.
    """

    size: int = Field(default=128, ge=32)
    crop: int = Field(default=80, ge=32)
    num_frames: int = Field(default=4, ge=2)
    max_gap: int = Field(default=5, ge=1)
    max_objects: int = Field(default=3, ge=1)
    min_pixels: int = Field(default=40, ge=1)

    @model_validator(mode="after")
    def _crop_is_inside(self) -> Self:
        if self.crop > self.size:
            raise ValueError(f"crop = {self.crop} must not exceed size = {self.size}")
        return self


class BootstrapConfig(Config):
    """Share of the pixels that the cross-entropy counts: all at first, from `start` to `end` of the run falling to the hardest `share`."""

    start: float = Field(default=0.2, ge=0, le=1)
    end: float = Field(default=0.7, ge=0, le=1)
    share: float = Field(default=0.15, gt=0, le=1)

    @model_validator(mode="after")
    def _falls_over_a_span(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start = {self.start} must lie before end = {self.end}")
        return self

    def keep_share(self, progress: float) -> float:
        """The share in force at `progress` (0 ... 1) of the run."""
        fallen = min(max((progress - self.start) / (self.end - self.start), 0.0), 1.0)
        return 1.0 + fallen * (self.share - 1.0)


class XMemToyConfig(TrainConfig):
    """XMem on drawn clips; `model` holds keyword arguments of `XMemConfig`."""

    kind: Literal["xmem_toy"] = "xmem_toy"
    model: dict[str, Any]
    data: ClipConfig = ClipConfig()
    bootstrap: BootstrapConfig = BootstrapConfig()
