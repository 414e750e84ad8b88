"""One walk of SAM 2 over frames, object by object under the caller's ids, in memory that does not grow.

Each object is tracked for itself; a pixel that several claim goes to the largest logit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel

from saymask.records import FrameSource
from saymask.trackers.base import MAX_REFERENCES, FrameMasks, exclusive_masks
from saymask.trackers.sam2.session import FrameFeatures, StreamedSession


class Sam2Run:
    """See `TrackerRun`. A reference that shows no pixel says nothing: SAM 2 cannot be told that an object is absent.

    Args:
        model: in evaluation mode.
        source: where frames are read.
        features: may be shared with other walks over the same source.
        num_frames: of the source; None = nobody knows, and the oldest references go.
    """

    def __init__(self, model: Sam2VideoModel | EdgeTamVideoModel, source: FrameSource, features: FrameFeatures, num_frames: int | None):
        self._model = model
        self._size = (source.height, source.width)
        self._session = StreamedSession(model, source, features, num_frames)
        self._endless = num_frames is None

    @property
    def obj_ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._session.obj_ids))

    def learn(self, frame_idx: int, references: Mapping[int, Tensor]) -> bool:
        """See `TrackerRun.learn`; whether there was anything to learn."""
        if not self._session.prompt(frame_idx, references):
            return False
        self._model(self._session, frame_idx=frame_idx)
        self._session.forget()
        if self._endless:
            self._session.forget_prompts(kept=MAX_REFERENCES)
        return True

    def step(self, frame_idx: int, references: Mapping[int, Tensor] = {}) -> FrameMasks:
        self.learn(frame_idx, references)
        return self.track(frame_idx, near=(frame_idx,))

    def track(self, frame_idx: int, near: Sequence[int], reverse: bool = False) -> FrameMasks:
        """Masks of all objects on a frame; of what was tracked, only what lies within the memory's reach of `near` frames is kept."""
        if not self._session.obj_ids:
            return FrameMasks(frame_idx, torch.zeros(0, *self._size, dtype=torch.bool), torch.zeros(0))
        output = self._model(self._session, frame_idx=frame_idx, reverse=reverse)
        self._session.forget(*near)
        logits_NHW = full_size(output.pred_masks[torch.tensor(output.object_ids).argsort(), 0].float(), self._size)
        return scored(frame_idx, logits_NHW, exclusive_masks(logits_NHW, above=0.0))

    def drop(self, obj_id: int) -> None:
        self._session.drop(obj_id)


def full_size(logits_NHW: Tensor, size: tuple[int, int]) -> Tensor:
    """The model's logits at the video's size, where they are compared."""
    return functional.interpolate(logits_NHW[None], size=size, mode="bilinear", align_corners=False)[0]


def scored(frame_idx: int, logits_NHW: Tensor, masks_NHW: Tensor) -> FrameMasks:
    """Masks with the mean probability of their pixels."""
    sums_N = (logits_NHW.sigmoid() * masks_NHW).flatten(1).sum(1)
    return FrameMasks(frame_idx, masks_NHW, sums_N / masks_NHW.flatten(1).sum(1).clamp(min=1))
