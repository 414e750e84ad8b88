"""The baseline that does not look: every frame gets the masks of the nearest earlier reference, frames before the first one the first's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from saymask.errors import ConfigError
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.trackers.base import PRESENT_ABOVE, FrameMasks, check_references, exclusive_masks


class HoldTracker:
    """What tracking is worth is measured against this; an object's score is 1 where it has a mask."""

    name = "hold"
    weights_files: tuple[Path, ...] = ()

    def features(self, video: Video, budget_bytes: int) -> None:
        """It never reads a frame, so there is nothing to keep."""

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: None = None) -> Iterator[FrameMasks]:
        check_references(video, reference_masks)
        reference_idx = sorted(reference_masks)
        held = [exclusive_masks(reference_masks[i].float(), PRESENT_ABOVE) for i in reference_idx]
        for frame_idx in range(video.num_frames):
            masks_NHW = held[max(0, bisect_right(reference_idx, frame_idx) - 1)]
            yield FrameMasks(frame_idx, masks_NHW, masks_NHW.flatten(1).any(1).float())

    def notice(self, video: Video) -> str | None:
        return None


def load_hold(runtime: Runtime, weights: str | Path | None) -> HoldTracker:
    """Each reference mask stays where it is until the next one: the baseline.

    Raises:
        ConfigError: weights, of which it has none.
    """
    if weights is not None:
        raise ConfigError(f"tracker 'hold' has no weights; leave out {str(weights)!r}")
    return HoldTracker()
