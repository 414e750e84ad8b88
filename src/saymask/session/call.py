"""One call of a session: what was asked, what the model said, and what every object is tracked from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from saymask.errors import ConfigError
from saymask.models.base import Answer
from saymask.records import FrameResult, Masklet, Rle
from saymask.trackers.propagation import ObjectTrack


class FrameMasklets:
    """Frame by frame results of the same objects, gathered."""

    def __init__(self) -> None:
        self.found: list[dict[int, tuple[Rle, float]]] = []

    def add(self, result: FrameResult) -> None:
        """One frame's; frames may come in any order."""
        self.found = self.found or [{} for _ in result.rles]
        for of_object, rle, score in zip(self.found, result.rles, result.scores_N.tolist(), strict=True):
            of_object[result.frame_idx] = rle, score


class Call:
    """Everything per query, in the order of the queries."""

    def __init__(self, queries: tuple[str, ...], answer_mode: str, answers: Sequence[Answer], tracks: list[list[ObjectTrack]]):
        self.queries = queries
        self.answer_mode = answer_mode
        self.answers = answers
        self.tracks = tracks

    @property
    def objects(self) -> list[tuple[int, int]]:
        """Of all objects in order: the number of the query, from 0, and that of the object, from 1."""
        return [(query, number) for query, answer in enumerate(self.answers) for number in range(1, len(answer.objects) + 1)]

    def only(self, places: Sequence[int]) -> list[Answer]:
        """The answers with these of the call's objects alone."""
        kept: list[list[Any]] = [[] for _ in self.answers]
        for place in places:
            query, number = self.objects[place]
            kept[query].append(self.answers[query].objects[number - 1])
        return [Answer(answer.text, tuple(objects)) for answer, objects in zip(self.answers, kept, strict=True) if objects]

    def place(self, query: str | None) -> int:
        """Which query is meant.

        Raises:
            ConfigError: it was not asked, or is left out although there were several.
        """
        if query is None and len(self.queries) == 1:
            return 0
        if query not in self.queries:
            raise ConfigError(f"query {query!r} was not asked; name one of: {', '.join(map(repr, self.queries))}")
        return self.queries.index(query)

    def masklet(self, query: int, obj_id: int, found: dict[int, tuple[Rle, float]]) -> Masklet:
        """One object's masks, once every frame has been found, or before any has."""
        obj = self.answers[query].objects[obj_id - 1]
        rles = tuple(found[i][0] for i in range(len(found)))
        scores_T = np.array([found[i][1] for i in range(len(found))], dtype=np.float32)
        return Masklet(obj_id, rles, scores_T, obj.phrase, obj.presence, obj.frame_presence)

    def masklets(self, found: Sequence[dict[int, tuple[Rle, float]]]) -> list[list[Masklet]]:
        """All objects' masks, per query."""
        grouped: list[list[Masklet]] = [[] for _ in self.queries]
        for (query, obj_id), of_object in zip(self.objects, found, strict=True):
            grouped[query].append(self.masklet(query, obj_id, of_object))
        return grouped
