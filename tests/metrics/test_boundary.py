"""Outlines and their dilation equal the benchmark's recorded ones, and a pixel-by-pixel reading of the definition on random masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saymask.metrics.boundary import dilate, met_shares, outline

GOLDEN = Path(__file__).parents[1] / "golden"
PRIMITIVES = np.load(GOLDEN / "metrics/primitives.npz")
VIDEOLISA = np.load(GOLDEN / "videolisa/metrics.npz")


def to_bits(picture_HW: np.ndarray, stride: int) -> int:
    height, width = picture_HW.shape
    padded = np.zeros((height, stride), dtype=bool)
    padded[:, :width] = picture_HW
    return int("".join("01"[pixel] for pixel in padded.ravel().tolist()), 2)


def to_picture(bits: int, stride: int, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    text = f"{bits:b}".zfill(height * stride)[-height * stride :]  # dilation may reach above the first row
    return np.array([pixel == "1" for pixel in text]).reshape(height, stride)[:, :width]


def stride_for(shape: tuple[int, int], radius: float = 0) -> int:
    return 8 * -(-(shape[1] + int(radius)) // 8)


def outline_by_definition(mask_HW: np.ndarray) -> np.ndarray:
    height, width = mask_HW.shape
    edges_HW = np.zeros_like(mask_HW)
    for y, x in np.ndindex(height, width):
        neighbours = [(y + 1, x), (y, x + 1), (y + 1, x + 1)]
        edges_HW[y, x] = any(mask_HW[y, x] != mask_HW[v, u] for v, u in neighbours if v < height and u < width)
    return edges_HW


def near_by_definition(edges_HW: np.ndarray, radius: float) -> np.ndarray:
    points = np.argwhere(edges_HW)
    near_HW = np.zeros_like(edges_HW)
    for y, x in np.ndindex(*edges_HW.shape):
        near_HW[y, x] = bool((((points - [y, x]) ** 2).sum(axis=1) <= radius**2).any())
    return near_HW


def shares_by_definition(mask_HW: np.ndarray, truth_HW: np.ndarray, radius: float) -> tuple[float, float]:
    edges_HW, true_edges_HW = outline_by_definition(mask_HW), outline_by_definition(truth_HW)
    if not edges_HW.any() or not true_edges_HW.any():
        return (1.0, 1.0) if not edges_HW.any() and not true_edges_HW.any() else (0.0, 0.0)
    return near_by_definition(true_edges_HW, radius)[edges_HW].mean(), near_by_definition(edges_HW, radius)[true_edges_HW].mean()


def random_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Empty, full, noise, a block that may touch any edge, or one pixel."""
    kind = rng.integers(5)
    mask_HW = np.zeros((height, width), dtype=bool)
    if kind == 1:
        mask_HW[:] = True
    elif kind == 2:
        mask_HW = rng.random((height, width)) < rng.random()
    elif kind == 3:
        (top, bottom), (left, right) = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
        mask_HW[top:bottom, left:right] = True
    elif kind == 4:
        mask_HW[rng.integers(height), rng.integers(width)] = True
    return mask_HW


@pytest.mark.parametrize("seed", range(150))
def test_shares_equal_the_definition_on_random_masks(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 24, 2)
    mask_HW, truth_HW = random_mask(rng, height, width), random_mask(rng, height, width)
    radius = rng.choice([1, 1.5, 2, 3, 5, 8, 11])
    assert met_shares(mask_HW, truth_HW, radius) == pytest.approx(shares_by_definition(mask_HW, truth_HW, radius), abs=1e-15)


@pytest.mark.parametrize("i", range(5))
def test_outlines_equal_the_benchmark(i):
    check_outline(PRIMITIVES[f"bmap_in_{i}"], PRIMITIVES[f"bmap_out_{i}"])


@pytest.mark.parametrize("i", [5, 7, 8, 10])
def test_outlines_equal_the_videolisa_scripts(i):
    check_outline(VIDEOLISA[f"gt{i}"], VIDEOLISA[f"bmap_gt{i}"])


def check_outline(mask_HW: np.ndarray, expected_HW: np.ndarray) -> None:
    stride = stride_for(mask_HW.shape)
    edges = outline(mask_HW.astype(bool), stride)
    np.testing.assert_array_equal(to_picture(edges, stride, mask_HW.shape), expected_HW.astype(bool))


@pytest.mark.parametrize("radius", [1, 2, 3, 4, 5, 8, 16])
def test_dilation_uses_the_benchmark_disk_and_stops_at_the_edges(radius):
    disk = PRIMITIVES[f"disk_{radius}"].astype(bool)
    side = 2 * radius + 1
    point = np.zeros((side, side), dtype=bool)
    point[radius, radius] = True
    corner = np.zeros((radius, radius + 1), dtype=bool)
    corner[-1, 0] = True
    for picture, expected in ((point, disk), (corner, disk[1 : radius + 1, radius:])):
        stride = stride_for(picture.shape, radius)
        dilated = dilate(to_bits(picture, stride), stride, radius)
        np.testing.assert_array_equal(to_picture(dilated, stride, picture.shape), expected)


def test_what_leaves_one_side_does_not_come_back_on_the_other():
    """Marks at the right edge and at the left edge of the next row are far apart, however close they lie in the bits."""
    mask_HW, truth_HW = np.zeros((20, 16), dtype=bool), np.zeros((20, 16), dtype=bool)
    mask_HW[10, 14], truth_HW[11, 1] = True, True
    mask_HW[0, 0] = truth_HW[0, 15] = True  # so that the box is the whole width
    assert met_shares(mask_HW, truth_HW, 8) == shares_by_definition(mask_HW, truth_HW, 8) == (0.0, 0.0)
