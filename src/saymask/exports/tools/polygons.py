"""From a mask to polygons along the edges of its pixels, with holes, exact or simplified.

Corners are x, y in pixels: the pixel in row r and column c covers x from c to c + 1 and y from r to r + 1. Filled by the rule that a pixel
is inside if its centre is, exact polygons give the same mask. Pixels that touch at a corner alone are two polygons.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saymask.records import Rle

Ring = NDArray[np.float64]
"""Corners of a closed line, ring_N2: x, y; the last is joined to the first."""
_Point = tuple[int, int]
_Edge = tuple[int, int, int]
"""Where an edge begins, and its direction along its axis, 1 or -1."""


@dataclass(frozen=True)
class Polygon:
    """A connected part of a mask: its outline, clockwise on the screen, and the outlines of its holes, the other way round."""

    outer: Ring
    holes: tuple[Ring, ...] = ()

    def bridged(self) -> Ring:
        """One line around everything, for formats without holes: a cut of no width, gone along twice, leads to each hole and back."""
        ring = self.outer
        for hole in self.holes:
            distances = ((ring[:, None] - hole[None]) ** 2).sum(axis=-1)
            on_ring, on_hole = np.unravel_index(distances.argmin(), distances.shape)
            around = np.roll(hole, -on_hole, axis=0)
            ring = np.concatenate([ring[: on_ring + 1], around, around[:1], ring[on_ring:]])
        return ring


def polygons(rle: Rle, tolerance: float = 0) -> list[Polygon]:
    """Polygons of a mask; none if it is empty.

    Args:
        rle: the mask.
        tolerance: no corner that is left out is farther than so many pixels from the new line; 0 is exact. Holes that vanish are left out.
    """
    box = rle.box()
    if box is None:
        return []
    left, top, right, bottom = box
    rings = [ring + np.array([left, top]) for ring in _rings(rle.decode()[top:bottom, left:right])]
    outers = [ring for ring in rings if _area(ring) > 0]
    holes: dict[int, list[Ring]] = defaultdict(list)
    for ring in rings:
        if _area(ring) < 0:
            around = [place for place, outer in enumerate(outers) if _contains(outer, _beside(ring))]
            holes[min(around, key=lambda place: _area(outers[place]))].append(ring)
    found = []
    for place, outer in enumerate(outers):
        simpler = [simplified(hole, tolerance) for hole in holes[place]]
        outline = simplified(outer, tolerance)
        found.append(Polygon(outline if len(outline) > 2 else outer, tuple(hole for hole in simpler if len(hole) > 2)))
    return found


def simplified(ring: Ring, tolerance: float) -> Ring:
    """The ring with fewer corners, by Douglas and Peucker, begun from two corners that are far apart; perhaps fewer than 3."""
    if tolerance <= 0:
        return ring
    start = int(((ring - ring.mean(axis=0)) ** 2).sum(axis=1).argmax())
    line = np.roll(ring, -start, axis=0)
    far = int(((line - line[0]) ** 2).sum(axis=1).argmax())
    line = np.concatenate([line, line[:1]])
    kept = {0, far}
    parts = [(0, far), (far, len(line) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        distances = _distances(line[first + 1 : last], line[first], line[last])
        worst = int(distances.argmax())
        if distances[worst] > tolerance:
            middle = first + 1 + worst
            kept.add(middle)
            parts += [(first, middle), (middle, last)]
    return line[sorted(kept)]


def _distances(points_N2: Ring, start_2: Ring, end_2: Ring) -> NDArray[np.float64]:
    """How far points are from a piece of a line."""
    along_2 = end_2 - start_2
    length2 = float(along_2 @ along_2)
    share_N = np.clip((points_N2 - start_2) @ along_2 / length2, 0, 1) if length2 else np.zeros(len(points_N2))
    return np.hypot(*(points_N2 - start_2 - share_N[:, None] * along_2).T)


def _rings(mask_HW: np.ndarray) -> list[Ring]:
    """Closed lines between inside and outside, the inside on the right of who walks along them."""
    padded_HW = np.pad(mask_HW, 1).astype(np.int8)
    sideways: dict[_Edge, _Point] = {}
    for y, left, right, sign in _runs(np.diff(padded_HW, axis=0)[:, 1:-1]):
        start, end = ((left, y), (right, y)) if sign > 0 else ((right, y), (left, y))
        sideways[(*start, sign)] = end
    upright: dict[_Edge, _Point] = {}
    for x, top, bottom, sign in _runs(np.diff(padded_HW, axis=1)[1:-1].T):
        start, end = ((x, bottom), (x, top)) if sign > 0 else ((x, top), (x, bottom))
        upright[(*start, -sign)] = end
    rings = []
    while sideways:
        first = edge = next(iter(sideways))
        ring: list[_Point] = []
        while True:
            for table, other, turn in ((sideways, upright, 1), (upright, sideways, -1)):
                ring.append(edge[:2])
                corner = table.pop(edge)
                # Two pixels that touch at a corner alone are told apart by turning right.
                to_the_right = (*corner, turn * edge[2])
                is_open = to_the_right in other or to_the_right == first
                edge = to_the_right if is_open else (*corner, -turn * edge[2])
            if edge == first:
                break
        rings.append(np.array(ring, dtype=np.float64))
    return rings


def _runs(signs_RC: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Runs of one sign in each row: row, first column, column after the last, sign."""
    padded_RC = np.pad(signs_RC, ((0, 0), (1, 1)))
    changes_RC = np.diff(padded_RC, axis=1) != 0
    rows, columns = changes_RC.nonzero()
    follows = rows[:-1] == rows[1:]
    signs = signs_RC[rows[:-1], np.minimum(columns[:-1], signs_RC.shape[1] - 1)]
    chosen = follows & (signs != 0)
    return list(zip(*(values[chosen].tolist() for values in (rows[:-1], columns[:-1], columns[1:], signs)), strict=True))


def _area(ring: Ring) -> float:
    """Signed area: positive for outlines, negative for holes."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _beside(hole: Ring) -> tuple[float, float]:
    """Centre of a pixel beside a hole that is inside the mask: above its uppermost edge."""
    place = int(hole[:, 1].argmin())
    following = (place + 1) % len(hole)
    step = following if hole[following, 1] == hole[place, 1] else place - 1
    return float(min(hole[place, 0], hole[step, 0])) + 0.5, float(hole[place, 1]) - 0.5


def _contains(ring: Ring, point: tuple[float, float]) -> bool:
    """Whether a point, which is on no line, is inside: a ray to the right crosses an odd number of upright edges."""
    x, y = point
    (x1, y1), (_, y2) = ring.T, np.roll(ring, -1, axis=0).T
    crosses = (np.minimum(y1, y2) < y) & (y < np.maximum(y1, y2)) & (x1 > x)
    return int(crosses.sum()) % 2 == 1
