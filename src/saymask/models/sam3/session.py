"""SAM 3's inference session in bounded memory: frames are read when the model asks for them, what no later step reads is dropped.

Each step is the library's and sees what it would see in a session that keeps everything, so the masks are the same. A conditioning frame
is made anew every few frames; only the nearest ones are attended to, of the others the object pointer is read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Sam3VideoModel
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

from saymask.records import Video
from saymask.video.transforms import stretched

MEAN = STD = (0.5, 0.5, 0.5)
READ_TOGETHER = 8


class StreamedSession(Sam3VideoInferenceSession):
    """A session over one video, forwards.

    Args:
        model: whose memory decides what is kept.
        video: its frames are read in small blocks.
    """

    def __init__(self, model: Sam3VideoModel, video: Video):
        device, dtype = model.device, model.dtype
        super().__init__(
            video_height=video.height, video_width=video.width, inference_device=device, inference_state_device=device, dtype=dtype
        )
        tracker: Any = model.config.tracker_config
        self._video = video
        self._image_size = int(tracker.image_size)
        self._reach = max(tracker.num_maskmem, tracker.max_object_pointers_in_encoder)
        self._attended = int(tracker.max_cond_frame_num)
        self._block_idx = range(0)
        self._block_THWC = torch.empty(0)

    @property
    def num_frames(self) -> int:
        return self._video.num_frames

    def get_frame(self, frame_idx: int) -> Tensor:
        """The frame as the model takes it (3, size, size)."""
        if frame_idx not in self._block_idx:
            first = frame_idx - frame_idx % READ_TOGETHER
            self._block_idx = range(first, min(first + READ_TOGETHER, self.num_frames))
            self._block_THWC = torch.from_numpy(self._video.frames(self._block_idx))
        frame_HWC = self._block_THWC[frame_idx - self._block_idx.start].to(self.inference_device)
        return stretched(frame_HWC, self._image_size, MEAN, STD).to(self.dtype)

    def forget(self, frame_idx: int) -> None:
        """After the step on a frame, drop what no later one reads."""
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
