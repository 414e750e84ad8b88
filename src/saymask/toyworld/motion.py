"""How things move: paths relative to an anchor point, one per manner of moving.

A path is float64 steps_T2 (x right, y down, nominal pixels of a 128 x 128 canvas) that starts at or near (0, 0). Only + - * and table
look-ups are used, so paths are equal bit for bit on every machine. All randomness comes from one `Dice`, a seeded stream of float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

TIMELINE = 24
CANVAS = 128

DIRECTIONS: dict[str, tuple[float, float]] = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
_DIAGONALS = ((-0.7, -0.7), (-0.7, 0.7), (0.7, -0.7), (0.7, 0.7))
_QUARTER_COSINES = (1.0, 0.9659258262890683, 0.8660254037844386, 0.7071067811865476, 0.5, 0.25881904510252074)
_COSINES = np.array([*_QUARTER_COSINES, 0.0, *(-c for c in _QUARTER_COSINES[:0:-1])])
_COSINES = np.concatenate([_COSINES, -_COSINES])  # 24 steps of 15 degrees
_TIME = np.arange(TIMELINE, dtype=np.float64)


class Dice:
    """A stream of random choices that depends on nothing but the integers it is seeded with."""

    def __init__(self, *seeds: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))
        self._block: list[float] = []

    def random(self) -> float:
        """Uniform in [0, 1); drawn in blocks, which is what makes scenes cheap."""
        if not self._block:
            self._block = self._generator.random(256).tolist()
        return self._block.pop()

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def integer(self, low: int, high: int) -> int:
        """Uniform in low ... high, both included."""
        return low + int(self.random() * (high - low + 1))

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def choice(self, items: Sequence[Item]) -> Item:
        return items[int(self.random() * len(items))]

    def weighted(self, items: dict[Item, float]) -> Item:
        left = self.random() * sum(items.values())
        for item, weight in items.items():
            left -= weight
            if left < 0:
                return item
        return next(reversed(items))

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        rest = list(items)
        for last in range(len(rest) - 1, 0, -1):
            other = self.integer(0, last)
            rest[last], rest[other] = rest[other], rest[last]
        return rest

    def grid(self, *shape: int) -> np.ndarray:
        """Uniform in [0, 1), as an array."""
        return self._generator.random(shape)


def along(direction: tuple[float, float], distance_T: np.ndarray) -> np.ndarray:
    """A path along one direction, `distance_T` pixels from its start."""
    return np.stack([distance_T * direction[0], distance_T * direction[1]], axis=1)


def still() -> np.ndarray:
    return np.zeros((TIMELINE, 2))


def line(direction: tuple[float, float], speed: float, start: int = 0, stop: int = TIMELINE - 1) -> np.ndarray:
    """Straight on at `speed`, at rest before frame `start` and from frame `stop` on."""
    return along(direction, (np.clip(_TIME, start, stop) - start) * speed)


def turn(direction: tuple[float, float], speed: float, turn_frame: int) -> np.ndarray:
    """Straight on, then back the same way."""
    return along(direction, np.where(_TIME <= turn_frame, _TIME, 2.0 * turn_frame - _TIME) * speed)


def bounce(direction: tuple[float, float], speed: float, half_period: int) -> np.ndarray:
    """Back and forth over and over."""
    phase = _TIME % (2 * half_period)
    return along(direction, np.where(phase <= half_period, phase, 2 * half_period - phase) * speed)


def circle(radius: float, step: int, phase: int) -> np.ndarray:
    """Round and round; `step` sixths of a quarter turn a frame, negative = the other way."""
    angle = (phase + step * np.arange(TIMELINE)) % 24
    return np.stack([_COSINES[angle] * radius, _COSINES[(angle - 6) % 24] * radius], axis=1)


def zigzag(direction: tuple[float, float], speed: float, half_period: int, swing: float) -> np.ndarray:
    """Straight on while swinging from side to side."""
    across = (direction[1], direction[0])
    return line(direction, speed) + bounce(across, swing, half_period)


CASUAL: dict[str, float] = {
    "still": 0.26,
    "line": 0.34,
    "stop": 0.07,
    "start": 0.07,
    "turn": 0.07,
    "bounce": 0.07,
    "circle": 0.07,
    "zigzag": 0.05,
}
"""How often each manner occurs where the question does not ask for one."""


def draw_path(
    dice: Dice, manner: str, heading: str | None = None, event_frame: int | None = None, speed: float | None = None
) -> np.ndarray:
    """A random path of a given manner.

    Args:
        heading: "left", "right", "up" or "down"; None = any of them, and for plain lines also the diagonals.
        event_frame: when to stop, start or turn.
        speed: pixels a frame of a line or turn; None = a usual one.
    """
    if manner == "still":
        return still()
    if manner == "circle":
        return circle(dice.uniform(13.0, 26.0), dice.choice((1, 2, -1, -2)), dice.integer(0, 23))
    any_line = manner == "line" and heading is None and dice.happens(0.25)
    direction = dice.choice(_DIAGONALS) if any_line else DIRECTIONS[heading or dice.choice(tuple(DIRECTIONS))]
    if manner == "line":
        return line(direction, speed or dice.uniform(1.4, 4.0))
    if manner == "zigzag":
        return zigzag(direction, dice.uniform(2.0, 3.4), dice.choice((3, 4)), dice.uniform(4.0, 6.0))
    if manner == "bounce":
        return bounce(direction, dice.uniform(3.2, 5.5), dice.integer(5, 7))
    if manner == "turn":
        return turn(direction, speed or dice.uniform(2.2, 5.0), event_frame or dice.integer(9, 14))
    if manner == "stop":
        stop = event_frame or dice.integer(6, 17)
        return line(direction, _speed_over(dice, stop), stop=stop)
    start = event_frame or dice.integer(6, 17)
    return line(direction, _speed_over(dice, TIMELINE - 1 - start), start=start)


def _speed_over(dice: Dice, frames: int) -> float:
    """A speed that covers a visible distance in so many frames and stays on the canvas."""
    return min(dice.uniform(22.0, 90.0) / frames, 5.5)
