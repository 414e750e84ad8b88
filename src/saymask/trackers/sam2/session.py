"""SAM 2's inference session without its appetite: frames are read when the model asks for them, outputs go when no later step reads them.

The library's own session holds every frame of the video at the model's input size, and every output. Only the holding is changed here:
each step is the library's and sees what it would see in a session that keeps everything, so the masks are the same.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Sam2VideoModel
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceCache, Sam2VideoInferenceSession

from saymask.records import Video
from saymask.storage.feature_cache import ByteBudget, FeatureCache
from saymask.video.transforms import stretched

READ_TOGETHER = 8
"""Frames read at a time: backwards, a video decoder would otherwise start from the keyframe again for every frame."""
_BOX_START, _BOX_END = 2, 3
"""The library's labels of points that are the corners of a box."""


class FrameFeatures(Sam2VideoInferenceCache):
    """What the image encoder made of a video's frames: the latest frame, and the first ones that fit into the budget.

    Propagations of the same video that share it encode a frame once, if they go through the video together or it was kept.
    """

    def __init__(self, budget_bytes: int, device: torch.device):
        super().__init__(inference_device=device, inference_state_device=device)
        self._kept = FeatureCache(ByteBudget(budget_bytes))
        self._latest: dict[int, tuple[Tensor, ...]] = {}
        self._positions: list[Tensor] = []

    def cache_vision_features(self, frame_idx: int, features: dict[str, Any]) -> None:
        levels = tuple(features["vision_feats"])
        self._latest = {frame_idx: levels}
        self._kept.offer(frame_idx, *levels)
        self._positions = features["vision_pos_embeds"][-1:]  # equal for all frames; the model reads the coarsest level's only

    def get_vision_features(self, frame_idx: int) -> dict[str, Any] | None:
        levels = self._kept.get(frame_idx) if frame_idx in self._kept else self._latest.get(frame_idx)
        return None if levels is None else {"vision_feats": list(levels), "vision_pos_embeds": self._positions}


class StreamedSession(Sam2VideoInferenceSession):
    """A session of one video that holds a few frames and, per object, as many outputs as the model looks back.

    Args:
        model: whose memory decides how far that is.
        video: its frames are read in small blocks.
        features: may be shared with other sessions of the same video.
    """

    def __init__(self, model: Sam2VideoModel, video: Video, features: FrameFeatures):
        device = model.device
        super().__init__(
            video_height=video.height, video_width=video.width, inference_device=device, inference_state_device=device, dtype=model.dtype
        )
        self.cache = features
        self._video = video
        self._image_size = cast(int, model.config.image_size)  # the model itself takes it for one number
        self._reach = max(model.config.num_maskmem, model.config.max_object_pointers_in_encoder) - 1
        self._block_idx = range(0)
        self._block_THWC = torch.empty(0)

    @property
    def num_frames(self) -> int:
        return self._video.num_frames

    def get_frame(self, frame_idx: int) -> Tensor:
        """The frame as image encoder input (3, size, size)."""
        if frame_idx not in self._block_idx:
            first = frame_idx - frame_idx % READ_TOGETHER
            self._block_idx = range(first, min(first + READ_TOGETHER, self.num_frames))
            self._block_THWC = torch.from_numpy(self._video.frames(self._block_idx))
        frame_HWC = self._block_THWC[frame_idx - self._block_idx.start].to(self.inference_device)
        return stretched(frame_HWC, self._image_size, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD).to(self.dtype)

    def prompt(self, frame_idx: int, masks_NHW: Tensor) -> bool:
        """Give the next step on a frame the masks (bool, at video size) of the objects that are there; False if none is.

        An object's number is its place in N. It takes part from its first prompt on: before that the model has nothing to track it by.
        """
        present = masks_NHW.flatten(1).any(1).nonzero().flatten().tolist()
        size = (self._image_size, self._image_size)
        for obj_id in present:
            mask_11HW = masks_NHW[None, None, obj_id].float()
            resized = functional.interpolate(mask_11HW, size=size, mode="bilinear", antialias=True, align_corners=False)
            self.add_mask_inputs(self.obj_id_to_idx(obj_id), frame_idx, (resized >= 0.5).float())
        self.obj_with_new_inputs = present
        return bool(present)

    def prompt_boxes(self, frame_idx: int, boxes_N4: Tensor) -> None:
        """Give the next step on a frame a box (x0 y0 x1 y1 in pixels of the video) for each object."""
        scale_2 = torch.tensor([self._image_size / self._video.width, self._image_size / self._video.height])
        corners = {"point_labels": torch.tensor([[[_BOX_START, _BOX_END]]], dtype=torch.int32)}
        for obj_id, box_22 in enumerate(boxes_N4.cpu().float().reshape(-1, 2, 2)):
            point_inputs = {"point_coords": (box_22 * scale_2)[None, None], **corners}
            self.add_point_inputs(self.obj_id_to_idx(obj_id), frame_idx, point_inputs)
        self.obj_with_new_inputs = list(range(len(boxes_N4)))

    def forget(self, *near: int) -> None:
        """After a step, drop what no later one reads; of the tracked frames all but those within the memory's reach of `near` frames."""
        for obj_idx, outputs in self.output_dict_per_obj.items():
            tracked, prompted = outputs["non_cond_frame_outputs"], outputs["cond_frame_outputs"]
            for frame_idx in [i for i in tracked if all(abs(i - j) >= self._reach for j in near)]:
                del tracked[frame_idx]
            for output in (*tracked.values(), *prompted.values()):
                output.pop("high_res_masks", None)  # the step that made it has encoded it
            self.mask_inputs_per_obj[obj_idx].clear()
            self.frames_tracked_per_obj[obj_idx].clear()
