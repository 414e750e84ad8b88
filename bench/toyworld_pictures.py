"""Draw the pictures of docs/toyworld.md: one question of each family, four frames in a row, the target outlined.

python bench/toyworld_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from saymask.toyworld.dataset import FAMILIES, load_toyworld

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SHOWN = {"attribute": 16, "spatial": 25, "motion": 26, "event": 51, "compare": 84, "knowledge": 45, "plural": 38, "absent": 39}
FRAME_IDX = (2, 8, 14, 20)
OUTLINE = (0, 255, 255)


def grow(mask_THW: np.ndarray) -> np.ndarray:
    """A mask and the pixels next to it."""
    padded = np.pad(mask_THW, ((0, 0), (1, 1), (1, 1)))
    return mask_THW | padded[:, :-2, 1:-1] | padded[:, 2:, 1:-1] | padded[:, 1:-1, :-2] | padded[:, 1:-1, 2:]


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        sample = load_toyworld(None, "test")[SHOWN[family]]
        assert sample.expression.tags["family"] == family
        frames_THWC = sample.video.frames(FRAME_IDX).copy()
        masks_THW = sample.masks(FRAME_IDX)
        frames_THWC, masks_THW = (np.repeat(np.repeat(array, 2, axis=1), 2, axis=2) for array in (frames_THWC, masks_THW))
        frames_THWC[grow(grow(masks_THW)) & ~masks_THW] = OUTLINE
        row_HWC = np.concatenate([np.pad(frame, ((0, 0), (0, 4), (0, 0)), constant_values=255) for frame in frames_THWC], axis=1)[:, :-4]
        Image.fromarray(row_HWC).save(PICTURES / f"toyworld_{family}.png", optimize=True)
        print(f"{family}: {sample.video.name}: {sample.expression.text}")


if __name__ == "__main__":
    main()
