"""SAM 2's inference session in bounded memory: frames are read when the model asks for them, outputs go when no later step reads them.

The library's own session holds every frame of the video at the model's input size, and every output. Only the holding is changed here:
each step is the library's and sees what it would see in a session that keeps everything, so the masks are the same.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceCache, Sam2VideoInferenceSession, Sam2VideoModel

from saymask.records import FrameSource
from saymask.storage.feature_cache import ByteBudget, FeatureCache
from saymask.trackers.base import PRESENT_ABOVE
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
        source: where frames are read, in small blocks if it is a video.
        features: may be shared with other sessions of the same source.
        num_frames: how many frames there are; None = nobody knows, and each is read when it is stepped to.
    """

    def __init__(self, model: Sam2VideoModel | EdgeTamVideoModel, source: FrameSource, features: FrameFeatures, num_frames: int | None):
        device = model.device
        super().__init__(
            video_height=source.height, video_width=source.width, inference_device=device, inference_state_device=device, dtype=model.dtype
        )
        self.cache = features
        self._source = source
        self._num_frames = num_frames
        self._image_size = cast(int, model.config.image_size)  # the model itself takes it for one number
        self._reach = max(model.config.num_maskmem, model.config.max_object_pointers_in_encoder) - 1
        self._block_idx = range(0)
        self._block_THWC = torch.empty(0)

    @property
    def num_frames(self) -> int:
        return sys.maxsize if self._num_frames is None else self._num_frames

    def get_frame(self, frame_idx: int) -> Tensor:
        """The frame as image encoder input (3, size, size)."""
        if frame_idx not in self._block_idx:
            block = 1 if self._num_frames is None else READ_TOGETHER
            first = frame_idx - frame_idx % block
            self._block_idx = range(first, min(first + block, self.num_frames))
            self._block_THWC = torch.from_numpy(self._source.frames(self._block_idx))
        frame_HWC = self._block_THWC[frame_idx - self._block_idx.start].to(self.inference_device)
        return stretched(frame_HWC, self._image_size, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD).to(self.dtype)

    def prompt(self, frame_idx: int, references: Mapping[int, Tensor]) -> bool:
        """Give the next step on a frame masks by object id, those that show a pixel; False if none does.

        An object takes part from its first prompt on: before that the model has nothing to track it by.
        """
        present = {obj_id: mask_HW > PRESENT_ABOVE for obj_id, mask_HW in references.items() if (mask_HW > PRESENT_ABOVE).any()}
        size = (self._image_size, self._image_size)
        for obj_id, mask_HW in present.items():
            resized = functional.interpolate(mask_HW[None, None].float(), size=size, mode="bilinear", antialias=True, align_corners=False)
            self.add_mask_inputs(self.obj_id_to_idx(obj_id), frame_idx, (resized >= 0.5).float())
        self.obj_with_new_inputs = list(present)
        return bool(present)

    def prompt_boxes(self, frame_idx: int, boxes_N4: Tensor) -> None:
        """Give the next step on a frame a box (x0 y0 x1 y1 in pixels of the video) for each object."""
        scale_2 = torch.tensor([self._image_size / self._source.width, self._image_size / self._source.height])
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

    def forget_prompts(self, kept: int) -> None:
        """Of each object's prompted frames keep the latest so many."""
        for outputs in self.output_dict_per_obj.values():
            prompted = outputs["cond_frame_outputs"]
            for frame_idx in list(prompted)[:-kept]:
                del prompted[frame_idx]

    def drop(self, obj_id: int) -> None:
        """Forget an object; the places of those after it move up, as the model counts places from 0 without gaps."""
        place = self._obj_id_to_idx[obj_id]
        self.obj_ids = [other for other in self.obj_ids if other != obj_id]
        self._obj_id_to_idx = OrderedDict((other, number) for number, other in enumerate(self.obj_ids))
        self._obj_idx_to_id = OrderedDict(enumerate(self.obj_ids))
        for of_objects in (self.point_inputs_per_obj, self.mask_inputs_per_obj, self.output_dict_per_obj, self.frames_tracked_per_obj):
            moved = {number - (number > place): value for number, value in of_objects.items() if number != place}
            of_objects.clear()
            of_objects.update(moved)
