"""A query asked about a few frames in a row, as if they were the whole video: quick to try, before the rest is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from saymask.errors import ConfigError
from saymask.records import FrameResult, Masklet, QueryResult, Rle, Video
from saymask.session.call import FrameMasklets
from saymask.session.video_session import VideoSession


@dataclass(frozen=True)
class ShiftedReader:
    """Reads frames of a part of a video that begins at frame `first`."""

    video: Video = field(repr=False)
    first: int

    def __call__(self, frame_idx: Sequence[int]) -> np.ndarray:
        return self.video.frames([self.first + index for index in frame_idx])


def part_of(video: Video, window: range) -> Video:
    """The video's frames of a window, timed from its first.

    Raises:
        ConfigError: frames that are not there, or none.
    """
    first, end = window.start, window.stop
    if not 0 <= first < end <= video.num_frames:
        raise ConfigError(f"frames {first} to {end - 1} are no part of {video.name}; it has frames 0 to {video.num_frames - 1}")
    ends_at = video.timestamps_T[end] if end < video.num_frames else video.duration
    return replace(
        video,
        timestamps_T=video.timestamps_T[first:end] - video.timestamps_T[first],
        duration=float(ends_at - video.timestamps_T[first]),
        read=ShiftedReader(video, first),
        frame_names=video.frame_names[first:end],
    )


class WindowCall:
    """One query about a window. Its notes count frames from the window's first one and say so, `window` = [first, last].

    Args:
        session: whose video, model and tracker are used.
        window: frames in a row, e.g. range(10, 20).

    Raises:
        ConfigError: as for `part_of`.
    """

    def __init__(self, session: VideoSession, window: range):
        self._session = session
        self._window = window
        self._part = part_of(session.video, window)
        self._result: QueryResult | None = None

    def stream(self, query: str, **options: Any) -> Iterator[FrameResult]:
        """Results of the window's frames, as `VideoSession.stream`, under the whole video's frame numbers."""
        whole, collected = self._session, FrameMasklets()
        with (
            whole.guard.hold(),
            VideoSession(self._part, whole.segmenter, whole.tracker, whole.budget_bytes, whole.min_stability) as session,
        ):
            for result in session.stream(query, **options):
                collected.add(result)
                yield replace(result, frame_idx=self._window.start + result.frame_idx)
            (self._result,) = session.predicted(collected).results

    @property
    def result(self) -> QueryResult:
        """What was found, for the whole video: no pixel outside the window. There once the stream has ended."""
        assert self._result is not None
        masklets = tuple(self._widened(masklet) for masklet in self._result.masklets)
        notes = {**self._result.notes, "window": [self._window.start, self._window.stop - 1]}
        return replace(self._result, masklets=masklets, notes=notes)

    def _widened(self, masklet: Masklet) -> Masklet:
        video, first, end = self._session.video, self._window.start, self._window.stop
        empty = (Rle.empty(video.height, video.width),)
        return replace(
            masklet,
            rle_T=empty * first + masklet.rle_T + empty * (video.num_frames - end),
            frame_scores_T=np.pad(masklet.frame_scores_T, (first, video.num_frames - end)),
            frame_presence={first + frame_idx: value for frame_idx, value in masklet.frame_presence.items()},
        )
