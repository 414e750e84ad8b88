"""Videos for batches of the colour family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from saymask.batch.settings import BatchSettings

SETTINGS = BatchSettings(model="colour", formats=("json", "sheet"))


def draw(folder: Path, num_frames: int = 3, size: tuple[int, int] = (24, 32)) -> Path:
    """A folder of frames: a red square of 6 x 6 that moves right, and a blue one on the first frame."""
    folder.mkdir(parents=True)
    for index in range(num_frames):
        frame_HWC = np.full((*size, 3), 200, np.uint8)
        frame_HWC[4:10, 2 + index : 8 + index] = (255, 0, 0)
        if index == 0:
            frame_HWC[12:18, 2:8] = (0, 0, 255)
        Image.fromarray(frame_HWC).save(folder / f"{index:05d}.png")
    return folder
