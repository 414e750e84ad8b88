"""What answers to the sampler's question, "which percentage mark of the video should I look at", say about the target frame.

A video language model answers several times; each answer votes for one of eleven marks, 0 % ... 100 %. The most frequent mark is the
target, ties go to the one nearest to the median vote. The released code instead averages the values of a substring table
(`released_fraction`), which is here for comparison: two groups of votes then meet at a mark that nobody voted for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

import numpy as np

NUM_MARKS = 11
NUM_VOTES = 10
MIDDLE = 5
"""The mark that is taken if nobody votes."""
VOTE_TEMPERATURE, VOTE_TOP_P = 0.6, 0.9

MOVIE_OPENING = "Below is a movie. Memorize the content and answer my question after watching this movie."
MOVIE_END = "Now the movie end."
"""What the released code says before and behind the frames to its own sampler, LLaMA-VID."""

_PERCENTAGE = re.compile(r"(?P<last>\blast\s+)?(?<![\d.])(?P<number>\d+(?:\.\d+)?)\s*%", re.IGNORECASE)
_RELEASED_TABLE = (
    *((f"last {10 * mark}%", (10 - mark) / 10) for mark in range(11)),
    *((f"{10 * mark}%", mark / 10) for mark in (*range(1, 11), 0)),
)


def mark_of(response: str) -> int | None:
    """The mark 0 ... 10 that an answer votes for: its first percentage, rounded; "last 30%" is 70 %. None if it names none."""
    for found in _PERCENTAGE.finditer(response):
        percent = float(found["number"])
        if percent <= 100:
            return int((100 - percent if found["last"] else percent) / 10 + 0.5)
    return None


def histogram(responses: Sequence[str]) -> list[int]:
    """How many answers vote for each of the marks."""
    marks = [mark_of(response) for response in responses]
    return [marks.count(mark) for mark in range(NUM_MARKS)]


def ranked_marks(bins: Sequence[int]) -> list[int]:
    """Marks with votes, the most frequent first, those nearest to the median before others; the middle if there is no vote."""
    votes = [mark for mark, count in enumerate(bins) for _ in range(count)]
    if not votes:
        return [MIDDLE]
    centre = median(votes)
    return sorted({*votes}, key=lambda mark: (-bins[mark], abs(mark - centre), mark))


def frame_at(mark: int, num_frames: int) -> int:
    """The frame at a mark of a video."""
    return min(num_frames * mark // (NUM_MARKS - 1), num_frames - 1)


def marks_at(frame_idx: int, num_frames: int) -> list[int]:
    """All marks at which a frame is found; none for most frames of a long video."""
    return [mark for mark in range(NUM_MARKS) if frame_at(mark, num_frames) == frame_idx]


def released_fraction(responses: Sequence[str]) -> float:
    """Mean of what the released code reads in the answers, 0.5 if it reads nothing."""
    values = [value for response in responses if (value := _released_value(response)) is not None]
    return float(np.mean(values)) if values else 0.5  # numpy's order of adding decides the last digit, and with it some frames


def released_frame(fraction: float, num_frames: int) -> int:
    """The frame at a fraction of the video, as the released code computes it."""
    return min(int(num_frames * fraction), num_frames - 1)


def _released_value(response: str) -> float | None:
    return next((value for text, value in _RELEASED_TABLE if text in response), None)
