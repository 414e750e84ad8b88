"""Where the outlines of two masks meet: the geometry behind contour accuracy F.

An outline pixel differs from its right, lower or lower right neighbour. It is met if the other mask's outline passes within a disk
around it. An outline is one long integer, a bit per pixel: the rows of the image end to end, top left pixel first, each followed by
zeros to shift into. Moving a picture is then shifting an integer, counting pixels is counting bits, and the memory is an eighth of a
bool array's. Only the box that holds both masks is looked at. `bench/metrics.py` measures the time.

Masks are bool (H, W). `stride` is the number of bits from one row to the next, a multiple of 8.
"""

from __future__ import annotations

import math

import numpy as np


def met_shares(mask_HW: np.ndarray, truth_HW: np.ndarray, radius: float) -> tuple[float, float]:
    """Return the shares of the mask's and of the true outline that lie within `radius` pixels of the other one.

    Two outlines without a pixel meet fully (1, 1); with only one of them empty nothing meets (0, 0).
    """
    box = _box_with_margin(mask_HW | truth_HW)
    mask_HW, truth_HW = mask_HW[box], truth_HW[box]
    stride = 8 * (math.ceil(mask_HW.shape[1] / 8) + math.ceil(int(radius) / 8))
    edges, true_edges = outline(mask_HW, stride), outline(truth_HW, stride)
    if not edges or not true_edges:
        both_empty = float(edges == true_edges)
        return both_empty, both_empty
    met, true_met = edges & dilate(true_edges, stride, radius), true_edges & dilate(edges, stride, radius)
    return met.bit_count() / edges.bit_count(), true_met.bit_count() / true_edges.bit_count()


def outline(mask_HW: np.ndarray, stride: int) -> int:
    """Mark the pixels that differ from their right, lower or lower right neighbour.

    Neighbours outside the image do not count, so an object that touches the image's edge has no outline there.
    """
    height, width = mask_HW.shape
    rows = np.zeros((height, stride // 8), dtype=np.uint8)
    packed = np.packbits(mask_HW, axis=1)
    rows[:, : packed.shape[1]] = packed
    bits = int.from_bytes(rows.tobytes())

    has_right = ((1 << width) - 1 & ~1) << (stride - width)  # one row: all columns but the last
    columns_with_right = has_right.to_bytes(stride // 8)
    all_columns = (((1 << width) - 1) << (stride - width)).to_bytes(stride // 8)
    last_row = bytes(stride // 8)
    right = (bits ^ bits << 1) & int.from_bytes(columns_with_right * height)
    below = (bits ^ bits << stride) & int.from_bytes(all_columns * (height - 1) + last_row)
    below_right = (bits ^ bits << stride + 1) & int.from_bytes(columns_with_right * (height - 1) + last_row)
    return right | below | below_right


def dilate(bits: int, stride: int, radius: float) -> int:
    """Mark everything within `radius` of a marked pixel; the zeros after each row must be at least `radius` long.

    A disk is a row of vertical spans that grow towards its centre: walk inwards, lengthen the span, shift it to both sides. What leaves
    the image on any side lands in the zeros or beyond the first or last row; there it meets nothing.
    """
    span, dilated, half_span = bits, 0, 0
    for offset in range(int(radius), -1, -1):
        wanted = math.isqrt(int(radius**2 - offset**2))
        for distance in range(half_span + 1, wanted + 1):
            span |= bits << distance * stride | bits >> distance * stride
        half_span = wanted
        dilated |= span << offset | span >> offset
    return dilated


def _box_with_margin(mask_HW: np.ndarray) -> tuple[slice, slice]:
    """Slices of the smallest box that holds the mask and, within the image, one pixel more on every side.

    The margin holds the background neighbours, so that the outline inside the box is the outline in the image.
    """
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    if not len(rows):
        return slice(1), slice(1)  # one pixel of background
    return slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2)
