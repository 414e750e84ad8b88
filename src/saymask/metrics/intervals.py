"""How far a score would move with other test data: percentile bootstrap intervals (Efron, 1979).

The units of a test set (expressions, videos, images) are drawn anew with replacement, as many as there are, and the score is computed
again; the middle share of many such scores is the interval. Expressions of one video rise and fall together, so with `groups` whole
videos are drawn: drawing expressions one by one would make the interval too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    low: float
    high: float


def bootstrap_interval(
    values_N: np.ndarray,
    groups: Sequence[Hashable] | None = None,
    score: Callable[[np.ndarray], float] = np.mean,
    confidence: float = 0.95,
    num_draws: int = 2000,
    seed: int = 0,
) -> Interval | None:
    """Return the percentile bootstrap interval of a score, the same for the same seed.

    Args:
        values_N: what the score is computed from, one row per unit: (N,), or (N, K) for scores that are no plain mean.
        groups: the video of every unit, to draw whole videos; None draws single units.
        score: the drawn rows, in their old order -> the score; cIoU, for one, is `lambda counts: counts[:, 0].sum() / counts[:, 1].sum()`.
            NaN says that a draw has no score, such as a mean over a kind of expression that was not drawn; it is left out.
        confidence: share of the draws inside the interval, 0 < confidence < 1.
        num_draws: how often the score is computed.
        seed: of the draws.

    Returns:
        None if there are not at least two units (or videos), because one alone says nothing about others, or if no draw has a score.
    """
    values_N = np.asarray(values_N)
    if not 0 < confidence < 1 or num_draws < 1:
        raise ValueError(f"expected 0 < confidence < 1 and at least one draw, got {confidence} and {num_draws}")
    group_of_row = range(len(values_N)) if groups is None else groups
    if len(group_of_row) != len(values_N):
        raise ValueError(f"{len(values_N)} values but {len(group_of_row)} groups")
    number = {group: i for i, group in enumerate(dict.fromkeys(group_of_row))}
    if len(number) < 2:
        return None
    number_N = np.array([number[group] for group in group_of_row])
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(num_draws):
        times_drawn = np.bincount(rng.integers(len(number), size=len(number)), minlength=len(number))
        scores.append(score(np.repeat(values_N, times_drawn[number_N], axis=0)))
    known = np.array(scores)[~np.isnan(scores)]
    if not len(known):
        return None
    low, high = np.percentile(known, [50 * (1 - confidence), 50 * (1 + confidence)])
    return Interval(float(low), float(high))
