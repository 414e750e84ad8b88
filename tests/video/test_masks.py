"""Conversions agree with pycocotools and with the published VOC palette."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from saymask.records import Rle
from saymask.video.masks import davis_palette, label_map, rle_to_coco


def _masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    masks = [rng.random((rng.integers(1, 40), rng.integers(1, 40))) < share for share in (0.02, 0.3, 0.5, 0.9) for _ in range(8)]
    return [*masks, np.zeros((7, 9), bool), np.ones((7, 9), bool)]


def test_compressed_rle_is_byte_for_byte_that_of_pycocotools() -> None:
    for mask_HW in _masks():
        expected = coco_mask.encode(np.asfortranarray(mask_HW.astype(np.uint8)))
        found = rle_to_coco(Rle.encode(mask_HW))
        assert found == {"size": list(mask_HW.shape), "counts": expected["counts"].decode()}


def test_label_map_gives_a_shared_pixel_to_the_first_object() -> None:
    masks_NHW = np.array([[[0, 1, 1, 0]], [[0, 0, 1, 1]]], dtype=bool)
    labels_HW = label_map(masks_NHW)
    assert (labels_HW.tolist(), labels_HW.dtype) == ([[0, 1, 1, 2]], np.uint8)
    assert label_map(np.zeros((0, 1, 2), bool)).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="a label map numbers at most 255 objects, got 256"):
        label_map(np.zeros((256, 1, 1), bool))


def test_palette_is_that_of_voc() -> None:
    palette = davis_palette()
    assert (palette.shape, palette.dtype) == ((256, 3), np.uint8)
    first_nine = [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]
    assert palette[:9].tolist() == first_nine
    assert palette[[20, 255]].tolist() == [[0, 64, 128], [224, 224, 192]]
    assert len({tuple(colour) for colour in palette.tolist()}) == 256
