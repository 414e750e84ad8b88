"""A video drawn for measuring speed and memory: any size and length, the same every time, and never still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from saymask.exports.encoder import write_video

FPS = 24.0


def moving_noise(num_frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """uint8 frames_HWC of a textured picture that drifts, so that encoder and decoder have work to do."""
    rng = np.random.default_rng(0)
    small = rng.integers(40, 200, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    picture = small.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    for i in range(num_frames):
        yield np.roll(picture, (i // 2, i), axis=(0, 1))


def write_noise_video(path: Path, num_frames: int, height: int, width: int) -> None:
    """Write moving noise as an mp4 of 24 frames per second.

    Raises:
        VideoError: `path` exists or cannot be written, or H.264 cannot hold frames of that size.
    """
    write_video(path, moving_noise(num_frames, height, width), np.arange(num_frames) / FPS, num_frames / FPS)
