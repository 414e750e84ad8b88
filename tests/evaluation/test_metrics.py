"""J and F equal the DAVIS benchmark's own on its recorded cases, and hand-computed values on squares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from saymask.evaluation.metrics import (
    _dilate,
    boundary_map,
    contour_accuracy,
    j_and_f,
    region_similarity,
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


@pytest.mark.parametrize("i", range(14))
def test_both_measures_equal_the_videolisa_scripts(i):
    """Masks of 0/1, 0/255 and 0/2; empty, full, thin, touching the border."""
    mask_HW, truth_HW = VIDEOLISA[f"pred{i}"], VIDEOLISA[f"gt{i}"]
    assert region_similarity(mask_HW, truth_HW) == pytest.approx(VIDEOLISA["J"][i], **EXACT)
    assert contour_accuracy(mask_HW, truth_HW) == pytest.approx(VIDEOLISA["F"][i], **EXACT)
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


@pytest.mark.parametrize("i", range(5))
def test_boundary_map_equals_the_benchmark(i):
    np.testing.assert_array_equal(boundary_map(PRIMITIVES[f"bmap_in_{i}"]), PRIMITIVES[f"bmap_out_{i}"])


@pytest.mark.parametrize("i", [5, 7, 8, 10])
def test_boundary_map_equals_the_videolisa_scripts(i):
    np.testing.assert_array_equal(boundary_map(VIDEOLISA[f"gt{i}"]), VIDEOLISA[f"bmap_gt{i}"])


@pytest.mark.parametrize("radius", [1, 2, 3, 4, 5, 8, 16])
def test_dilation_uses_the_benchmark_disk_and_stops_at_the_edges(radius):
    disk = PRIMITIVES[f"disk_{radius}"].astype(bool)
    side = 2 * radius + 1
    point = np.zeros((side, side), dtype=bool)
    point[radius, radius] = True
    np.testing.assert_array_equal(_dilate(point, radius), disk)
    corner = np.zeros((radius, radius + 1), dtype=bool)
    corner[-1, 0] = True
    np.testing.assert_array_equal(_dilate(corner, radius), disk[1 : radius + 1, radius:])


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


def test_masks_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"^mask \(4, 5\) and truth \(5, 4\) must be images of one shape$"):
        region_similarity(np.zeros((4, 5)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"^masks \(3, 4, 5\) and truth \(2, 4, 5\) differ in shape$"):
        video_scores(np.zeros((3, 4, 5)), np.zeros((2, 4, 5)))
