"""J and F equal the DAVIS benchmark's own on its recorded cases, and they and R hand-computed values on squares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from saymask.metrics.region_contour import (
    contour_accuracy,
    j_and_f,
    region_similarity,
    robustness_r,
    robustness_r_x255,
    video_scores,
)

GOLDEN = Path(__file__).parents[1] / "golden"
PRIMITIVES = np.load(GOLDEN / "metrics/primitives.npz")
CASES = json.loads((GOLDEN / "metrics/primitives.json").read_text())["cases"]
VIDEOLISA = np.load(GOLDEN / "videolisa/metrics.npz")
EXACT = {"rel": 0, "abs": 1e-9}


def unpack(name: str, shape: list[int]) -> np.ndarray:
    return np.unpackbits(PRIMITIVES[name], count=shape[0] * shape[1]).reshape(shape).astype(bool)


def square(top: int, left: int, side: int = 10, size: int = 100) -> np.ndarray:
    mask_HW = np.zeros((size, size), dtype=bool)
    mask_HW[top : top + side, left : left + side] = True
    return mask_HW


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']} {case['name']}")
def test_both_measures_equal_the_benchmark(case):
    mask_HW, truth_HW = (unpack(f"{which}_{case['id']}", case["shape"]) for which in ("seg", "gt"))
    void_HW = unpack(f"void_{case['id']}", case["shape"]) if case["has_void"] else None
    assert region_similarity(mask_HW, truth_HW, void_HW) == pytest.approx(case["J"], **EXACT)
    assert contour_accuracy(mask_HW, truth_HW, void_HW, bound_th=case["bound_th"]) == pytest.approx(case["F"], **EXACT)
    assert contour_accuracy(mask_HW, truth_HW, void_HW, bound_th=case["radius"]) == pytest.approx(case["F"], **EXACT)


@pytest.mark.parametrize("i", range(14))
def test_both_measures_equal_the_videolisa_scripts(i):
    """Masks of 0/1, 0/255 and 0/2; empty, full, thin, touching the border."""
    mask_HW, truth_HW = VIDEOLISA[f"pred{i}"], VIDEOLISA[f"gt{i}"]
    assert region_similarity(mask_HW, truth_HW) == pytest.approx(VIDEOLISA["J"][i], **EXACT)
    assert contour_accuracy(mask_HW, truth_HW) == pytest.approx(VIDEOLISA["F"][i], **EXACT)
    assert contour_accuracy(mask_HW, truth_HW, bound_th=VIDEOLISA["bound_pix"][i]) == pytest.approx(VIDEOLISA["F"][i], **EXACT)
    assert j_and_f(mask_HW, truth_HW) == pytest.approx((VIDEOLISA["J"][i] + VIDEOLISA["F"][i]) / 2, **EXACT)


def test_void_pixels_do_not_count():
    masks = VIDEOLISA["pred7"], VIDEOLISA["gt7"], VIDEOLISA["void7"]
    assert region_similarity(*masks) == pytest.approx(float(VIDEOLISA["void7_J"]), **EXACT)
    assert contour_accuracy(*masks) == pytest.approx(float(VIDEOLISA["void7_F"]), **EXACT)
    j_T, f_T = video_scores(*(np.stack([mask_HW, np.zeros_like(mask_HW)]) for mask_HW in masks))
    np.testing.assert_allclose(j_T, [VIDEOLISA["void7_J"], 1], rtol=0, atol=1e-9)
    np.testing.assert_allclose(f_T, [VIDEOLISA["void7_F"], 1], rtol=0, atol=1e-9)


def test_video_scores_equal_the_videolisa_scripts():
    j_T, f_T = video_scores(VIDEOLISA["vid_pred"], VIDEOLISA["vid_gt"])
    np.testing.assert_allclose(j_T, VIDEOLISA["vid_J"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(f_T, VIDEOLISA["vid_F"], rtol=0, atol=1e-9)
    assert (j_T.mean(), f_T.mean()) == pytest.approx((float(VIDEOLISA["vid_J_mean"]), float(VIDEOLISA["vid_F_mean"])), **EXACT)


def test_values_computed_by_hand():
    """A 10x10 square shifted by 5 shares 50 of 150 pixels; empty against empty is right, empty against filled is wrong."""
    empty = np.zeros((100, 100), dtype=bool)
    assert region_similarity(square(40, 45), square(40, 40)) == pytest.approx(1 / 3, rel=1e-15)
    assert (region_similarity(empty, empty), contour_accuracy(empty, empty)) == (1.0, 1.0)
    assert (region_similarity(empty, square(40, 40)), contour_accuracy(empty, square(40, 40))) == (0.0, 0.0)
    assert (region_similarity(square(40, 40), empty), contour_accuracy(square(40, 40), empty)) == (0.0, 0.0)
    # The radius at 100x100 is 2 pixels: one pixel off is forgiven on every boundary pixel, twenty on none.
    assert contour_accuracy(square(40, 41), square(40, 40)) == 1.0
    assert contour_accuracy(square(40, 60), square(40, 40)) == 0.0


def test_video_scores_keep_the_frames_apart():
    truth_THW = np.stack([square(40, 40), square(40, 40), np.zeros((100, 100), dtype=bool)])
    masks_THW = np.stack([square(40, 40), square(40, 60), np.zeros((100, 100), dtype=bool)])
    j_T, f_T = video_scores(masks_THW, truth_THW)
    assert j_T.tolist() == [1.0, 0.0, 1.0] and f_T.tolist() == [1.0, 0.0, 1.0]


def test_void_is_emptied_before_the_outline_is_drawn():
    """The right half of both masks is void: what is left has an outline where void begins, and it is the same for both."""
    void_HW = np.zeros((100, 100), dtype=bool)
    void_HW[:, 45:] = True
    assert contour_accuracy(square(40, 40), square(40, 40, side=30), void_HW) < 1.0
    assert contour_accuracy(square(40, 40), square(40, 40) | square(40, 60), void_HW) == 1.0


def test_robustness_measures_false_pixels_in_foregrounds():
    """A foreground of 200 pixels; the 10x10 mask shifted by 3 has 30 false ones, or one at a time."""
    truth_HW, foreground_HW = square(40, 40), square(40, 40) | square(60, 60)
    one_false = truth_HW.copy()
    one_false[0, 0] = True
    empty = np.zeros((100, 100), dtype=bool)
    assert robustness_r(square(40, 43), truth_HW, foreground_HW) == 1 - 30 / 200
    assert robustness_r_x255(square(40, 43), truth_HW, foreground_HW) == 0.0
    assert robustness_r(one_false, truth_HW, foreground_HW) == 1 - 1 / 200
    assert robustness_r_x255(one_false, truth_HW, np.ones_like(empty)) == 1 - 255 / 10_000
    assert robustness_r(empty, truth_HW, foreground_HW) == robustness_r_x255(empty, truth_HW, foreground_HW) == 1.0
    # More false area than foreground is 0 and not less; without any foreground one false pixel is enough.
    assert robustness_r(~empty, truth_HW, foreground_HW) == 0.0
    assert (robustness_r(one_false, empty, empty), robustness_r(empty, empty, empty)) == (0.0, 1.0)


def test_masks_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"^mask \(4, 5\) and truth \(5, 4\) must be images of one shape$"):
        region_similarity(np.zeros((4, 5)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"^masks \(3, 4, 5\) and truth \(2, 4, 5\) differ in shape$"):
        video_scores(np.zeros((3, 4, 5)), np.zeros((2, 4, 5)))
