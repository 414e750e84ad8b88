"""How the toy world's things look: thirteen kinds drawn from exact formulas, eight colours.

A kind is a list of parts painted one over the other in the unit square (x right, y down); a part has a tone, not a colour. `sprite`
rasterises a kind at one pixel size by voting over 4x4 points a pixel; the tones become RGB through `palette`. Every formula uses only
correctly rounded float64 operations, so sprites are equal bit for bit on every machine.
    codes_HW   uint8, 0 = transparent, otherwise a tone
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 36, 40),
    "orange": (250, 136, 20),
    "yellow": (248, 228, 56),
    "green": (48, 168, 66),
    "blue": (44, 92, 226),
    "purple": (136, 54, 176),
    "pink": (252, 148, 202),
    "white": (244, 244, 244),
}

CLEAR, BODY, LIGHT, DARK, INK, PALE = range(6)
NUM_TONES = 6

Region = Callable[[np.ndarray, np.ndarray], np.ndarray]
Part = tuple[int, Region]


def ellipse(cx: float, cy: float, rx: float, ry: float) -> Region:
    return lambda x, y: ((x - cx) / rx) * ((x - cx) / rx) + ((y - cy) / ry) * ((y - cy) / ry) <= 1.0


def disc(cx: float, cy: float, radius: float) -> Region:
    return ellipse(cx, cy, radius, radius)


def box(x0: float, x1: float, y0: float, y1: float) -> Region:
    return lambda x, y: (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)


def polygon(*corners: tuple[float, float]) -> Region:
    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        odd = np.zeros(x.shape, dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            if y0 != y1:
                crosses = (y0 <= y) != (y1 <= y)
                odd ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return odd

    return inside


def both(first: Region, second: Region) -> Region:
    return lambda x, y: first(x, y) & second(x, y)


def minus(first: Region, second: Region) -> Region:
    return lambda x, y: first(x, y) & ~second(x, y)


def eye(cx: float, cy: float) -> list[Part]:
    return [(PALE, disc(cx, cy, 0.07)), (INK, disc(cx, cy, 0.04))]


def wheel(cx: float, cy: float) -> list[Part]:
    return [(INK, disc(cx, cy, 0.145)), (PALE, disc(cx, cy, 0.06))]


_PARTS: dict[str, list[Part]] = {
    "umbrella": [
        (INK, box(0.465, 0.535, 0.02, 0.84)),
        (INK, both(minus(disc(0.38, 0.83, 0.155), disc(0.38, 0.83, 0.085)), box(0.0, 1.0, 0.83, 1.0))),
        (BODY, both(ellipse(0.5, 0.52, 0.49, 0.44), box(0.0, 1.0, 0.0, 0.52))),
        (LIGHT, both(ellipse(0.5, 0.52, 0.18, 0.44), box(0.0, 1.0, 0.0, 0.52))),
        (CLEAR, ellipse(0.165, 0.53, 0.15, 0.08)),
        (CLEAR, minus(ellipse(0.5, 0.53, 0.17, 0.08), box(0.465, 0.535, 0.4, 0.7))),
        (INK, both(ellipse(0.5, 0.53, 0.17, 0.08), box(0.465, 0.535, 0.4, 0.7))),
        (CLEAR, ellipse(0.835, 0.53, 0.15, 0.08)),
    ],
    "fish": [
        (DARK, polygon((0.36, 0.32), (0.5, 0.1), (0.66, 0.36))),
        (DARK, polygon((0.68, 0.5), (0.98, 0.2), (0.9, 0.5), (0.98, 0.8))),
        (BODY, ellipse(0.42, 0.5, 0.4, 0.26)),
        (LIGHT, ellipse(0.42, 0.64, 0.28, 0.08)),
        (DARK, minus(disc(0.26, 0.5, 0.2), disc(0.2, 0.5, 0.2))),
        *eye(0.2, 0.42),
    ],
    "key": [
        (BODY, disc(0.25, 0.42, 0.25)),
        (CLEAR, disc(0.25, 0.42, 0.12)),
        (BODY, box(0.46, 0.98, 0.35, 0.5)),
        (BODY, box(0.68, 0.78, 0.5, 0.7)),
        (BODY, box(0.87, 0.98, 0.5, 0.78)),
        (LIGHT, box(0.46, 0.98, 0.35, 0.4)),
    ],
    "apple": [
        (BODY, ellipse(0.35, 0.62, 0.29, 0.36)),
        (BODY, ellipse(0.65, 0.62, 0.29, 0.36)),
        (INK, polygon((0.46, 0.36), (0.5, 0.06), (0.58, 0.06), (0.54, 0.36))),
        (DARK, ellipse(0.74, 0.15, 0.18, 0.1)),
        (LIGHT, ellipse(0.26, 0.5, 0.08, 0.14)),
    ],
    "car": [
        (BODY, polygon((0.14, 0.52), (0.3, 0.24), (0.68, 0.24), (0.84, 0.52))),
        (BODY, box(0.02, 0.98, 0.48, 0.75)),
        (PALE, polygon((0.25, 0.48), (0.34, 0.31), (0.47, 0.31), (0.47, 0.48))),
        (PALE, polygon((0.53, 0.48), (0.53, 0.31), (0.65, 0.31), (0.74, 0.48))),
        (DARK, box(0.02, 0.98, 0.66, 0.75)),
        *wheel(0.25, 0.76),
        *wheel(0.75, 0.76),
    ],
    "cup": [
        (BODY, both(minus(ellipse(0.7, 0.5, 0.27, 0.26), ellipse(0.7, 0.5, 0.15, 0.14)), box(0.66, 1.0, 0.0, 1.0))),
        (BODY, polygon((0.06, 0.2), (0.74, 0.2), (0.66, 0.92), (0.14, 0.92))),
        (LIGHT, polygon((0.15, 0.28), (0.25, 0.28), (0.28, 0.84), (0.2, 0.84))),
        (DARK, ellipse(0.4, 0.2, 0.34, 0.1)),
        (INK, ellipse(0.4, 0.21, 0.27, 0.06)),
    ],
    "boat": [
        (INK, box(0.465, 0.53, 0.03, 0.7)),
        (BODY, polygon((0.56, 0.06), (0.95, 0.6), (0.56, 0.6))),
        (LIGHT, polygon((0.44, 0.16), (0.44, 0.6), (0.1, 0.6))),
        (BODY, polygon((0.02, 0.68), (0.98, 0.68), (0.8, 0.95), (0.2, 0.95))),
        (DARK, polygon((0.02, 0.68), (0.98, 0.68), (0.93, 0.76), (0.07, 0.76))),
    ],
    "hammer": [
        (DARK, box(0.36, 0.52, 0.3, 0.98)),
        (BODY, box(0.04, 0.24, 0.05, 0.42)),
        (BODY, box(0.2, 0.66, 0.1, 0.37)),
        (BODY, polygon((0.62, 0.1), (0.98, 0.14), (0.98, 0.22), (0.74, 0.37), (0.62, 0.37))),
        (LIGHT, box(0.24, 0.66, 0.1, 0.17)),
    ],
    "clock": [
        (DARK, disc(0.2, 0.16, 0.15)),
        (DARK, disc(0.8, 0.16, 0.15)),
        (INK, polygon((0.16, 0.98), (0.28, 0.8), (0.38, 0.88), (0.26, 0.98))),
        (INK, polygon((0.84, 0.98), (0.72, 0.8), (0.62, 0.88), (0.74, 0.98))),
        (BODY, disc(0.5, 0.53, 0.43)),
        (PALE, disc(0.5, 0.53, 0.28)),
        (INK, box(0.465, 0.535, 0.32, 0.56)),
        (INK, box(0.465, 0.68, 0.5, 0.57)),
    ],
    "chair": [
        (BODY, box(0.14, 0.3, 0.02, 0.98)),
        (BODY, box(0.14, 0.88, 0.5, 0.66)),
        (BODY, box(0.73, 0.88, 0.5, 0.98)),
        (LIGHT, box(0.3, 0.88, 0.5, 0.55)),
        (DARK, box(0.14, 0.2, 0.02, 0.98)),
        (DARK, box(0.3, 0.73, 0.76, 0.82)),
    ],
    "hat": [
        (BODY, box(0.25, 0.75, 0.12, 0.78)),
        (LIGHT, box(0.3, 0.38, 0.16, 0.56)),
        (INK, box(0.25, 0.75, 0.56, 0.68)),
        (BODY, ellipse(0.5, 0.78, 0.49, 0.11)),
        (DARK, both(ellipse(0.5, 0.78, 0.49, 0.11), box(0.0, 1.0, 0.8, 1.0))),
    ],
    "tree": [
        (INK, box(0.42, 0.58, 0.8, 0.99)),
        (BODY, polygon((0.5, 0.4), (0.95, 0.86), (0.05, 0.86))),
        (DARK, polygon((0.2, 0.62), (0.8, 0.62), (0.66, 0.7), (0.34, 0.7))),
        (BODY, polygon((0.5, 0.18), (0.86, 0.6), (0.14, 0.6))),
        (DARK, polygon((0.27, 0.36), (0.73, 0.36), (0.62, 0.44), (0.38, 0.44))),
        (BODY, polygon((0.5, 0.0), (0.76, 0.35), (0.24, 0.35))),
    ],
    "bird": [
        (INK, box(0.4, 0.46, 0.74, 0.98)),
        (INK, box(0.54, 0.6, 0.74, 0.98)),
        (DARK, polygon((0.26, 0.5), (0.0, 0.34), (0.06, 0.66), (0.24, 0.66))),
        (INK, polygon((0.84, 0.22), (1.0, 0.32), (0.84, 0.4))),
        (BODY, ellipse(0.46, 0.6, 0.31, 0.24)),
        (BODY, disc(0.7, 0.31, 0.19)),
        (BODY, polygon((0.5, 0.4), (0.6, 0.26), (0.86, 0.4), (0.74, 0.62))),
        (DARK, ellipse(0.38, 0.56, 0.2, 0.12)),
        *eye(0.75, 0.28),
    ],
}

KINDS: tuple[str, ...] = tuple(_PARTS)

_POINTS = 4  # sample points per pixel and axis
_RIM_FROM = 20  # smaller sprites have no pixels to spare for a rim


@cache
def sprite(kind: str, side: int, flip: bool = False) -> np.ndarray:
    """Rasterise a kind into a square of `side` pixels -> read-only codes_HW; `flip` mirrors it left to right."""
    points = (np.arange(side * _POINTS, dtype=np.float64) + 0.5) / (side * _POINTS)
    x, y = np.meshgrid(points, points)
    fine_HW = np.zeros(x.shape, dtype=np.uint8)
    for tone, region in _PARTS[kind]:
        fine_HW[region(x, y)] = tone
    blocks = fine_HW.reshape(side, _POINTS, side, _POINTS)
    votes = np.stack([(blocks == tone).sum((1, 3)) for tone in range(NUM_TONES)])
    opaque = votes[CLEAR] * 2 <= _POINTS * _POINTS
    votes[CLEAR] = 0
    codes_HW = np.where(opaque, votes.argmax(0), CLEAR).astype(np.uint8)
    if side >= _RIM_FROM:
        framed = np.pad(opaque, 1)
        inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
        codes_HW[opaque & ~inner & (codes_HW != INK)] = DARK
    codes_HW = np.ascontiguousarray(codes_HW[:, ::-1] if flip else codes_HW)
    codes_HW.setflags(write=False)
    return codes_HW


@cache
def sprite_pixels(kind: str, side: int, flip: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The opaque pixels of a sprite: their rows, columns and tones as int32 vectors."""
    codes_HW = sprite(kind, side, flip)
    rows, columns = np.nonzero(codes_HW)
    return rows.astype(np.int32), columns.astype(np.int32), codes_HW[rows, columns].astype(np.int32)


def sprite_area(kind: str, side: int) -> int:
    """Number of opaque pixels."""
    return len(sprite_pixels(kind, side)[0])


@cache
def side_for_area(kind: str, area: int) -> int:
    """The side whose sprite has about `area` opaque pixels."""
    fill = sprite_area(kind, 64) / (64 * 64)
    return int(np.floor(np.sqrt(area / fill) + 0.5))


@cache
def palette(colour: str, brightness: int) -> np.ndarray:
    """RGB of each tone -> uint8 (NUM_TONES, 3); `brightness` in percent keeps two things of one colour from being identical."""
    body = np.array(COLOURS[colour], dtype=np.int64) * brightness // 100
    pale = np.array((96, 98, 104) if colour == "white" else (238, 240, 242))
    tones = np.zeros((NUM_TONES, 3), dtype=np.int64)
    tones[BODY], tones[LIGHT], tones[DARK] = body, body + (255 - body) * 35 // 100, body * 68 // 100
    tones[INK], tones[PALE] = (24, 22, 26), pale
    return tones.clip(0, 255).astype(np.uint8)
