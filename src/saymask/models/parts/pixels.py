"""Frames as the two encoders of a reasoning model want them: CLIP's numbers for the vision tower, Segment Anything's for the mask head."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saymask.models.parts.composite_config import CompositeConfig
from saymask.video.transforms import Geometry, for_mask_encoder, for_vision_tower, longest_side

TOWER_MEAN, TOWER_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MASK_MEAN, MASK_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class PixelProcessor:
    """The part of a processor that knows pixels; it needs the model's `config`."""

    config: CompositeConfig

    def tower_pixels(self, frames_THWC: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
        """uint8 frames -> pixels_TChw for the vision tower (centre crop)."""
        frames = torch.from_numpy(frames_THWC).to(device)
        return for_vision_tower(frames, self.config.tower_size[0], TOWER_MEAN, TOWER_STD)

    def mask_pixels(self, frames_THWC: np.ndarray, device: torch.device | str = "cpu") -> tuple[Tensor, Geometry]:
        """uint8 frames -> pixels_TChw for the mask encoder (whole frame, padded) and the geometry that undoes it."""
        frames = torch.from_numpy(frames_THWC).to(device)
        return for_mask_encoder(frames, self.config.mask_size[0], MASK_MEAN, MASK_STD)

    def geometry(self, height: int, width: int) -> Geometry:
        """How a frame of this size sits in the mask encoder's input, without touching pixels."""
        size, _ = self.config.mask_size
        return Geometry((height, width), longest_side(height, width, size), (size, size))
