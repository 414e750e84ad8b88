"""The baseline that does not look: every frame gets the masks of the nearest earlier reference, frames before the first one the first's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.records import FrameSource, Video
from saymask.runtime import Runtime
from saymask.trackers.base import PRESENT_ABOVE, FrameMasks, check_references, exclusive_masks


class HoldRun:
    """Objects that stay where their latest reference is; a new reference takes its pixels from those of older ones."""

    def __init__(self, height: int, width: int):
        self._size = (height, width)
        self._held: dict[int, Tensor] = {}

    @property
    def obj_ids(self) -> tuple[int, ...]:
        return tuple(self._held)

    def learn(self, frame_idx: int, references: Mapping[int, Tensor]) -> None:
        """It has no memory for frames to come."""

    def step(self, frame_idx: int, references: Mapping[int, Tensor] = {}) -> FrameMasks:
        if references:
            given_NHW = exclusive_masks(torch.stack([mask_HW.float() for mask_HW in references.values()]), PRESENT_ABOVE)
            taken_HW = given_NHW.any(0)
            self._held = {obj_id: mask_HW & ~taken_HW for obj_id, mask_HW in self._held.items()}
            self._held.update(zip(references, given_NHW, strict=True))
        masks_NHW = torch.stack(list(self._held.values())) if self._held else torch.zeros(0, *self._size, dtype=torch.bool)
        return FrameMasks(frame_idx, masks_NHW, masks_NHW.flatten(1).any(1).float())

    def drop(self, obj_id: int) -> None:
        del self._held[obj_id]


class HoldTracker:
    """What tracking is worth is measured against this; an object's score is 1 where it has a mask."""

    name = "hold"
    weights_files: tuple[Path, ...] = ()

    def features(self, source: FrameSource, budget_bytes: int) -> None:
        """It never reads a frame, so there is nothing to keep."""

    def start(self, source: FrameSource, features: None = None) -> HoldRun:
        return HoldRun(source.height, source.width)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: None = None) -> Iterator[FrameMasks]:
        check_references(video, reference_masks)
        run, first = self.start(video), min(reference_masks)
        for frame_idx in range(video.num_frames):
            masks_NHW = reference_masks.get(first if frame_idx == 0 else frame_idx)
            yield run.step(frame_idx, {} if masks_NHW is None else dict(enumerate(masks_NHW)))

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
