"""What a live session knows of one query: its objects, and what carries them from frame to frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saymask.models.base import Answer, ObjectAnswer
from saymask.records import Rle, Video
from saymask.trackers.base import TrackerRun

DRAWN = "drawn by hand"
"""What objects answer to that no query found."""
TIME_ROUNDING = 1e-6
"""In seconds: times are sums of fractions, and 0.3 - 0.2 is less than 0.1."""


@dataclass
class LiveObject:
    """One object that is followed.

    Args:
        obj_id: its number among the query's objects; it never changes, and no other one gets it.
        answer: what the model said about it last; None if the user gave it.
        given: the user has said where it is, so answers of the model do not move it.
        rle, score: on the latest frame.
    """

    obj_id: int
    answer: ObjectAnswer | None = None
    given: bool = False
    rle: Rle = field(default_factory=lambda: Rle.empty(0, 0))
    score: float = 0.0

    @property
    def mask(self) -> np.ndarray:
        """bool mask_HW on the latest frame."""
        return self.rle.decode()

    @property
    def can_be_decoded(self) -> bool:
        """Whether the family's mask decoder finds it on any frame."""
        return self.answer is not None and (self.answer.prompt_KC is not None or bool(self.answer.frame_prompts))

    def show(self, rle: Rle, score: float) -> None:
        """Where it is on the latest frame."""
        self.rle, self.score = rle, score


@dataclass
class LiveQuery:
    """One query of a stream.

    Args:
        text: the query.
        options: how it is asked; None = it is not: its objects are the user's.
        answer: the last one.
        objects: by id, the oldest first.
        run: the walk of a tracker that carries them.
        seen: the video of the frames so far that the last answer is about, without its frames.
    """

    text: str
    options: Mapping[str, Any] | None
    answer: Answer | None = None
    objects: dict[int, LiveObject] = field(default_factory=dict)
    run: TrackerRun | None = None
    seen: Video | None = None
    _asked_at: tuple[int, float] = (0, 0.0)
    _num_objects: int = 0
    _answered: tuple[int, ...] = ()

    def is_due(self, time: float, ask_every: float | None) -> bool:
        """Whether it is to be asked now."""
        if self.options is None:
            return False
        return self.answer is None or (ask_every is not None and time - self._asked_at[1] >= ask_every - TIME_ROUNDING)

    def is_tracked(self, obj: LiveObject) -> bool:
        return self.run is not None and obj.obj_id in self.run.obj_ids

    def place_after_answer(self, frame_idx: int) -> int:
        """A frame of the stream, counted on from those that the last answer is about."""
        assert self.seen is not None
        return self.seen.num_frames - 1 + frame_idx - self._asked_at[0]

    @property
    def answered(self) -> list[LiveObject]:
        """The objects of the last answer, in its order."""
        return [self.objects[obj_id] for obj_id in self._answered]

    def new_object(self) -> LiveObject:
        self._num_objects += 1
        self.objects[self._num_objects] = LiveObject(self._num_objects)
        return self.objects[self._num_objects]

    def drop(self, obj_id: int) -> None:
        """Follow it no longer."""
        if self.is_tracked(self.objects[obj_id]) and self.run:
            self.run.drop(obj_id)
        del self.objects[obj_id]
        self._answered = tuple(other for other in self._answered if other != obj_id)

    def take(self, answer: Answer, seen: Video, frame_idx: int, time: float, known: Mapping[int, int]) -> None:
        """A new answer, given on this frame.

        Args:
            answer, seen: what was said, about which frames.
            frame_idx, time: of the latest of them.
            known: number of an object of the answer -> id of the object that it is. The others are new; objects of which the answer says
                nothing are followed no longer, unless the user gave them.
        """
        for obj_id in [i for i, obj in self.objects.items() if i not in known.values() and not obj.given]:
            self.drop(obj_id)
        self.answer, self.seen, self._asked_at = answer, seen, (frame_idx, time)
        objects = [self.objects[known[number]] if number in known else self.new_object() for number in range(len(answer.objects))]
        for obj, said in zip(objects, answer.objects, strict=True):
            obj.answer = said
        self._answered = tuple(obj.obj_id for obj in objects)
