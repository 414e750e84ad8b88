"""What a live session showed, frame by frame, as a `Prediction`."""

from __future__ import annotations

from typing import Any

import numpy as np

from saymask.records import FrameResult, Masklet, Prediction, QueryResult, Rle, Video
from saymask.session.live import LiveSession


class Collected:
    """Run lengths of every object, from the frames that show it; it is nowhere on the others.

    Args:
        live: whose results are collected, each right after it was pushed.
    """

    def __init__(self, live: LiveSession):
        self._live = live
        self._found: dict[tuple[str, int], dict[int, tuple[Rle, float]]] = {}
        self._said: dict[tuple[str, int], tuple[str, float | None]] = {}

    def add(self, result: FrameResult) -> None:
        """The latest frame's."""
        for query, obj_id, rle, score in zip(result.queries, result.obj_ids, result.rles, result.scores_N.tolist(), strict=True):
            self._found.setdefault((query, obj_id), {})[result.frame_idx] = rle, score
        for key, obj in self._live.objects.items():
            if obj.answer is not None:
                self._said[key] = obj.answer.phrase, obj.answer.presence

    def prediction(self, video: Video) -> Prediction:
        """All of it, about a video that has the frames that were pushed."""
        results = []
        for query, answer in self._live.answers.items():
            keys = [key for key in self._found if key[0] == query]
            notes: dict[str, Any] = {"model": self._live.segmenter.name, "causal": True, **answer.notes}
            if not self._live.follows:
                notes["ask_every"] = self._live.ask_every
            if self._live.tracker:
                notes["tracker"] = self._live.tracker.name
            masklets = tuple(self._masklet(key, video) for key in keys)
            results.append(QueryResult(query, answer.text, masklets, notes, answer.files))
        return Prediction(video, tuple(results))

    def _masklet(self, key: tuple[str, int], video: Video) -> Masklet:
        nowhere = (Rle.empty(video.height, video.width), 0.0)
        rles, scores = zip(*(self._found[key].get(t, nowhere) for t in range(video.num_frames)), strict=True)
        phrase, presence = self._said.get(key, ("", None))
        return Masklet(key[1], rles, np.array(scores, dtype=np.float32), phrase, presence)
