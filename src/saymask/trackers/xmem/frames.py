"""Frames of a video as XMem sees them, each encoded once, and its probabilities back on the video's own pixels.

    frames_THWC ─ normalise ─ resize (short side) ─ pad to multiples of 16 ─ encode_key ─ EncodedFrame

`Placement` is the resizing and padding; it also brings masks there and probabilities back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from saymask.records import FrameSource
from saymask.storage.feature_cache import ByteBudget, FeatureCache
from saymask.trackers.xmem.network import STRIDE, FrameKey, XMemNetwork
from saymask.video.transforms import shortest_side

_FRAMES_AHEAD = 8
"""Frames decoded in one call: backwards through a video file, each call may have to start at a keyframe far before."""


@dataclass(frozen=True)
class Placement:
    """How frames lie in the network's input; all sizes are (height, width) in pixels.

    Args:
        video_size: of the frames.
        resized_size: after scaling; no smoothing when it is smaller, as published.
        padding: zeros at the left, right, top and bottom, as torch's `pad` takes them; the odd one is at the right or bottom.
    """

    video_size: tuple[int, int]
    resized_size: tuple[int, int]
    padding: tuple[int, int, int, int]

    @classmethod
    def of(cls, height: int, width: int, short_side: int | None) -> Placement:
        """Scale the short side to `short_side` (None: not at all), then pad both to multiples of 16."""
        h, w = (height, width) if short_side is None else shortest_side(height, width, short_side)
        missing_h, missing_w = -h % STRIDE, -w % STRIDE
        left, top = missing_w // 2, missing_h // 2
        return cls((height, width), (h, w), (left, missing_w - left, top, missing_h - top))

    def images(self, frames_THWC: Tensor) -> Tensor:
        """uint8 RGB frames -> normalised float32 images_T3HW."""
        images_T3HW = normalise(frames_THWC)
        resized_T3HW = functional.interpolate(images_T3HW, size=self.resized_size, mode="bilinear", align_corners=False)
        return functional.pad(resized_T3HW, self.padding)

    def masks(self, masks_NHW: Tensor) -> Tensor:
        """Masks at video size, bool or 0 to 1 -> float32 masks_NHW at the images' size."""
        resized_1NHW = functional.interpolate(masks_NHW[None].float(), size=self.resized_size, mode="nearest")
        return functional.pad(resized_1NHW, self.padding)[0]

    def undo(self, prob_KHW: Tensor) -> Tensor:
        """Probabilities at the images' size -> at video size."""
        left, _, top, _ = self.padding
        height, width = self.resized_size
        inner_1KHW = prob_KHW[None, :, top : top + height, left : left + width]
        return functional.interpolate(inner_1KHW, size=self.video_size, mode="bilinear", align_corners=False)[0]


def normalise(frames_THWC: Tensor) -> Tensor:
    """uint8 RGB frames -> float32 images_T3HW with ImageNet's mean and standard deviation taken out."""
    mean_C11, std_C11 = (
        torch.tensor(values, device=frames_THWC.device)[:, None, None] for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    )
    return (frames_THWC.movedim(-1, -3).float() / 255 - mean_C11) / std_C11


@dataclass(frozen=True)
class EncodedFrame:
    """A frame for the network, image_13HW, and what `encode_key` made of it."""

    image_13HW: Tensor
    key: FrameKey


class EncodedFrames:
    """The encoded frames of one video for any number of propagations, within a byte budget.

    The latest frame is always kept, besides the budget: propagations that go through the video side by side encode each frame once.
    """

    def __init__(self, network: XMemNetwork, source: FrameSource, budget_bytes: int):
        self.placement = Placement.of(source.height, source.width, network.config.short_side)
        self._network = network
        self._source = source
        self._cache = FeatureCache(ByteBudget(budget_bytes))
        self._latest: tuple[int, EncodedFrame] | None = None

    def walk(self, frame_idx: Sequence[int]) -> Iterator[EncodedFrame]:
        """The frames in this order, decoded a few ahead where none of the propagations has left them."""
        decoded: dict[int, np.ndarray] = {}
        for position, index in enumerate(frame_idx):
            frame = self._find(index)
            if frame is None:
                if index not in decoded:
                    ahead = [i for i in frame_idx[position : position + _FRAMES_AHEAD] if i not in self._cache]
                    decoded = dict(zip(ahead, self._source.frames(ahead), strict=True))
                frame = self._encode(decoded[index])
                self._cache.offer(index, frame.image_13HW, *frame.key.tensors)
            self._latest = index, frame
            yield frame

    def _find(self, index: int) -> EncodedFrame | None:
        if self._latest is not None and self._latest[0] == index:
            return self._latest[1]
        if index not in self._cache:
            return None
        image_13HW, *key = self._cache.get(index)
        return EncodedFrame(image_13HW, FrameKey(*key))

    def _encode(self, frame_HWC: np.ndarray) -> EncodedFrame:
        frames_1HWC = torch.from_numpy(frame_HWC)[None].to(self._network.device)
        image_13HW = self.placement.images(frames_1HWC).to(self._network.dtype)
        return EncodedFrame(image_13HW, self._network.encode_key(image_13HW))
