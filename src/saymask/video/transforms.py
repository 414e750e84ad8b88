"""From decoded frames to encoder inputs, and from mask logits back to the video's own pixels.

Every function takes uint8 RGB frames of shape (..., H, W, C) on any device and treats all leading axes as one batch. Frames are
resized as uint8, with the rounding of Pillow, because that is what the published models were trained on.
The mask encoder sees the whole frame: longest side to `size`, normalised, padded with 0 at the right and bottom.
The vision tower sees the centre: shortest side to `size`, then a centre crop, so the ends of a wide video are cut off.
SAM 2 sees the whole frame stretched to a square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Geometry:
    """How frames were placed in a square encoder input; all sizes are (height, width) in pixels."""

    original_size: tuple[int, int]
    resized_size: tuple[int, int]
    padded_size: tuple[int, int]

    def undo(self, logits: Tensor) -> Tensor:
        """Bring mask logits (..., h, w) of any resolution back to the frames: float32 (..., H, W).

        The order is part of the published models: up to the padded size, cut off the padding, then to the original size.
        """
        return _interpolate_logits(self.without_padding(logits), self.original_size)

    def without_padding(self, logits: Tensor) -> Tensor:
        """The first two of these steps: float32, at `resized_size`."""
        height, width = self.resized_size
        return _interpolate_logits(logits.float(), self.padded_size)[..., :height, :width]

    def transposed(self) -> Geometry:
        """Of the same frames with rows for columns."""
        (H, W), (h, w), (padded_h, padded_w) = self.original_size, self.resized_size, self.padded_size
        return Geometry((W, H), (w, h), (padded_w, padded_h))


def longest_side(height: int, width: int, size: int) -> tuple[int, int]:
    """Size (h, w) after scaling the longest side to `size`; a side never shrinks below one pixel."""
    scale = size / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def shortest_side(height: int, width: int, size: int) -> tuple[int, int]:
    """Size (h, w) after scaling the shortest side to `size`; the other one is rounded down."""
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def for_mask_encoder(frames: Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Geometry]:
    """Prepare frames for the mask encoder.

    Args:
        frames: uint8 (..., H, W, 3).
        size: side of the encoder's square input.
        mean, std: per channel, in levels of 0 … 255.

    Returns:
        float32 images (..., 3, size, size), and the geometry that undoes the placement.
    """
    height, width = frames.shape[-3:-1]
    h, w = longest_side(height, width, size)
    images = _normalise(_resize(frames, (h, w), "bilinear"), mean, std)
    padded = functional.pad(images, (0, size - w, 0, size - h))
    return padded, Geometry((height, width), (h, w), (size, size))


def for_vision_tower(frames: Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Prepare frames for the vision tower.

    Args:
        frames: uint8 (..., H, W, 3).
        size: side of the tower's square input.
        mean, std: per channel, of values in 0 … 1.

    Returns:
        float32 images (..., 3, size, size).
    """
    h, w = shortest_side(frames.shape[-3], frames.shape[-2], size)
    resized = _resize(frames, (h, w), "bicubic")
    top, left = (h - size) // 2, (w - size) // 2
    cropped = resized[..., top : top + size, left : left + size]
    return _normalise(cropped, [255 * m for m in mean], [255 * s for s in std])


def stretched(frames: Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Prepare frames for an encoder that takes them stretched to a square.

    Args:
        frames: uint8 (..., H, W, 3).
        size: side of the encoder's square input.
        mean, std: per channel, of values in 0 … 1.

    Returns:
        float32 images (..., 3, size, size).
    """
    return _normalise(_resize(frames, (size, size), "bilinear"), [255 * m for m in mean], [255 * s for s in std])


def _resize(frames: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Antialiased resize of uint8 (..., H, W, C) -> uint8 (..., C, h, w)."""
    if frames.dtype != torch.uint8:
        raise TypeError(f"frames must be uint8 in 0 … 255, got {frames.dtype}")
    images_BCHW = frames.reshape(-1, *frames.shape[-3:]).permute(0, 3, 1, 2)
    if images_BCHW.shape[-2:] != size:
        resize = _resize_bytes if frames.device.type == "cpu" else _resize_rounded
        images_BCHW = resize(images_BCHW, size, mode)
    return images_BCHW.reshape(*frames.shape[:-3], *images_BCHW.shape[1:])


def _resize_bytes(images_BCHW: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Fixed-point resize, which rounds after each axis as Pillow does; torch has it on the CPU only."""
    return functional.interpolate(images_BCHW, size=size, mode=mode, antialias=True, align_corners=False)


def _resize_rounded(images_BCHW: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """The same in floating point for other devices: one axis after the other, each rounded half up to whole levels."""
    levels = images_BCHW.float()
    for axis_size in ((images_BCHW.shape[-2], size[1]), size):
        levels = functional.interpolate(levels, size=axis_size, mode=mode, antialias=True, align_corners=False)
        levels = levels.add_(0.5).floor_().clamp_(0, 255)
    return levels.to(torch.uint8)


def _normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (..., C, h, w) -> float32, per channel (value - mean) / std."""
    mean_C11 = torch.tensor(mean, device=images.device)[:, None, None]
    std_C11 = torch.tensor(std, device=images.device)[:, None, None]
    return images.to(torch.float32, memory_format=torch.contiguous_format).sub_(mean_C11).div_(std_C11)


def _interpolate_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of the last two axes."""
    leading = logits.shape[:-2]
    resized = functional.interpolate(logits.reshape(-1, 1, *logits.shape[-2:]), size=size, mode="bilinear", align_corners=False)
    return resized.reshape(*leading, *size)
