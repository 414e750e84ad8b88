"""Decoded frames that a second reader will want soon: what follows a walk through a video at a small distance need not decode it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np

from saymask.records import Video


class RecentFrames:
    """Reads a video and holds the frames that come next until they are taken, in order. Used by a reader and a taker in their own threads.

    Args:
        video: which is read.
        window: so many frames from the next one to be taken are held at most; others pass through.
    """

    def __init__(self, video: Video, window: int):
        self.source = video
        self._read, self._window = video.read, window
        self._next = 0
        self._held: dict[int, np.ndarray] = {}
        self._lock = Lock()
        self.video = replace(video, read=self)
        """The same video; frames that are read of it are held."""

    def __call__(self, frame_idx: Sequence[int]) -> np.ndarray:
        frames_THWC = self._read(frame_idx)
        with self._lock:
            wanted = [row for row, index in enumerate(frame_idx) if self._next <= index < self._next + self._window]
            is_whole = len(wanted) == len(frames_THWC)  # otherwise a part would keep all of them in memory
            for row in wanted:
                self._held[frame_idx[row]] = frames_THWC[row] if is_whole else frames_THWC[row].copy()
        return frames_THWC

    def stop(self) -> None:
        """Hold no frames any more: nobody is going to take them."""
        with self._lock:
            self._window, self._held = 0, {}

    def take(self, index: int) -> np.ndarray:
        """A frame, uint8 frame_HWC that must not be changed, decoded if it was not held; it and those before it are held no longer."""
        with self._lock:
            self._next = index + 1
            frame_HWC = self._held.get(index)
            self._held = {i: held for i, held in self._held.items() if i > index}
        return self._read([index])[0] if frame_HWC is None else frame_HWC
