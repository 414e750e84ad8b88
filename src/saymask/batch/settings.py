"""What is the same for all jobs of a batch: which model is asked, how, and what is written. Other settings would give other results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saymask.batch.per_video import VideoAsker, Wording
from saymask.config import Config
from saymask.models.choice import AUTO, ModelForEach
from saymask.runtime import Runtime
from saymask.trackers.references import MIN_STABILITY
from saymask.video.limits import ReadLimits


class BatchSettings(Config):
    """Options of `saymask segment`, as a batch keeps them.

    Args:
        model, tracker, tracker_weights, vision_tower, dtype, min_stability, every: as for `saymask segment`.
        template, answer, min_presence, settings: how queries are asked; a job may have options of its own beside them.
        formats: what is written of each result.
        max_frames, max_pixels: larger videos are refused.
    """

    model: str = AUTO
    tracker: str | None = None
    tracker_weights: str | None = None
    vision_tower: str | None = None
    dtype: str | None = None
    min_stability: float = MIN_STABILITY
    every: int | None = None
    template: str | None = None
    answer: str | None = None
    min_presence: float | None = None
    settings: tuple[str, ...] = ()
    formats: tuple[str, ...] = ("json", "sheet")
    max_frames: int = ReadLimits.max_frames
    max_pixels: int = ReadLimits.max_pixels

    def asker(self, placement: Placement) -> VideoAsker:
        """Load the model and the tracker where they are to compute.

        Raises:
            UnknownName, CheckpointError, ConfigError: one of them, or an option, cannot be used.
        """
        import torch

        from saymask.trackers.loading import load_tracker

        if placement.threads:
            torch.set_num_threads(placement.threads)
        runtime = Runtime.choose(placement.device, self.dtype)
        tracker = load_tracker(self.tracker, runtime, _path(self.tracker_weights)) if self.tracker else None
        asker = VideoAsker(
            ModelForEach(self.model, runtime, _path(self.vision_tower)),
            tracker,
            Wording(self.template, self.answer, self.min_presence, self.settings),
            min_stability=self.min_stability,
            every=self.every,
            limits=ReadLimits(self.max_pixels, self.max_frames),
        )
        asker.prepare()
        return asker


@dataclass(frozen=True)
class Placement:
    """Where one worker computes.

    Args:
        device: None = the best one present.
        threads: of its CPU work; None = as many as torch likes.
    """

    device: str | None = None
    threads: int | None = None


def _path(text: str | None) -> Path | None:
    return Path(text) if text is not None else None
