"""Where the time goes, measured from outside: wrappers round a segmenter and a video, so that neither knows that it is timed.

At every moment exactly one stage runs on the measuring thread, so the stages add up to the total. Frames that another thread reads in the
meantime are counted apart: that time is hidden behind the stages. On an accelerator a stage ends when the device has finished it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from saymask.models.base import Answer, MaskLogits, PromptDecoder, Segmenter, VideoView
from saymask.records import Video
from saymask.trackers.base import FrameMasks, Tracker

STAGES = ("read", "vision_tower", "language_model", "image_encoder", "mask_decoder", "masks", "tracker", "other")
"""Decoding frames; tower and projector; prompts of the queries; SAM's two halves; full size, threshold and run lengths; tracking; the rest.
Encoders include their preprocessing."""


class Stopwatch:
    """Seconds per stage, from the moment it is made.

    Args:
        device: where the stages' work runs.
    """

    def __init__(self, device: torch.device):
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self.read_ahead = 0.0
        self._device = device
        self._thread = threading.get_ident()
        self._stage = "other"
        self._since = perf_counter()

    def switch(self, stage: str) -> str:
        """End the running stage and begin another; returns the one that ended."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        now = perf_counter()
        self.seconds[self._stage] += now - self._since
        ended, self._stage, self._since = self._stage, stage, now
        return ended

    def stop(self) -> float:
        """End the running stage and return the total; what follows is not counted."""
        self.switch("other")
        return self.total

    @property
    def total(self) -> float:
        """Seconds of all stages that have ended."""
        return sum(self.seconds.values())

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        """A stage for the length of the block; the one around it stands still meanwhile."""
        around = self.switch(stage)
        try:
            yield
        finally:
            self.switch(around)

    def watch(self, video: Video) -> Video:
        """The same video, whose reading counts as "read", or as read ahead if another thread does it."""

        def read(frame_idx: Sequence[int]) -> np.ndarray:
            if threading.get_ident() == self._thread:
                with self.stage("read"):
                    return video.read(frame_idx)
            start = perf_counter()
            try:
                return video.read(frame_idx)
            finally:
                self.read_ahead += perf_counter() - start

        return replace(video, read=read)


class TimedSegmenter:
    """Passes everything on to a segmenter and tells a stopwatch. Between `decode` and `chunk_done` the session makes masks."""

    def __init__(self, segmenter: Segmenter, stopwatch: Stopwatch):
        self._segmenter = segmenter
        self._decoder = cast(PromptDecoder, segmenter)
        self._stopwatch = stopwatch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)

    def encode_image(self, frames_THWC: np.ndarray) -> Tensor:
        with self._stopwatch.stage("image_encoder"):
            return self._decoder.encode_image(frames_THWC)

    def reason(self, view: VideoView, queries: Sequence[str], options: Any) -> list[Answer]:
        with self._stopwatch.stage("language_model"):
            return self._segmenter.reason(cast(VideoView, _TimedView(view, self._stopwatch)), queries, options)

    def decode(self, features_TChw: Tensor, frame_idx: Sequence[int], video: Video, answers: Sequence[Answer]) -> MaskLogits:
        with self._stopwatch.stage("mask_decoder"):
            logits = self._decoder.decode(features_TChw, frame_idx, video, answers)
        self._stopwatch.switch("masks")
        return logits

    def chunk_done(self, done: int, total: int) -> None:
        """The session's `progress`: what a chunk of frames needed is done."""
        self._stopwatch.switch("other")


class TimedTracker:
    """Passes everything on to a tracker and tells a stopwatch."""

    def __init__(self, tracker: Tracker, stopwatch: Stopwatch):
        self._tracker = tracker
        self._stopwatch = stopwatch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: Any = None) -> Iterator[FrameMasks]:
        walk = self._tracker.propagate(video, reference_masks, features)
        while True:
            with self._stopwatch.stage("tracker"):
                masks = next(walk, None)
            if masks is None:
                return
            yield masks


class _TimedView:
    """A view whose frames count as "vision_tower" where a family encodes them for its language model."""

    def __init__(self, view: VideoView, stopwatch: Stopwatch):
        self._view = view
        self._stopwatch = stopwatch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def recall_frames(self, key: Hashable, frame_idx: Sequence[int], encode: Callable[[np.ndarray], Tensor]) -> Tensor:
        def timed(frames_THWC: np.ndarray) -> Tensor:
            with self._stopwatch.stage("vision_tower"):
                return encode(frames_THWC)

        return self._view.recall_frames(key, frame_idx, timed)
