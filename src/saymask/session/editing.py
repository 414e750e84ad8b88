"""Masks of one video under a user's hands: queries come and go, objects are corrected on any frame and carried from there.

add_query ─ masks of every frame ─┐
add_mask, add_box, add_click ─────┼─ Edited: masks and references of every object, under ids that never change ─ prediction
propagate, either way, from a frame ─┘
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.prompters.base import Prompter
from saymask.models.run_lengths import encode_masks
from saymask.records import FrameResult, Masklet, Prediction, QueryResult, Rle
from saymask.session.call import FrameMasklets
from saymask.session.live_query import DRAWN
from saymask.session.pointing import Pointing, require_mask
from saymask.session.video_session import Progress, VideoSession
from saymask.session.window import WindowCall
from saymask.trackers.base import Tracker, TrackerRun

MAX_UNDO = 50
"""So many changes can be taken back."""
Direction = Literal["forwards", "backwards", "both"]
Key = tuple[str, int]
"""Query and id of an object."""


@dataclass(frozen=True)
class EditedObject:
    """One object: mask and score of every frame, the masks that the user gave, and what the model said about it."""

    found_T: list[tuple[Rle, float]] = field(repr=False)
    references: Mapping[int, Rle] = field(default_factory=dict, repr=False)
    phrase: str = ""
    presence: float | None = None


@dataclass(frozen=True)
class _State:
    """All that can be undone; once another one has taken its place, nothing in it is written to."""

    objects: Mapping[Key, EditedObject] = field(default_factory=dict)
    results: Mapping[str, QueryResult] = field(default_factory=dict)


class Editor:
    """Used by one thread at a time.

    Args:
        session: of the video; it is asked, and its tracker carries corrections.
        prompter: what turns clicks and boxes into masks; only those need one.
        prediction: what to go on from, such as one that was saved; about the same video.
        given: with it, the masks that the user had given, by query, id and frame.

    Raises:
        ConfigError: a prediction about a video of another size or length.
    """

    def __init__(
        self,
        session: VideoSession,
        prompter: Prompter | None = None,
        prediction: Prediction | None = None,
        given: Mapping[tuple[str, int, int], Rle] | None = None,
    ):
        self.session = session
        self.video = session.video
        self._pointing = Pointing(prompter)
        self._state = _State()
        self._undo: list[_State] = []
        self._last_id: dict[str, int] = {}
        if prediction is not None:
            self._take(prediction, given or {})

    # -- what there is ----------------------------------------------------------------------------------------------------------------

    @property
    def objects(self) -> dict[Key, EditedObject]:
        """Every object by query and id, in the order in which they came."""
        return dict(self._state.objects)

    def frame(self, frame_idx: int) -> FrameResult:
        """All objects on one frame.

        Raises:
            ConfigError: no such frame.
        """
        self._require_frame(frame_idx)
        keys = list(self._state.objects)
        found = [self._state.objects[key].found_T[frame_idx] for key in keys]
        scores_N = np.array([score for _, score in found], dtype=np.float32)
        return FrameResult(
            frame_idx, tuple(key[0] for key in keys), tuple(key[1] for key in keys), tuple(rle for rle, _ in found), scores_N
        )

    def prediction(self) -> Prediction:
        """Everything as it is now."""
        grouped: dict[str, list[Masklet]] = {query: [] for query in self._state.results}
        for (query, obj_id), obj in self._state.objects.items():
            rles, scores = zip(*obj.found_T, strict=True)
            grouped.setdefault(query, []).append(Masklet(obj_id, rles, np.array(scores, np.float32), obj.phrase, obj.presence))
        blank = QueryResult("", "", ())
        results = [replace(self._state.results.get(query, blank), query=query, masklets=tuple(of)) for query, of in grouped.items()]
        return Prediction(self.video, tuple(results))

    # -- queries and objects ----------------------------------------------------------------------------------------------------------

    def ask(self, query: str, window: range | None = None, again: bool = False, **options: Any) -> Iterator[FrameResult]:
        """Ask the model: masks of the new objects, frame by frame as they are found.

        The query and its objects are there when the last frame has been given; ending the iterator early leaves all as it was.

        Args:
            query: what to find.
            window: frames in a row that the model sees instead of the whole video; the others get no mask.
            again: a query that is there already gives way, with its objects, to what is found now.
            options: of the model's family, as for `VideoSession.segment`.

        Raises:
            ConfigError: it was asked already, or cannot be asked.
            VideoError: the video cannot be decoded.
        """
        if query == DRAWN or (query in self._queries() and not again):
            raise ConfigError(f"query {query!r} is there already; drop_query it first")
        return self._ask(query, options) if window is None else self._ask_window(query, WindowCall(self.session, window), options)

    def _ask(self, query: str, options: Mapping[str, Any]) -> Iterator[FrameResult]:
        collected = FrameMasklets()
        for result in self.session.stream(query, **options):
            collected.add(result)
            yield result
        self._enter(self.session.predicted(collected).results[0])

    def _ask_window(self, query: str, call: WindowCall, options: Mapping[str, Any]) -> Iterator[FrameResult]:
        yield from call.stream(query, **options)
        self._enter(call.result)

    def _enter(self, found: QueryResult) -> None:
        others = {key: obj for key, obj in self._state.objects.items() if key[0] != found.query}
        self._change(results={**self._state.results, found.query: found}, objects={**others, **self._of(found)})

    def add_query(self, query: str, progress: Progress | None = None, **options: Any) -> tuple[int, ...]:
        """The same in one go, `progress` called with (frames done, frames in all); the ids of the objects that were found."""
        for done, _ in enumerate(self.ask(query, **options), start=1):
            if progress:
                progress(done, self.video.num_frames)
        return tuple(obj_id for other, obj_id in self._state.objects if other == query)

    def drop_query(self, query: str) -> None:
        """Take a query away with all its objects.

        Raises:
            ConfigError: it is not there.
        """
        objects = {key: obj for key, obj in self._state.objects.items() if key[0] != query}
        if query not in self._state.results and len(objects) == len(self._state.objects):
            raise ConfigError(f"query {query!r} is not there; there are: {', '.join(map(repr, self._queries())) or 'none'}")
        self._change(objects=objects, results={name: result for name, result in self._state.results.items() if name != query})

    def drop_object(self, query: str, obj_id: int) -> None:
        """Take an object away; its id is not given again.

        Raises:
            ConfigError: there is none.
        """
        self._object(query, obj_id)
        self._change(objects={key: obj for key, obj in self._state.objects.items() if key != (query, obj_id)})

    def rename_object(self, query: str, obj_id: int, phrase: str) -> None:
        """Say what an object is called; "" = by its query.

        Raises:
            ConfigError: there is no such object.
        """
        renamed = replace(self._object(query, obj_id), phrase=phrase)
        self._change(objects={**self._state.objects, (query, obj_id): renamed})

    def undo(self) -> bool:
        """Take the last change back; whether there was one."""
        if not self._undo:
            return False
        self._state = self._undo.pop()
        self._pointing.turn_away()
        return True

    # -- corrections ------------------------------------------------------------------------------------------------------------------

    def add_mask(self, frame_idx: int, mask_HW: np.ndarray, query: str = DRAWN, obj_id: int | None = None) -> int:
        """Say where an object is on a frame. Other frames stay as they are until `propagate`.

        Args:
            frame_idx: which frame.
            mask_HW: bool at the video's size; all False where the object is not in the image.
            query: what the object answers to; one that is there, or `DRAWN`.
            obj_id: the object that is corrected; None = a new one.

        Returns:
            The object's id among the query's.

        Raises:
            ConfigError: no such frame, query or object, or a mask of another size.
        """
        self._require_frame(frame_idx)
        return self._place(frame_idx, require_mask(mask_HW, self.video.height, self.video.width), 1.0, query, obj_id)

    def add_click(self, frame_idx: int, x: float, y: float, adds: bool = True, query: str = DRAWN, obj_id: int | None = None) -> int:
        """The same by a click that adds to the object or takes away; clicks on one object and frame count together.

        Raises:
            ConfigError: as for `add_mask`, a point outside the frame, or no prompter.
            VideoError: the frame cannot be decoded.
        """
        frame_HWC, mask_HW = self._pointed_at(frame_idx, query, obj_id)
        made = self._pointing.click((query, obj_id), frame_idx, frame_HWC, mask_HW, x, y, adds)
        return self._pointing.keep((query, self._place(frame_idx, made.mask_HW, made.score, query, obj_id)))

    def add_box(self, frame_idx: int, box: Sequence[float], query: str = DRAWN, obj_id: int | None = None) -> int:
        """The same by a box x0 y0 x1 y1 around the object. Errors as for `add_click`."""
        frame_HWC, _ = self._pointed_at(frame_idx, query, obj_id)
        made = self._pointing.box((query, obj_id), frame_idx, frame_HWC, box)
        return self._pointing.keep((query, self._place(frame_idx, made.mask_HW, made.score, query, obj_id)))

    def propagate(self, frame_idx: int, direction: Direction = "both", num_frames: int | None = None) -> Iterator[FrameResult]:
        """Carry what was given on a frame to others: a frame's result as soon as its masks have been replaced.

        Only objects with a reference on the frame move. Ending the iterator early keeps what it has replaced; `undo` takes all back.

        Args:
            frame_idx: where to begin.
            direction: to later frames, to earlier ones, or first the one and then the other.
            num_frames: go so far in each direction; None = to the video's ends.

        Raises:
            ConfigError: no tracker, no such frame, a direction that does not exist, or nothing was given on it.
            VideoError: the video cannot be decoded.
        """
        self._require_frame(frame_idx)
        if direction not in ("forwards", "backwards", "both"):
            raise ConfigError(f"direction {direction!r}: say forwards, backwards or both")
        tracker = self.session.refiner
        if tracker is None:
            raise ConfigError("propagate needs a tracker; open the video with one, e.g. open_video(path, tracker='xmem++')")
        moved = [key for key, obj in self._state.objects.items() if frame_idx in obj.references]
        if not moved:
            raise ConfigError(f"nothing was given on frame {frame_idx}; add_mask, add_box or add_click there first")
        reach = self.video.num_frames if num_frames is None else num_frames
        orders = {
            "forwards": range(frame_idx, min(self.video.num_frames, frame_idx + reach + 1)),
            "backwards": range(frame_idx, max(-1, frame_idx - reach - 1), -1),
        }
        chosen = orders.values() if direction == "both" else [orders[direction]]
        return self._propagate(tracker, moved, list(chosen))

    def _propagate(self, tracker: Tracker, moved: Sequence[Key], orders: Sequence[range]) -> Iterator[FrameResult]:
        moved_objects = {key: replace(self._state.objects[key], found_T=list(self._state.objects[key].found_T)) for key in moved}
        self._change(objects={**self._state.objects, **moved_objects})
        with self.session.guard.hold():
            for order in orders:
                runs = self._runs(tracker, moved, order)
                for frame_idx in order[1:]:
                    for keys, run in runs:
                        references = self._references(keys, frame_idx)
                        found = run.step(frame_idx, references)
                        masks = encode_masks(found.masks_NHW, found.scores_N)
                        for number, mask_and_score in zip(run.obj_ids, masks, strict=True):
                            moved_objects[keys[number]].found_T[frame_idx] = mask_and_score
                    yield self.frame(frame_idx)

    def _runs(self, tracker: Tracker, moved: Sequence[Key], order: range) -> list[tuple[list[Key], TrackerRun]]:
        """A walk per query, begun on the first frame of `order`; objects of one query compete for pixels."""
        features = self.session.tracker_features(tracker)
        runs = []
        for query in dict.fromkeys(key[0] for key in moved):
            run = tracker.start(self.video, features)
            keys = [key for key in moved if key[0] == query and self._state.objects[key].references[order[0]].area]
            if keys:
                run.step(order[0], self._references(keys, order[0]))
                runs.append((keys, run))
        return runs

    def _references(self, keys: Sequence[Key], frame_idx: int) -> dict[int, Tensor]:
        """What was given on a frame about these objects, by their number."""
        of_keys = [self._state.objects[key].references for key in keys]
        given = {number: references[frame_idx] for number, references in enumerate(of_keys) if frame_idx in references}
        return {number: torch.from_numpy(rle.decode()) for number, rle in given.items()}

    # -- state ------------------------------------------------------------------------------------------------------------------------

    def _change(self, **parts: Any) -> None:
        """The next state; the one before can be gone back to."""
        self._undo = [*self._undo, self._state][-MAX_UNDO:]
        self._state = replace(self._state, **parts)

    def _place(self, frame_idx: int, mask_HW: np.ndarray, score: float, query: str, obj_id: int | None) -> int:
        """Enter a mask as a reference and as what is shown on its frame."""
        if obj_id is None:
            if query != DRAWN and query not in self._queries():
                raise ConfigError(f"query {query!r} is not there; there are: {', '.join(map(repr, self._queries())) or 'none'}")
            number = self._new_id(query)
            obj = EditedObject([(Rle.empty(self.video.height, self.video.width), 0.0)] * self.video.num_frames)
        else:
            number, obj = obj_id, self._object(query, obj_id)
        found = list(obj.found_T)
        rle = Rle.encode(mask_HW)
        found[frame_idx] = (rle, score if rle.area else 0.0)
        references = {**obj.references, frame_idx: rle}
        placed = replace(obj, found_T=found, references=references)
        self._change(objects={**self._state.objects, (query, number): placed})
        return number

    def _of(self, result: QueryResult) -> dict[Key, EditedObject]:
        """A result's objects; ids that were given before in this query are not given again."""
        objects = {}
        for masklet in result.masklets:
            found_T = list(zip(masklet.rle_T, masklet.frame_scores_T.tolist(), strict=True))
            objects[result.query, masklet.obj_id] = EditedObject(found_T, phrase=masklet.phrase, presence=masklet.presence)
            self._last_id[result.query] = max(self._last_id.get(result.query, 0), masklet.obj_id)
        return objects

    def _new_id(self, query: str) -> int:
        self._last_id[query] = self._last_id.get(query, 0) + 1
        return self._last_id[query]

    def _take(self, prediction: Prediction, given: Mapping[tuple[str, int, int], Rle]) -> None:
        """Go on from a prediction and the masks that were given."""
        other, video = prediction.video, self.video
        if (other.height, other.width, other.num_frames) != (video.height, video.width, video.num_frames):
            raise ConfigError(
                f"the prediction is about {other.num_frames} frames of {other.width} x {other.height}, {video.name} has "
                f"{video.num_frames} of {video.width} x {video.height}; give one about this video"
            )
        asked = {result.query: result for result in prediction.results if result.query != DRAWN}
        objects = {key: obj for result in prediction.results for key, obj in self._of(result).items()}
        for (query, obj_id, frame_idx), rle in given.items():
            obj = objects[query, obj_id]
            objects[query, obj_id] = replace(obj, references={**obj.references, frame_idx: rle})
        self._state = _State(objects, asked)

    # -- checks -----------------------------------------------------------------------------------------------------------------------

    def _queries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self._state.results, *(query for query, _ in self._state.objects)]))

    def _object(self, query: str, obj_id: int) -> EditedObject:
        if (query, obj_id) not in self._state.objects:
            known = ", ".join(f"{other_id} of {other!r}" for other, other_id in self._state.objects) or "none"
            raise ConfigError(f"query {query!r} has no object {obj_id}; there are: {known}")
        return self._state.objects[query, obj_id]

    def _pointed_at(self, frame_idx: int, query: str, obj_id: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """A frame, and the mask there of the object that is pointed at."""
        self._require_frame(frame_idx)
        mask_HW = None if obj_id is None else self._object(query, obj_id).found_T[frame_idx][0].decode()
        return self.video.frames([frame_idx])[0], mask_HW

    def _require_frame(self, frame_idx: int) -> None:
        if not 0 <= frame_idx < self.video.num_frames:
            raise ConfigError(f"{self.video.name} has no frame {frame_idx}; it has frames 0 to {self.video.num_frames - 1}")
