"""In which numbers a vision-language model answers where something is.

Qwen3-VL and GLM-V answer in thousandths of the image, Qwen2-VL and Qwen2.5-VL in pixels of the image as it was sent. The prompt asks every
other model for thousandths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

PIXELS = ("qwen2-vl", "qwen2.5-vl", "qwen2_5_vl", "qwen2_vl")
"""Parts of names of models that answer in pixels of the sent image."""
THOUSANDTHS = 1000.0
SLACK = 0.02
"""A box may reach over the edge by this part of the video's size."""


def answers_in_pixels(model: str) -> bool:
    """Whether a model, by its name, answers in pixels of the image it was sent."""
    return any(part in model.lower() for part in PIXELS)


def to_video(
    box: Sequence[float], model: str, sent_size: tuple[int, int], video_size: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """A box as the model wrote it -> x0 y0 x1 y1 in pixels of the video; None if it is no box inside the image.

    Args:
        box: x0 y0 x1 y1.
        model: its name.
        sent_size, video_size: (height, width) of the image that was sent, and of the video.
    """
    if len(box) != 4 or not all(math.isfinite(value) for value in box):
        return None
    height, width = sent_size if answers_in_pixels(model) else (THOUSANDTHS, THOUSANDTHS)
    scale = (video_size[1] / width, video_size[0] / height) * 2
    x0, y0, x1, y1 = (value * factor for value, factor in zip(box, scale, strict=True))
    right, bottom = video_size[1] * (1 + SLACK), video_size[0] * (1 + SLACK)
    inside = video_size[1] - right <= x0 < x1 <= right and video_size[0] - bottom <= y0 < y1 <= bottom
    if not inside or x1 - x0 < 1 or y1 - y0 < 1:
        return None
    return max(0.0, x0), max(0.0, y0), min(float(video_size[1]), x1), min(float(video_size[0]), y1)
