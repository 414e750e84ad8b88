"""SAM 3's inference sessions in bounded memory: of frames only the latest are held, what no later step reads is dropped.

Each step is the library's and sees what it would see in a session that keeps everything, so the masks are the same. A conditioning frame
is made anew every few frames; only the nearest ones are attended to, of the others the object pointer is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession, Sam3VideoModel

from saymask.records import FrameSource, Video
from saymask.video.transforms import stretched

MEAN = STD = (0.5, 0.5, 0.5)
READ_TOGETHER = 8


class PrunedSession(Sam3VideoInferenceSession):
    """A session that forgets; where its frames come from is the subclass's matter.

    Args:
        model: whose memory decides what is kept.
        source: gives the size.
    """

    def __init__(self, model: Sam3VideoModel, source: FrameSource):
        device, dtype = model.device, model.dtype
        super().__init__(
            video_height=source.height, video_width=source.width, inference_device=device, inference_state_device=device, dtype=dtype
        )
        tracker: Any = model.config.tracker_config
        self._image_size = int(tracker.image_size)
        self._reach = max(tracker.num_maskmem, tracker.max_object_pointers_in_encoder)
        self._attended = int(tracker.max_cond_frame_num)

    def prepared(self, frame_HWC: np.ndarray) -> Tensor:
        """A uint8 frame as the model takes it (3, size, size)."""
        return stretched(torch.from_numpy(frame_HWC).to(self.inference_device), self._image_size, MEAN, STD).to(self.dtype)

    def forget(self, frame_idx: int) -> None:
        """After the step on a frame, drop what no later one reads."""
        for by_frame in (self.obj_id_to_tracker_score_frame_wise, self.suppressed_obj_ids):  # the first is copied as a whole in each step
            for old in [t for t in by_frame if t < frame_idx]:
                del by_frame[old]
        for obj_idx, outputs in self.output_dict_per_obj.items():
            tracked, conditioning = outputs["non_cond_frame_outputs"], outputs["cond_frame_outputs"]
            for old in [t for t in tracked if t <= frame_idx - self._reach]:
                del tracked[old]
            for old in sorted(conditioning)[: -self._attended]:
                for name in [name for name in conditioning[old] if name not in ("object_pointer", "object_score_logits")]:
                    del conditioning[old][name]
            for output in (*tracked.values(), *conditioning.values()):
                output.pop("high_res_masks", None)
            for old in [t for t in self.mask_inputs_per_obj[obj_idx] if t < frame_idx]:
                del self.mask_inputs_per_obj[obj_idx][old]
            for old in [t for t in self.frames_tracked_per_obj[obj_idx] if t < frame_idx]:
                del self.frames_tracked_per_obj[obj_idx][old]


class VideoFileSession(PrunedSession):
    """Forwards through a video, whose frames are read in small blocks when the model asks for them."""

    def __init__(self, model: Sam3VideoModel, video: Video):
        super().__init__(model, video)
        self._video = video
        self._block_idx = range(0)
        self._block_THWC = np.empty(0)

    @property
    def num_frames(self) -> int:
        return self._video.num_frames

    def get_frame(self, frame_idx: int) -> Tensor:
        if frame_idx not in self._block_idx:
            first = frame_idx - frame_idx % READ_TOGETHER
            self._block_idx = range(first, min(first + READ_TOGETHER, self.num_frames))
            self._block_THWC = self._video.frames(self._block_idx)
        return self.prepared(self._block_THWC[frame_idx - self._block_idx.start])


class LiveSession(PrunedSession):
    """Frames are given to the model with each step; the latest is held, and how many there were is what a session without end knows."""

    @property
    def num_frames(self) -> int:
        return self._num_frames

    def __init__(self, model: Sam3VideoModel, source: FrameSource):
        super().__init__(model, source)
        self._num_frames = 0

    def add_new_frame(self, pixel_values: Tensor, frame_idx: int | None = None) -> int:
        frame_idx = self._num_frames if frame_idx is None else frame_idx
        self._num_frames = frame_idx + 1
        self._latest = pixel_values.to(self.inference_device)
        return frame_idx

    def get_frame(self, frame_idx: int) -> Tensor:
        return self._latest
