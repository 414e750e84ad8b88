"""Which frames the language model sees beside the target: pure index functions, each a list of ascending frame indices.

All but `strided` give exactly min(count, T) different frames. The target may be among them, as it always is in training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np


def spread(num_frames: int, count: int) -> list[int]:
    """Frames from the first to the last at equal distances; of one, the middle."""
    if count == 1:
        return [(num_frames - 1) // 2]
    return np.floor(np.linspace(0, num_frames - 1, min(count, num_frames)) + 0.5).astype(int).tolist()


def around(num_frames: int, target: int, count: int) -> list[int]:
    """Consecutive frames with the target in their middle; at the ends of the video the window moves inwards."""
    count = min(count, num_frames)
    first = min(max(0, target - count // 2), num_frames - count)
    return list(range(first, first + count))


def around_and_spread(num_frames: int, target: int, count: int) -> list[int]:
    """Half of the frames around the target, the others spread over the rest of the video."""
    near = around(num_frames, target, count // 2)
    rest = [frame for frame in range(num_frames) if frame not in near]
    far = [rest[place] for place in spread(len(rest), count - len(near))] if rest else []
    return sorted(near + far)


def strided(num_frames: int, target: int, count: int) -> list[int]:
    """As the released code: every so many frames, the target among them; often fewer than `count`, and the target alone for 1."""
    if count == 1:
        return [target]
    step = math.ceil(num_frames / (count - 1))
    return list(range(target % step, num_frames, step))


CONTEXT_POLICIES: dict[str, Callable[[int, int, int], list[int]]] = {
    "global": lambda num_frames, target, count: spread(num_frames, count),
    "local": around,
    "global-local": around_and_spread,
    "strided": strided,
}
"""Name -> (number of frames, target, count) -> context frames."""


def context_frames(policy: str, num_frames: int, target: int, count: int) -> list[int]:
    """Context frames of a target; none for a count of 0.

    Args:
        policy: a key of `CONTEXT_POLICIES`.
        num_frames: T.
        target: index of the target frame.
        count: how many frames are wanted.
    """
    return CONTEXT_POLICIES[policy](num_frames, target, count) if count else []


def training_frames(num_frames: int, count: int, rng: np.random.Generator) -> list[int]:
    """Context of a training clip: one frame of each of `count` equal parts, or every frame of a shorter video."""
    if num_frames <= count:
        return list(range(num_frames))
    edges = part_edges(num_frames, count)
    return [int(rng.integers(first, end)) for first, end in pairwise(edges)]


def part_edges(num_frames: int, count: int) -> list[int]:
    """Where a video is cut into `count` parts: each begins at one edge and ends before the next."""
    return np.linspace(0, num_frames, count + 1).astype(int).tolist()
