"""Decoded run lengths equal those of the reference library, and damage never turns into a mask."""

import json

import numpy as np
import pytest
from dataset_trees import rle
from golden import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from saymask.video.coco_rle import read_rle


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_masks_come_back_as_the_reference_library_wrote_them(share):
    rng = np.random.default_rng(0)
    for height, width in [(1, 1), (1, 9), (7, 1), (33, 47), (300, 500)]:
        mask_HW = rng.random((height, width)) < share
        for segmentation in (rle(mask_HW), rle(mask_HW) | {"counts": rle(mask_HW)["counts"].encode()}):
            assert np.array_equal(read_rle(segmentation).decode(), mask_HW)


def test_annotations_of_the_golden_data_are_the_masks_beside_them():
    """Instances (null on frames where one is not) and foregrounds, as ReVOS writes them."""
    folder = GOLDEN / "metrics"
    annotations, masks = json.loads((folder / "revos.json").read_text(encoding="utf-8")), np.load(folder / "revos.npz")
    files = {f"anno__{anno_id}": rle_T for anno_id, rle_T in annotations["mask_dict_rle"].items()}
    files |= {f"foreground__{video}": entry["masks_rle"] for video, entry in annotations["foreground_rle"].items()}
    assert files.keys() == {name for name in masks.files if not name.startswith("pred__")}
    for name, rle_T in files.items():
        for segmentation, mask_HW in zip(rle_T, masks[name], strict=True):
            found_HW = np.zeros_like(mask_HW) if segmentation is None else read_rle(segmentation).decode()
            assert np.array_equal(found_HW, mask_HW > 0), name


def test_large_blocks_come_back():
    mask_HW = np.zeros((2000, 3000), bool)
    mask_HW[100:1900, 5:2990] = True
    assert np.array_equal(read_rle(rle(mask_HW)).decode(), mask_HW)


def test_plain_counts_are_read_as_well():
    assert read_rle({"size": [2, 2], "counts": [1, 2, 1]}).decode().tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [10, 20]}, "lacks 'size' or 'counts'"),
        ([[1, 2, 3]], "not an RLE"),
        ({"size": [10], "counts": "0"}, r"its size is \[10\], expected \[height, width\]"),
        ({"size": [0, 20], "counts": ""}, r"its size is \[0, 20\]"),
        ({"size": [2, 2], "counts": "3"}, "its runs cover 3 pixels of 4"),
        ({"size": [2, 2], "counts": "5"}, "its runs cover 5 pixels of 4"),
        ({"size": [2, 2], "counts": "O5"}, "a run of negative length"),
        ({"size": [2, 2], "counts": ""}, "its counts are cut off"),
        ({"size": [2, 2], "counts": "P"}, "its counts are cut off"),
        ({"size": [2, 2], "counts": "4 "}, "characters that no count is written in"),
        ({"size": [2, 2], "counts": "é"}, "characters that no count is written in"),
        ({"size": [2, 2], "counts": "o" * 12 + "0"}, "longer than any picture"),
        ({"size": [2, 2], "counts": None}, "its counts are NoneType, expected text"),
        ({"size": [2, 2], "counts": [[4]]}, r"its counts are \[\[4\]\], expected whole numbers"),
        ({"size": [2, 2], "counts": [5, -1]}, "a run of negative length"),
    ],
)
def test_damage_is_refused(segmentation, message):
    with pytest.raises(ValueError, match=message):
        read_rle(segmentation)


@given(st.text(alphabet=[chr(code) for code in range(48, 112)], max_size=12))
def test_what_is_accepted_is_what_the_reference_library_reads(counts):
    segmentation = {"size": [5, 6], "counts": counts}
    try:
        mask_HW = read_rle(segmentation).decode()
    except ValueError:
        return
    assert np.array_equal(mask_HW, coco_mask.decode(segmentation))
