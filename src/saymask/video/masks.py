"""Masks in other people's formats: COCO's compressed RLE, DAVIS label maps and their palette. Pure functions on numpy arrays."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from pycocotools import mask as coco_mask

from saymask.records import Rle

MAX_LABELS = 255


def rle_to_coco(rle: Rle) -> dict[str, Any]:
    """Compress to what COCO and YouTube-VIS files hold: {"size": [height, width], "counts": str}."""
    packed = coco_mask.frPyObjects({"size": [rle.height, rle.width], "counts": rle.counts.tolist()}, rle.height, rle.width)
    return {"size": [rle.height, rle.width], "counts": cast(bytes, packed["counts"]).decode("ascii")}


def label_map(masks_NHW: np.ndarray) -> np.ndarray:
    """One number per pixel -> uint8 labels_HW: 0 is background, i + 1 is object i; where objects overlap, the first keeps the pixel.

    Raises:
        ValueError: more objects than a byte can number.
    """
    if len(masks_NHW) > MAX_LABELS:
        raise ValueError(f"a label map numbers at most {MAX_LABELS} objects, got {len(masks_NHW)}")
    labels_HW = np.zeros(masks_NHW.shape[1:], dtype=np.uint8)
    for obj_idx in reversed(range(len(masks_NHW))):
        labels_HW[masks_NHW[obj_idx]] = obj_idx + 1
    return labels_HW


def davis_palette() -> np.ndarray:
    """The colours of PASCAL VOC and DAVIS -> uint8 (256, 3): a label's bits, three at a time, fill R, G and B from the highest bit down."""
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for step in range(8):
        for channel in range(3):
            bit = labels >> (3 * step + channel) & 1
            palette[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return palette
