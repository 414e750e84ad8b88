"""What needs no model is tried out on the video's first frames: decoding, tracking, run lengths of masks, writing.

The object is a disc that covers as much of the frame as things do in ordinary footage.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from saymask.benchmark.peak_memory import peak_rss_mb
from saymask.models.base import MaskLogits
from saymask.models.run_lengths import threshold
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.session.view import BUDGET_BYTES, CHUNK_FRAMES
from saymask.storage.feature_cache import chunks
from saymask.trackers.base import Tracker
from saymask.video.transforms import Geometry

TRIED_FRAMES = 24
TRIED_BYTES = 64 * 2**20
"""So many frames are decoded, tracked and written, if there are as many and their pixels take no more."""
MOST_SECONDS = 5.0
"""A tracker is not tried longer."""
COVERED = 0.07
"""Share of the frame that an object takes."""


def beginning(video: Video) -> Video:
    """The first frames of a video, as one of its own whose frames are in memory."""
    return Video.from_frames(video.frames(_tried(video)))


def decoding_seconds(video: Video) -> float:
    """Seconds per frame, of frames in order, as many at a time as a session decodes."""
    tried = _tried(video)
    start = time.perf_counter()
    for chunk in chunks(tried, CHUNK_FRAMES):
        video.frames(chunk)
    return (time.perf_counter() - start) / len(tried)


@dataclass(frozen=True)
class Tracked:
    """What tracking takes: seconds per frame of a first object and of each further one, and bytes by which the process grows."""

    first_seconds: float
    next_seconds: float
    nbytes: int

    def seconds(self, num_objects: int, num_frames: int) -> float:
        """Of objects that are tracked side by side."""
        return num_frames * (self.first_seconds + (num_objects - 1) * self.next_seconds)


def track(tracker: Tracker, video: Video, num_frames: int) -> Tracked:
    """Track an object, and then another with what the tracker has kept of the frames.

    Args:
        tracker: keeps of the frames what a session lets it keep, so what the process grows by is taken to grow with them up to that.
        video: the first frames, in memory.
        num_frames: of the whole video.
    """
    before = peak_rss_mb() or 0.0
    features = tracker.features(video, BUDGET_BYTES)
    first_seconds, tracked = _walk(tracker, video, features)
    grown_bytes = int(((peak_rss_mb() or 0.0) - before) * 2**20)
    next_seconds, _ = _walk(tracker, video, features)
    return Tracked(first_seconds, next_seconds, min(BUDGET_BYTES, grown_bytes * num_frames // (tracked + 1)))


def _walk(tracker: Tracker, video: Video, features: Any) -> tuple[float, int]:
    """Seconds per frame, and of how many; the first one, whose mask is given, is not timed."""
    walk = tracker.propagate(video, {0: torch.from_numpy(_disc(video.height, video.width))[None]}, features)
    next(walk)
    start, tracked, seconds = time.perf_counter(), 0, 0.0
    for _ in walk:
        tracked += 1
        seconds = time.perf_counter() - start
        if seconds > MOST_SECONDS:
            break
    return seconds / max(1, tracked), tracked


def mask_seconds(geometry: Geometry, mask_side: int, num_objects: int, device: torch.device) -> float:
    """Seconds per frame from the mask decoder's logits to run lengths.

    Args:
        geometry: of the frames in the mask encoder's input.
        mask_side: of the decoder's square logits.
        num_objects: masks per frame.
        device: where the logits are.
    """
    h, w = (max(1, round(side * mask_side / geometry.padded_size[0])) for side in geometry.resized_size)
    logits_hw = torch.full((mask_side, mask_side), -4.0)
    logits_hw[:h, :w][torch.from_numpy(_disc(h, w))] = 4.0
    lowres_TNhw = logits_hw.to(device).expand(CHUNK_FRAMES, num_objects, -1, -1)
    _, best = _first_and_best(lambda: threshold(MaskLogits(lowres_TNhw, geometry)))
    return best / CHUNK_FRAMES


def writing_seconds(video: Video, formats: Sequence[str], queries: Sequence[str], num_frames: int) -> float:
    """Seconds to write one object per query on so many frames.

    Args:
        video: some of them, in memory.
        formats: as for `Prediction.save`.
        queries: one object each.
        num_frames: of the whole; what the first time takes longer than the best one is spent once.
    """
    rle = Rle.encode(_disc(video.height, video.width))
    scores_T = np.ones(video.num_frames)
    masklets = [Masklet(number, (rle,) * video.num_frames, scores_T) for number in range(1, len(queries) + 1)]
    found = Prediction(video, tuple(QueryResult(query, "", (one,)) for query, one in zip(queries, masklets, strict=True)))
    with tempfile.TemporaryDirectory() as folder:
        first, best = _first_and_best(lambda: found.save(tempfile.mkdtemp(dir=folder), formats))
    return first - best + best / video.num_frames * num_frames


def _tried(video: Video) -> range:
    """The frames to try things on."""
    most = max(1, TRIED_BYTES // (3 * video.height * video.width))
    return range(min(TRIED_FRAMES, most, video.num_frames))


def _disc(height: int, width: int) -> np.ndarray:
    """bool mask_HW of a disc in the middle."""
    radius = math.sqrt(COVERED * height * width / math.pi)
    y_H1, x_1W = np.ogrid[:height, :width]
    return (y_H1 + 0.5 - height / 2) ** 2 + (x_1W + 0.5 - width / 2) ** 2 <= radius**2


def _first_and_best(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the first time, which also loads what is needed, and the best of three: other programs disturb."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds[0], min(seconds)
