"""Polygons of masks: exact ones fill to the same mask, by COCO's own filling; others stay within their tolerance."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from saymask.exports.tools.polygons import polygons, simplified
from saymask.records import Rle


def filled(rings: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """What COCO's own filling makes of rings, the union of them."""
    flat = [ring.ravel().tolist() for ring in rings]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, height, width))).astype(bool)


def test_one_pixel():
    mask_HW = np.zeros((3, 4), bool)
    mask_HW[1, 2] = True
    (polygon,) = polygons(Rle.encode(mask_HW))
    assert polygon.outer.tolist() == [[2, 1], [3, 1], [3, 2], [2, 2]]
    assert polygon.holes == ()


def test_a_frame_with_a_hole():
    mask_HW = np.ones((5, 5), bool)
    mask_HW[1:4, 2] = False
    (polygon,) = polygons(Rle.encode(mask_HW))
    assert polygon.outer.tolist() == [[0, 0], [5, 0], [5, 5], [0, 5]]
    assert [sorted(map(tuple, hole.tolist())) for hole in polygon.holes] == [[(2, 1), (2, 4), (3, 1), (3, 4)]]
    assert polygon.bridged().tolist()[0] == polygon.outer.tolist()[0]
    assert len(polygon.bridged()) == 4 + 1 + 4 + 1


def test_pixels_that_touch_at_a_corner_are_two_polygons_and_gaps_that_do_are_one_hole():
    diagonal_HW = np.eye(2, dtype=bool)
    assert [len(polygon.outer) for polygon in polygons(Rle.encode(diagonal_HW))] == [4, 4]
    around_HW = np.ones((4, 4), bool)
    around_HW[1:3, 1:3] = np.eye(2, dtype=bool)
    (polygon,) = polygons(Rle.encode(around_HW))
    assert [len(hole) for hole in polygon.holes] == [8]


def test_an_island_in_a_hole():
    mask_HW = np.zeros((7, 7), bool)
    mask_HW[0:7, 0:7] = True
    mask_HW[1:6, 1:6] = False
    mask_HW[3, 3] = True
    found = polygons(Rle.encode(mask_HW))
    assert sorted(len(polygon.holes) for polygon in found) == [0, 1]


def test_an_empty_mask_has_none():
    assert polygons(Rle.empty(3, 4)) == []


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_exact_polygons_fill_to_the_same_mask(share):
    rng = np.random.default_rng(int(100 * share))
    for _ in range(20):
        mask_HW = rng.random((13, 17)) < share
        found = polygons(Rle.encode(mask_HW))
        np.testing.assert_array_equal(filled([polygon.bridged() for polygon in found], 13, 17), mask_HW)


def disc(radius: float, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    return np.hypot(x, y) < radius


def test_a_tolerance_leaves_out_corners_and_moves_no_line_farther():
    mask_HW = disc(25) & ~disc(10)
    (exact,), (simple,) = polygons(Rle.encode(mask_HW)), polygons(Rle.encode(mask_HW), tolerance=1.5)
    assert len(exact.outer) > 90 and len(simple.outer) < 30
    assert len(simple.holes) == 1
    assert {tuple(corner) for corner in simple.outer.tolist()} <= {tuple(corner) for corner in exact.outer.tolist()}
    changed_HW = filled([simple.bridged()], 64, 64) ^ mask_HW
    assert not (changed_HW & (disc(22) & ~disc(13) | ~disc(28) | disc(7))).any()


def test_a_ring_that_is_flatter_than_the_tolerance_vanishes_if_it_is_a_hole_and_stays_if_it_is_not():
    mask_HW = np.ones((9, 9), bool)
    mask_HW[4, 4] = False
    (polygon,) = polygons(Rle.encode(mask_HW), tolerance=2)
    assert (len(polygon.outer), polygon.holes) == (4, ())
    (polygon,) = polygons(Rle.encode(~mask_HW), tolerance=2)
    assert len(polygon.outer) == 4
    assert len(simplified(polygon.outer, 2)) == 2
