"""Queries that a model answers frame after frame by itself: what it sees on a frame is where the query's objects are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saymask.models.base import Answer, ObjectAnswer, Options
from saymask.models.parts.own_tracks import FollowingSegmenter, phrases_and_counts
from saymask.records import Rle
from saymask.session.live_query import LiveQuery
from saymask.session.past import Past


class FromHere:
    """A stream from its latest frame on, which is frame 0 of it.

    Args:
        past: the stream.
    """

    def __init__(self, past: Past):
        self.height, self.width = past.height, past.width
        self._past = past
        self._first = past.frame_idx

    @property
    def frame_idx(self) -> int:
        """Of the latest frame."""
        return self._past.frame_idx - self._first

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC, of the latest frame only."""
        return self._past.frames([self._first + index for index in frame_idx])


class Following:
    """A query's walk along a stream, begun on its latest frame.

    Args:
        segmenter: the model.
        past: the stream.
        query: whose objects are shown where the model sees them; one that was dropped stays so.
        options: how it is asked.

    Raises:
        ConfigError: a query that cannot be asked.
    """

    def __init__(self, segmenter: FollowingSegmenter, past: Past, query: LiveQuery, options: Options):
        self._source = FromHere(past)
        self._query = query
        self._least = options.min_presence
        self._walk = segmenter.follow(self._source, query.text, options)
        self._obj_ids: dict[int, int] = {}

    def step(self) -> None:
        """Show the query's objects on the latest frame."""
        query = self._query
        for sighting in self._walk.step(self._source.frame_idx):
            if sighting.obj_id not in self._obj_ids and sighting.presence >= self._least:
                self._obj_ids[sighting.obj_id] = query.new_object().obj_id
            obj = query.objects.get(self._obj_ids.get(sighting.obj_id, 0))
            if obj is not None:
                obj.answer = ObjectAnswer(sighting.phrase, sighting.presence)
                obj.show(Rle.encode(sighting.mask_HW.cpu().numpy()), sighting.score)
        said = tuple(obj.answer for obj in query.objects.values() if obj.answer is not None)
        query.answer = Answer(phrases_and_counts([obj.phrase for obj in said]), said)
