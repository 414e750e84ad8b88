"""Key segment sampler: cut a long video where its content changes, and keep the pieces that matter for the query.

Works on unit descriptors of a coarse stream of frames and their relevance to the query, whoever scored it. Public text says that the
sampler is content-dependent and keeps the informative pieces; partition, scores and selection are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from saymask.video.sampling import uniform

COARSE_FRAMES = 128
MAX_CUTS = 16
MAX_LENGTH = 8
"""Longest segment, in units of the frames taken from one."""
NOVELTY_WEIGHT = 0.2
REDUNDANCY_WEIGHT = 0.3
MIN_PEAK = 0.5
"""Relevance (in standard deviations) that some frame must reach; below, no frame stands out and frames are spread evenly."""

Span = tuple[int, int]
"""First frame, and the one behind the last."""


@dataclass(frozen=True)
class KeyFrames:
    """What the language model reads of a video.

    Args:
        frame_idx, segment: K key frames in order, and the segment of each.
        context_idx: frames spread over the whole video, one pooled token each.
        notes: how they were chosen, plain JSON values.
    """

    frame_idx: np.ndarray
    segment: np.ndarray
    context_idx: np.ndarray
    notes: dict[str, Any]


def evenly(num_frames: int, num_key_frames: int, num_context: int, reason: str) -> KeyFrames:
    """Key frames spread over the video, as one segment; fewer where it has fewer."""
    frame_idx = uniform(num_frames, min(num_key_frames, num_frames))
    notes = {"key_frames": frame_idx.tolist(), "key_segments": f"spread evenly: {reason}"}
    return KeyFrames(frame_idx, np.zeros_like(frame_idx), uniform(num_frames, num_context), notes)


def choose_key_frames(
    coarse_idx: np.ndarray,
    unit_TC: np.ndarray,
    relevance_T: np.ndarray,
    num_frames: int,
    num_segments: int,
    per_segment: int,
    num_context: int,
) -> KeyFrames:
    """Cut, score, select.

    Args:
        coarse_idx: frames of the coarse stream, ascending.
        unit_TC: their descriptors, of length 1.
        relevance_T: their relevance to the query, on any scale.
        num_frames: of the video.
        num_segments, per_segment, num_context: as of `VillaConfig`.
    """
    budget = num_segments * per_segment
    if len(coarse_idx) <= budget:
        return evenly(num_frames, budget, num_context, "the video is short")
    z_T = _smooth((relevance_T - relevance_T.mean()) / (relevance_T.std() + 1e-8))
    if z_T.max() < MIN_PEAK:
        return evenly(num_frames, budget, num_context, f"no frame's relevance exceeds the mean by {MIN_PEAK} standard deviations")
    spans = partition(unit_TC, per_segment, MAX_LENGTH * per_segment)
    novelty_T = np.r_[0, 1 - (unit_TC[1:] * unit_TC[:-1]).sum(1)]
    scores = [_top_half(z_T[a:b]) + NOVELTY_WEIGHT * float(novelty_T[a:b].mean()) for a, b in spans]
    chosen = sorted(select(spans, scores, unit_TC, num_segments))
    share = budget // len(chosen)  # fewer segments than asked for give more frames each
    places = [frames_of(spans[k], share, z_T) for k in chosen]
    frame_idx = coarse_idx[np.concatenate(places)]
    segment = np.repeat(np.arange(len(chosen)), [len(of_segment) for of_segment in places])
    named = [[int(coarse_idx[spans[k][0]]), int(coarse_idx[spans[k][1] - 1])] for k in chosen]
    notes = {
        "key_frames": frame_idx.tolist(),
        "key_segments": named,
        "segment_scores": [round(scores[k], 3) for k in chosen],
        "segments": len(spans),
    }
    return KeyFrames(frame_idx, segment, uniform(num_frames, num_context), notes)


def partition(unit_TC: np.ndarray, min_length: int, max_length: int) -> list[Span]:
    """Change points: the cuts with the least spread inside segments plus a price per cut, by dynamic programming over their number.

    The price of m cuts is variance * m * (log(T / m) + 1), so it does not depend on the descriptors' scale. Segments longer than
    `max_length` are halved until they are not.
    """
    num_frames = len(unit_TC)
    sums = np.concatenate([np.zeros((1, unit_TC.shape[1])), unit_TC.cumsum(0)])
    squares = np.r_[0, (unit_TC**2).sum(1).cumsum()]
    ends = np.arange(num_frames + 1)
    length = ends[None] - ends[:, None]
    within = squares[None] - squares[:, None] - ((sums[None] - sums[:, None]) ** 2).sum(-1) / np.maximum(length, 1)
    within[length < min_length] = np.inf
    variance = within[0, -1] / num_frames
    best, came_from = within[0], []
    found, found_cost, found_cuts = [], within[0, -1], 0
    for cuts in range(1, min(MAX_CUTS, num_frames // min_length - 1) + 1):
        totals = best[:, None] + within
        came_from.append(totals.argmin(0))
        best = totals.min(0)
        cost = best[-1] + variance * cuts * (np.log(num_frames / cuts) + 1)
        if cost < found_cost:
            found, found_cost, found_cuts = came_from[:], cost, cuts
    bounds = [num_frames]
    for step in reversed(found[:found_cuts]):
        bounds.append(int(step[bounds[-1]]))
    bounds.append(0)
    return [part for a, b in zip(bounds[::-1], bounds[-2::-1], strict=False) for part in _halved((a, b), max_length)]


def select(spans: list[Span], scores: list[float], unit_TC: np.ndarray, num_segments: int) -> list[int]:
    """The best segments one after the other; what looks like a chosen one counts less."""
    means = np.stack([unit_TC[a:b].mean(0) for a, b in spans])
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-8
    chosen: list[int] = []
    while len(chosen) < min(num_segments, len(spans)):
        alike = (means @ means[chosen].T).max(1) if chosen else np.zeros(len(spans))
        worth = np.array(scores) - REDUNDANCY_WEIGHT * alike
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
    return chosen


def frames_of(span: Span, count: int, relevance_T: np.ndarray) -> np.ndarray:
    """Frames spread over a segment, each moved to the most relevant one within a quarter of their distance."""
    first, stop = span
    count = min(count, stop - first)
    reach = (stop - first) / count / 4
    places = []
    for centre in np.linspace(first, stop - 1, count) if count > 1 else [(first + stop - 1) / 2]:
        low, high = max(first, int(np.ceil(centre - reach))), min(stop - 1, int(centre + reach))
        near = range(low, high + 1) or [round(centre)]
        places.append(max(near, key=lambda t, middle=centre: (relevance_T[t], -abs(t - middle))))
    return np.unique(places)


def _smooth(values_T: np.ndarray) -> np.ndarray:
    """Triangular mean over three frames."""
    padded = np.pad(values_T, 1, mode="edge")
    return 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]


def _top_half(values: np.ndarray) -> float:
    return float(np.sort(values)[len(values) // 2 :].mean())


def _halved(span: Span, max_length: int) -> list[Span]:
    first, stop = span
    if stop - first <= max_length:
        return [span]
    middle = (first + stop) // 2
    return _halved((first, middle), max_length) + _halved((middle, stop), max_length)
