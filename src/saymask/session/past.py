"""The frames so far of a stream: as many as fit, spread evenly over its past, and the latest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from saymask.records import Video

MAX_FRAMES = 64
MAX_BYTES = 256 * 2**20
"""So many frames, and so many bytes of pixels, are held at most, but always the latest frame."""


@dataclass(frozen=True)
class HeldFrames:
    """Reads frames that are held one by one, uint8 frame_HWC each."""

    frames: tuple[np.ndarray, ...] = field(repr=False)

    def __call__(self, frame_idx: Sequence[int]) -> np.ndarray:
        return np.stack([self.frames[index] for index in frame_idx])


class Past:
    """A stream's frames so far; also the `FrameSource` of what is stepped along it.

    Every k-th frame is held, and k doubles whenever too many are. So which frames are held depends on their number alone.

    Args:
        name, height, width, fps: of the stream.
        tags: metadata, as a container's.
        seconds: older frames are forgotten; None = the past begins with the stream.
    """

    def __init__(self, name: str, height: int, width: int, fps: float, tags: Mapping[str, str], seconds: float | None):
        self.name = name
        self.height, self.width = height, width
        self.frame_idx = -1
        self._fps = fps
        self._tags = tags
        self._seconds = seconds
        self._most = max(1, min(MAX_FRAMES, MAX_BYTES // (height * width * 3)))
        self._every = 1
        self._held: dict[int, tuple[float, np.ndarray]] = {}
        self._latest: tuple[float, np.ndarray] = (0.0, np.empty(0))

    @property
    def time(self) -> float:
        """Of the latest frame, in seconds."""
        return self._latest[0]

    def add(self, time: float, frame_HWC: np.ndarray) -> None:
        """The next frame."""
        self.frame_idx += 1
        self._latest = (time, frame_HWC)
        if self.frame_idx % self._every == 0:
            self._held[self.frame_idx] = self._latest
        if self._seconds is not None:
            self._held = {i: held for i, held in self._held.items() if held[0] >= time - self._seconds}
        while len(self._held) > self._most:
            self._every *= 2
            self._held = {i: held for i, held in self._held.items() if i % self._every == 0}

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC, of the latest frame only.

        Raises:
            IndexError: another frame.
        """
        if other := [index for index in frame_idx if index != self.frame_idx]:
            raise IndexError(f"frame {other[0]} of {self.name}: a stream has its latest frame only, {self.frame_idx}")
        return np.stack([self._latest[1]] * len(frame_idx))

    def video(self) -> Video:
        """The frames so far as a video; the latest is its last."""
        held = {**self._held, self.frame_idx: self._latest}
        times_T = np.array([time for time, _ in held.values()])
        return Video(
            name=self.name,
            source="stream",
            height=self.height,
            width=self.width,
            timestamps_T=times_T - times_T[0],
            duration=float(times_T[-1] - times_T[0]) + 1 / self._fps,
            read=HeldFrames(tuple(frame_HWC for _, frame_HWC in held.values())),
            frame_names=tuple(f"{i:05d}" for i in held),
            tags=self._tags,
        )
