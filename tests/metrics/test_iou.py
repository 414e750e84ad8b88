"""gIoU and cIoU equal the released validation's (float32, hence 1e-6), and hand-computed values without its small constants."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from saymask.metrics.iou import ciou, giou, iou_counts, ious
from saymask.metrics.protocols import VIDEOLISA_RELEASE

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "metrics/image_iou.json").read_text())
IMAGES = np.load(GOLDEN / "metrics/image_iou.npz")
VIDEOLISA = np.load(GOLDEN / "videolisa/metrics.npz")
CLOSE = {"rel": 0, "abs": 1e-6}


def counts_of(logits_NHW: np.ndarray, truth_NHW: np.ndarray, background: bool = False) -> np.ndarray:
    """Counts of one image's masks; 255 is ignored."""
    masks_NHW = (logits_NHW > 0) != background
    true_NHW = truth_NHW == (0 if background else 1)
    return np.array([iou_counts(*masks) for masks in zip(masks_NHW, true_NHW, truth_NHW == 255, strict=True)])


@pytest.mark.parametrize(
    ("place", "giou_name", "ciou_name"), [(0, "background_giou", "background_iou"), (1, "gIoU", "cIoU")], ids=["background", "object"]
)
def test_images_equal_the_released_validation(place, giou_name, ciou_name):
    counts = []
    for i, sample in enumerate(EXPECTED["per_sample"]):
        of_image = counts_of(IMAGES[f"pred_{i}"], IMAGES[f"gt_{i}"], background=place == 0)
        assert of_image.tolist() == [[mask["intersection"][place], mask["union"][place]] for mask in sample["masks"]]
        assert ious(of_image, VIDEOLISA_RELEASE).mean() == pytest.approx(sample["acc_iou"][place], **CLOSE)
        counts.extend(of_image)
    assert len(counts) == 12
    assert giou(np.array(counts), VIDEOLISA_RELEASE) == pytest.approx(EXPECTED[giou_name], **CLOSE)
    assert ciou(np.array(counts), VIDEOLISA_RELEASE) == pytest.approx(EXPECTED[ciou_name], **CLOSE)


def test_images_equal_the_videolisa_scripts():
    counts = [counts_of(VIDEOLISA[f"img{i}_logits"], VIDEOLISA[f"img{i}_gt"]) for i in range(6)]
    background = [counts_of(VIDEOLISA[f"img{i}_logits"], VIDEOLISA[f"img{i}_gt"], background=True) for i in range(6)]
    for i in range(6):
        sums = np.stack([background[i].sum(axis=0), counts[i].sum(axis=0)], axis=1)  # (intersection, union) by class
        np.testing.assert_array_equal(sums, VIDEOLISA["img_inter_union"][i])
        found = giou(counts[i], VIDEOLISA_RELEASE), ciou(counts[i], VIDEOLISA_RELEASE)
        assert found == pytest.approx(tuple(VIDEOLISA["img_each_giou_ciou"][i].tolist()), **CLOSE)
    everything = np.concatenate(counts)
    found = giou(everything, VIDEOLISA_RELEASE), ciou(everything, VIDEOLISA_RELEASE)
    assert found == pytest.approx(tuple(VIDEOLISA["img_all_giou_ciou"].tolist()), **CLOSE)


def test_both_measures_by_hand():
    """A large object half right, a small one fully, and silence where nothing is: 1/2, 1, 1; and 60 of 110 pixels."""
    counts = np.array([[50, 100], [10, 10], [0, 0]])
    assert ious(counts).tolist() == [0.5, 1.0, 1.0]
    assert giou(counts) == 2.5 / 3
    assert ciou(counts) == 60 / 110


def test_nothing_against_nothing_and_something_against_nothing():
    silent, wrong = np.array([[0, 0]]), np.array([[0, 7]])
    assert (giou(silent), ciou(silent)) == (1.0, 1.0)
    assert (giou(wrong), ciou(wrong)) == (0.0, 0.0)
    assert ciou(silent, VIDEOLISA_RELEASE) == 0.0
    assert giou(silent, VIDEOLISA_RELEASE) == 1 / (1 + 1e-5)


def test_counts_leave_ignored_pixels_out():
    mask_HW, truth_HW, ignore_HW = np.zeros((3, 4, 5), dtype=np.uint8)
    mask_HW[:2], truth_HW[1:3], ignore_HW[:, 0] = 255, 1, 1
    assert iou_counts(mask_HW, truth_HW) == (5, 15)
    assert iou_counts(mask_HW, truth_HW, ignore_HW) == (4, 12)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"^mask \(4, 5\) and truth \(5, 4\) must be images of one shape$"):
        iou_counts(np.zeros((4, 5)), np.zeros((5, 4)))
    for counts in (np.zeros((0, 2)), np.zeros(2)):
        with pytest.raises(ValueError, match=r"^expected a row \(intersection, union\) for each of at least one mask, got shape"):
            giou(counts)
