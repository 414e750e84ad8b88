"""Frames pushed one by one, masks for each at once: what a camera, a player or a file read causally needs.

push ─ carry every object to the frame ─┬─ a query is due ─ ask about the frames so far ─ same objects by overlap ─┐
         tracker step, or mask decoder  └────────────────────────────────────────────────────────────────────────────┴─ FrameResult

A query is asked on the first frame after it was added and again every few seconds. In between a tracker carries its objects or, without
one, the mask decoder with the prompts of the last answer. A model that answers frame after frame by itself (`FollowingSegmenter`) is
followed instead, unless a tracker was named. Nothing that is held grows with the number of frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.base import Answer, Segmenter
from saymask.models.parts.own_tracks import FollowingSegmenter
from saymask.models.prompters.base import Prompter
from saymask.models.run_lengths import encode_masks, threshold
from saymask.records import FrameResult, Rle, check_queries
from saymask.runtime import Runtime
from saymask.session.asking import AskedVideo
from saymask.session.following import Following
from saymask.session.guard import SingleUse
from saymask.session.live_query import DRAWN, LiveObject, LiveQuery
from saymask.session.overlap import same_objects
from saymask.session.past import HeldFrames, Past
from saymask.session.pointing import Pointing, require_mask
from saymask.session.view import BUDGET_BYTES
from saymask.trackers.base import Tracker
from saymask.trackers.loading import load_tracker

ASK_EVERY = 2.0
"""Seconds from one answer to a query to the next."""


class LiveSession:
    """A stream of frames and one model. Used by one thread at a time.

    Args:
        size: (height, width) of every frame in pixels.
        fps: frames per second: the time of a frame that is pushed without one.
        segmenter: from `load_model`.
        tracker: what carries objects from answer to answer; None = the model's own tracker, its family's default one or, if it has
            neither, its mask decoder.
        prompter: what turns clicks and boxes into masks; only `add_click` and `add_box` need one.
        ask_every: seconds of the stream from one answer to the next; None = every query is asked once.
        past_seconds: how far back the model looks; None = to the stream's beginning, in ever larger steps.
        name, tags: of the stream, as a `Video` has them.
        budget_bytes: what may be taken while a query is answered; see `VideoSession`.
        runtime: where a default tracker computes; None = the best device present.
    """

    def __init__(
        self,
        size: tuple[int, int],
        fps: float,
        segmenter: Segmenter,
        tracker: Tracker | None = None,
        prompter: Prompter | None = None,
        ask_every: float | None = ASK_EVERY,
        past_seconds: float | None = None,
        name: str = "live",
        tags: Mapping[str, str] | None = None,
        budget_bytes: int = BUDGET_BYTES,
        runtime: Runtime | None = None,
    ):
        if not fps > 0 or (ask_every is not None and not ask_every > 0):
            raise ConfigError(f"fps = {fps} and ask_every = {ask_every}: both must be more than 0")
        default = segmenter.family.default_tracker
        self.segmenter = segmenter
        self.tracker = load_tracker(default, runtime) if tracker is None and default else tracker or getattr(segmenter, "tracker", None)
        self.ask_every = ask_every
        self.fps = fps
        self.past = Past(name, *size, fps, tags or {}, past_seconds)
        self._pointing = Pointing(prompter)
        self._budget_bytes = budget_bytes
        self._tracker_features = self.tracker.features(self.past, 0) if self.tracker else None
        self._image_features: tuple[int, Tensor] | None = None
        self._queries: dict[str, LiveQuery] = {}
        self._followed: dict[str, Following] = {}
        self.guard = SingleUse(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """A closed session takes no frame any more."""
        self.guard.close()
        self._queries.clear()
        self._followed.clear()

    # -- frames ---------------------------------------------------------------------------------------------------------------------

    def push(self, frame_HWC: np.ndarray, time: float | None = None) -> FrameResult:
        """Masks on the next frame.

        Args:
            frame_HWC: uint8 RGB at the stream's size; it is copied.
            time: seconds, later than the frame before; by default the frame's number over `fps`.

        Raises:
            ConfigError: another shape or type, a time that does not go forwards, a query that the model cannot be asked, a closed session
                or one that is in use.
        """
        with self.guard.hold():
            self.past.add(self._checked_time(time), self._checked_frame(frame_HWC))
            for query in self._queries.values():
                self._carry(query)
            if self.follows:
                self._follow()
            else:
                due = [query for query in self._queries.values() if query.is_due(self.past.time, self.ask_every)]
                for options in {id(query.options): query.options for query in due}.values():
                    self._ask([query for query in due if query.options is options])
            return self.latest()

    def latest(self) -> FrameResult:
        """Masks on the latest frame as they are now: queries in the order in which they were added, objects by age."""
        shown = [(query.text, obj) for query in self._queries.values() for obj in query.objects.values()]
        scores_N = np.array([obj.score for _, obj in shown], dtype=np.float32)
        ids = tuple(obj.obj_id for _, obj in shown)
        return FrameResult(self.past.frame_idx, tuple(query for query, _ in shown), ids, tuple(obj.rle for _, obj in shown), scores_N)

    @property
    def follows(self) -> bool:
        """Whether the model answers frame after frame by itself, instead of being asked every few seconds."""
        return self.tracker is None and isinstance(self.segmenter, FollowingSegmenter)

    @property
    def objects(self) -> dict[tuple[str, int], LiveObject]:
        """Every object that is followed, by query and id."""
        return {(query.text, obj.obj_id): obj for query in self._queries.values() for obj in query.objects.values()}

    @property
    def answers(self) -> dict[str, Answer]:
        """What the model said last to each query that it was asked."""
        return {query.text: query.answer for query in self._queries.values() if query.answer is not None}

    # -- queries and objects ----------------------------------------------------------------------------------------------------------

    def add_query(self, query: str, **options: Any) -> None:
        """Ask this, from the next frame on; options of the model's family as for `VideoSession.segment`.

        Raises:
            ConfigError: it is asked already, is empty, or an option is unknown.
        """
        self.add_queries([query], **options)

    def add_queries(self, queries: Sequence[str], **options: Any) -> None:
        """The same for several, which are asked together."""
        with self.guard.hold():
            check_queries(queries)
            self._parsed(options)
            for query in queries:
                if query in self._queries:
                    raise ConfigError(f"query {query!r} is asked already; drop_query it first")
                self._queries[query] = LiveQuery(query, options)

    def drop_query(self, query: str) -> None:
        """Ask it no longer, and follow its objects no longer.

        Raises:
            ConfigError: it is not asked.
        """
        with self.guard.hold():
            self._query(query)
            del self._queries[query]
            self._followed.pop(query, None)

    def drop_object(self, query: str, obj_id: int) -> None:
        """Follow an object no longer; the next answer may find it again under a new id.

        Raises:
            ConfigError: there is none.
        """
        with self.guard.hold():
            found = self._query(query)
            found.drop(self._object(found, obj_id).obj_id)

    def add_mask(self, mask_HW: np.ndarray, query: str = DRAWN, obj_id: int | None = None) -> int:
        """Say where an object is on the latest frame; it is followed from there, and answers of the model move it no more.

        Args:
            mask_HW: bool at the stream's size.
            query: what the object answers to; one that is asked, or `DRAWN`.
            obj_id: the object that is corrected; None = a new one.

        Returns:
            The object's id among the query's.

        Raises:
            ConfigError: no frame yet, nothing to track with, a mask of another size or, for a new object, an empty one, no such query or
                object.
        """
        with self.guard.hold():
            return self._place(require_mask(mask_HW, self.past.height, self.past.width), query, obj_id)

    def add_click(self, x: float, y: float, adds: bool = True, query: str = DRAWN, obj_id: int | None = None) -> int:
        """The same by a click on the latest frame that adds to the object, or takes away; clicks on one frame count together.

        Raises:
            ConfigError: as for `add_mask`, a point outside the frame, or no prompter.
        """
        with self.guard.hold():
            frame_idx, frame_HWC, mask_HW = self._pointed_at(query, obj_id)
            placed = self._pointing.click((query, obj_id), frame_idx, frame_HWC, mask_HW, x, y, adds)
            return self._pointing.keep((query, self._place(placed.mask_HW, query, obj_id)))

    def add_box(self, box: Sequence[float], query: str = DRAWN, obj_id: int | None = None) -> int:
        """The same by a box x0 y0 x1 y1 around the object. Errors as for `add_click`."""
        with self.guard.hold():
            frame_idx, frame_HWC, _ = self._pointed_at(query, obj_id)
            placed = self._pointing.box((query, obj_id), frame_idx, frame_HWC, box)
            return self._pointing.keep((query, self._place(placed.mask_HW, query, obj_id)))

    # -- one frame --------------------------------------------------------------------------------------------------------------------

    def _carry(self, query: LiveQuery) -> None:
        """Bring a query's objects to the latest frame."""
        if query.run:
            self._step(query, {})
        waiting = [obj for obj in query.objects.values() if not query.is_tracked(obj)]
        decoded = [obj for obj in waiting if obj.can_be_decoded]
        for obj in waiting:
            obj.show(Rle.empty(self.past.height, self.past.width), 0.0)
        if decoded:
            self._decode(query, decoded)
            if self.tracker:  # from the first frame on that shows it, an object is tracked
                self._step(query, {obj.obj_id: obj.mask for obj in decoded if obj.rle.area})

    def _decode(self, query: LiveQuery, objects: Sequence[LiveObject]) -> None:
        """The model's own masks of these objects."""
        if self._image_features is None or self._image_features[0] != self.past.frame_idx:
            features_1Chw = self.segmenter.encode_image(self.past.frames([self.past.frame_idx]))  # pyrefly: ignore[missing-attribute]
            self._image_features = self.past.frame_idx, features_1Chw
        answer = Answer("", tuple(obj.answer for obj in objects if obj.answer is not None))
        place = query.place_after_answer(self.past.frame_idx)
        logits = self.segmenter.decode(self._image_features[1], [place], query.seen, [answer])  # pyrefly: ignore[missing-attribute]
        for obj, (rle, score) in zip(objects, threshold(logits)[0], strict=True):
            obj.show(rle, score)

    def _step(self, query: LiveQuery, references: Mapping[int, np.ndarray]) -> None:
        """One step of the query's tracker on the latest frame; on the same frame again if it learns something new about it."""
        if query.run is None and references and self.tracker:
            query.run = self.tracker.start(self.past, self._tracker_features)
        if query.run:
            found = query.run.step(self.past.frame_idx, {i: torch.from_numpy(np.ascontiguousarray(m)) for i, m in references.items()})
            for obj_id, (rle, score) in zip(query.run.obj_ids, encode_masks(found.masks_NHW, found.scores_N), strict=True):
                query.objects[obj_id].show(rle, score)

    def _follow(self) -> None:
        """One step of the model along the stream for each query."""
        for text, query in self._queries.items():
            if text not in self._followed:
                assert isinstance(self.segmenter, FollowingSegmenter)
                self._followed[text] = Following(self.segmenter, self.past, query, self._parsed(query.options or {}))
            self._followed[text].step()

    def _ask(self, queries: Sequence[LiveQuery]) -> None:
        """Ask the model about the frames so far; its objects on the latest frame are those that lie where the old ones lie."""
        video = self.past.video()
        tracker = self.tracker if self.segmenter.family.default_tracker else None
        with closing(AskedVideo(video, self.segmenter, tracker, self._budget_bytes)) as asked:
            call = asked.ask([query.text for query in queries], queries[0].options or {})
            found = iter(asked.found_on(call, video.num_frames - 1))
        seen = replace(video, read=HeldFrames(()))  # a decoder asks it for its size; its frames need not be held until the next answer
        for query, answer in zip(queries, call.answers, strict=True):
            shown = [next(found) for _ in answer.objects]
            old = list(query.objects.values())
            pairs = same_objects([obj.mask for obj in old], [rle.decode() for rle, _ in shown])
            query.take(answer, seen, self.past.frame_idx, self.past.time, {new: old[at].obj_id for new, at in pairs.items()})
            moved = [(obj, *mask_and_score) for obj, mask_and_score in zip(query.answered, shown, strict=True) if not obj.given]
            for obj, rle, score in moved:
                if not query.is_tracked(obj):
                    obj.show(rle, score)
            if self.tracker:
                self._step(query, {obj.obj_id: rle.decode() for obj, rle, _ in moved if rle.area})

    def _place(self, mask_HW: np.ndarray, query: str, obj_id: int | None) -> int:
        """A mask that the user gives."""
        if self.tracker is None:
            raise ConfigError("following what is drawn needs a tracker; open the session with one, e.g. tracker='xmem++'")
        self._require_frame()
        if query == DRAWN and query not in self._queries:
            self._queries[DRAWN] = LiveQuery(DRAWN, None)
        of_query = self._query(query)
        if obj_id is None and not mask_HW.any():
            raise ConfigError("the mask of a new object shows no pixel; give one that does")
        obj = of_query.new_object() if obj_id is None else self._object(of_query, obj_id)
        obj.given = True
        if mask_HW.any() or of_query.is_tracked(obj):
            self._step(of_query, {obj.obj_id: mask_HW})
        return obj.obj_id

    def _pointed_at(self, query: str, obj_id: int | None) -> tuple[int, np.ndarray, np.ndarray | None]:
        """The latest frame, and the mask of the object that is pointed at."""
        self._require_frame()
        mask_HW = None if obj_id is None else self._object(self._query(query), obj_id).mask
        return self.past.frame_idx, self.past.frames([self.past.frame_idx])[0], mask_HW

    def _parsed(self, options: Mapping[str, Any]) -> Any:
        """As an instance of the family's `Options`."""
        return self.segmenter.family.load("options").parse(options, f"options of {self.segmenter.name}")

    # -- checks -----------------------------------------------------------------------------------------------------------------------

    def _query(self, query: str) -> LiveQuery:
        if query not in self._queries:
            raise ConfigError(f"query {query!r} is not asked; there are: {', '.join(map(repr, self._queries)) or 'none'}")
        return self._queries[query]

    def _object(self, query: LiveQuery, obj_id: int) -> LiveObject:
        if obj_id not in query.objects:
            known = ", ".join(map(str, query.objects)) or "none"
            raise ConfigError(f"query {query.text!r} has no object {obj_id}; it has: {known}")
        return query.objects[obj_id]

    def _require_frame(self) -> None:
        if self.past.frame_idx < 0:
            raise ConfigError("there is no frame yet; push one first")

    def _checked_frame(self, frame_HWC: np.ndarray) -> np.ndarray:
        expected = (self.past.height, self.past.width, 3)
        if frame_HWC.dtype != np.uint8 or frame_HWC.shape != expected:
            raise ConfigError(f"a frame of {self.past.name} is {frame_HWC.dtype} {frame_HWC.shape}; give uint8 RGB {expected}")
        return np.array(frame_HWC)

    def _checked_time(self, time: float | None) -> float:
        number = self.past.frame_idx + 1
        time = number / self.fps if time is None else time
        if number and not time > self.past.time:
            raise ConfigError(f"frame {number} of {self.past.name} has time {time:g}, the one before {self.past.time:g}; times must grow")
        return time
