"""From a video and queries to masks on every frame: the session that owns the caches.

    video ─ chunks of frames (one thread ahead) ─ image features ─ decode every query's prompt ─ threshold ─ RLE ─ FrameResult
          └ reference frames ─ masks ─ tracker ─────────────────────────────────────────────────────────── RLE ─┘

Memory does not grow with the length of the video, except for the RLEs that `segment` collects: a chunk is decoded, used and dropped;
features are kept for the next call only as far as the byte budget reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.base import Answer, Made, PromptDecoder, Segmenter
from saymask.models.run_lengths import Found, encode_masks, threshold
from saymask.records import FrameResult, Masklet, Prediction, QueryResult, Rle, Video, check_queries
from saymask.runtime import Runtime
from saymask.storage.feature_cache import ByteBudget, FeatureCache, RecalledCache, chunks
from saymask.trackers.base import Tracker
from saymask.trackers.loading import load_tracker
from saymask.trackers.propagation import ObjectTrack, propagate_group, with_same_references
from saymask.trackers.references import MIN_STABILITY, flaw

CHUNK_FRAMES = 8
CHUNK_BYTES = 64 * 2**20
"""A chunk is at most so many frames and, unless one frame is larger, so many bytes of pixels."""
CHUNKS_AHEAD = 2
BUDGET_BYTES = 512 * 2**20
Progress = Callable[[int, int], None]


class VideoSession:
    """One opened video and one model: encode once, ask many. Implements `VideoView`. Used by one thread at a time.

    Args:
        video: from `open_source` or `Video.from_frames`.
        segmenter: from `load_model`.
        tracker: from `load_tracker`; it replaces the model's masks by its own, tracked from the frames the model is surest of
            (post-optimisation, arXiv 2409.19603). None: the model's own masks on every frame, or, of a family that does not segment every
            frame itself, its default tracker on `runtime`.
        budget_bytes: how much memory may be taken by what is kept of the video for later queries, as much again by copies for several
            queries at a time and by what the tracker keeps; 0 keeps nothing and asks one query at a time.
        min_stability: a mask whose stability (0 ... 1, see `trackers.references`) is lower is not tracked from, if there is another.
        runtime: where a default tracker computes; None = the best device present.
    """

    def __init__(
        self,
        video: Video,
        segmenter: Segmenter,
        tracker: Tracker | None = None,
        budget_bytes: int = BUDGET_BYTES,
        min_stability: float = MIN_STABILITY,
        runtime: Runtime | None = None,
    ):
        self.video = video
        self.segmenter = segmenter
        default = segmenter.family.default_tracker
        self.tracker = load_tracker(default, runtime) if tracker is None and default else tracker
        self.budget_bytes = budget_bytes
        self.min_stability = min_stability
        self._budget = ByteBudget(budget_bytes)
        self._of_frames: dict[Hashable, FeatureCache] = {}
        self._recalled = RecalledCache(self._budget)
        frame_bytes = video.height * video.width * 3
        self._chunk_frames = max(1, min(CHUNK_FRAMES, CHUNK_BYTES // frame_bytes))
        self._chunks_ahead = min(CHUNKS_AHEAD, CHUNKS_AHEAD * CHUNK_BYTES // (self._chunk_frames * frame_bytes))
        self._of_trackers: dict[int, tuple[Tracker, Any]] = {}
        self._decode_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saymask-decode")
        self._in_use = Lock()
        self._closed = False
        self._last: _Call | None = None
        self._masklets: list[list[Masklet]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the decode thread and drop the caches; a closed session cannot be asked again, and work under way ends with an error."""
        self._closed = True
        self._decode_thread.shutdown(wait=True, cancel_futures=True)
        for cache in (self._recalled, *self._of_frames.values()):
            cache.clear()
        self._last = None
        self._masklets = []
        self._of_trackers.clear()

    # -- VideoView ----------------------------------------------------------------------------------------------------------------

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC, decoded afresh."""
        return self.video.frames(frame_idx)

    def image_features(self, frame_idx: Sequence[int]) -> Tensor:
        """features_TChw of the mask encoder, from the cache where it has them."""
        return self.recall_frames(_IMAGE_FEATURES, frame_idx, self._decoder.encode_image)

    def recall_frames(self, key: Hashable, frame_idx: Sequence[int], encode: Callable[[np.ndarray], Tensor]) -> Tensor:
        """What `encode` makes of each frame; frames that are not kept are decoded and encoded a chunk at a time."""
        cache = self._of_frames.setdefault(key, FeatureCache(self._budget))
        fresh: dict[int, Tensor] = {}
        for missing in chunks(sorted({i for i in frame_idx if i not in cache}), self._chunk_frames):
            fresh.update(_encode(cache, missing, self.frames(missing), encode))
        return torch.stack([fresh[i] if i in fresh else cache.get(i)[0] for i in frame_idx])

    def recall(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What a family made of this video before, or makes now; what was asked for longest ago makes room in the budget."""
        return cast(Made, self._recalled.recall(key, make))

    def tracker_features(self, tracker: Tracker) -> Any:
        """What a tracker keeps of this video's frames from one propagation to the next."""
        if id(tracker) not in self._of_trackers:
            self._of_trackers[id(tracker)] = (tracker, tracker.features(self.video, self.budget_bytes))
        return self._of_trackers[id(tracker)][1]

    # -- asking -------------------------------------------------------------------------------------------------------------------

    def segment(self, queries: str | Sequence[str], progress: Progress | None = None, **options: Any) -> Prediction:
        """Masks on every frame for one query or several.

        Args:
            queries: what to find; several are served by one pass over the video.
            progress: called with (frames done, frames in all) after every frame.
            options: of the model's family, e.g. `answer="generate"` to let the model write its answer: an object for each that it names,
                perhaps none; or `template="raw"` to pass a query unchanged.

        Raises:
            ConfigError: no query, an empty or a too long one, an unknown option, a closed session or one that is in use.
            VideoError: the video cannot be decoded.
        """
        found: list[dict[int, tuple[Rle, float]]] = []
        with self._exclusively():
            call = self._ask(queries, options)
            found.extend({} for _ in call.objects)
            for done, (frame_idx, of_frame) in enumerate(self._walk(call), start=1):
                for of_object, mask_and_score in zip(found, of_frame, strict=True):
                    of_object[frame_idx] = mask_and_score
                if progress:
                    progress(done, self.video.num_frames)
            self._last, self._masklets = call, call.masklets(found)
            return self._prediction(call)

    def stream(self, queries: str | Sequence[str], **options: Any) -> Iterator[FrameResult]:
        """The same frame by frame, as they are found: each frame once, in order unless a tracker walks in another.

        While it runs, the session cannot be asked anything else; `close` of the iterator ends it. Nothing is collected, so memory stays
        flat; `answers` has the texts and notes. Errors as for `segment`.
        """
        with self._exclusively():
            call = self._ask(queries, options)
            self._last, self._masklets = call, []
            queries_N = tuple(call.queries[query] for query, _ in call.objects)
            obj_ids = tuple(number for _, number in call.objects)
            for frame_idx, of_frame in self._walk(call):
                scores_N = np.array([score for _, score in of_frame], dtype=np.float32)
                yield FrameResult(frame_idx, queries_N, obj_ids, tuple(rle for rle, _ in of_frame), scores_N)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What the model said to each query of the last call.

        Raises:
            ConfigError: nothing was asked yet.
        """
        if self._last is None:
            raise ConfigError("nothing was asked yet; call segment or stream first")
        return tuple(self._last.answers)

    def refine(
        self, frame_idx: int, mask_HW: np.ndarray, query: str | None = None, obj_id: int = 1, progress: Progress | None = None
    ) -> Prediction:
        """Add the true mask of one frame to what an object is tracked from, and track it again; frame features are used again.

        Args:
            frame_idx: which frame; a reference that is there already is replaced.
            mask_HW: the object's mask, bool at the video's size; all False where it is not in the image.
            query: which of the queries asked last; may be left out if there was one.
            obj_id: which of the query's objects.
            progress: as for `segment`.

        Returns:
            The whole prediction of the last `segment`, with this object's new masks.

        Raises:
            ConfigError: the session is closed or in use, has no tracker or was not asked by `segment`, or there is no such query, object or
                frame.
        """
        with self._exclusively():
            if self._refiner is None:
                raise ConfigError("refine needs a tracker; open the video with one, e.g. open_video(path, tracker='xmem++')")
            if self._last is None or not self._masklets:
                raise ConfigError("nothing to refine yet; call segment first")
            call, place = self._last, self._last.place(query)
            if not 1 <= obj_id <= len(call.tracks[place]):
                raise ConfigError(f"object {obj_id} does not exist; the query has {len(call.tracks[place])}, numbered from 1")
            if self.tracker is None and not any(track.references for tracks in call.tracks for track in tracks):
                self._find_references(call)  # until now the family's own tracks were shown
            old = call.tracks[place][obj_id - 1]
            mask = torch.from_numpy(np.ascontiguousarray(mask_HW, dtype=bool))
            dropped = {i: reason for i, reason in old.dropped.items() if i != frame_idx}
            refined = ObjectTrack({**old.references, frame_idx: mask}, dropped)
            found: dict[int, tuple[Rle, float]] = {}
            for done, (index, of_frame) in enumerate(self._tracked([[refined]]), start=1):
                found[index] = of_frame[0]
                if progress:
                    progress(done, self.video.num_frames)
            call.tracks[place][obj_id - 1] = refined
            self._masklets[place][obj_id - 1] = call.masklet(place, obj_id, found)
            return self._prediction(call)

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Hold the session for one call.

        Raises:
            ConfigError: it is closed, or another call is under way.
        """
        self._require_open()
        if not self._in_use.acquire(blocking=False):
            raise ConfigError(
                f"the session of {self.video.name} is in use by another call (a thread, or a stream that has not ended); "
                "open a session for each thread, or end the stream"
            )
        try:
            yield
        finally:
            self._in_use.release()

    def _require_open(self) -> None:
        if self._closed:
            raise ConfigError(f"the session of {self.video.name} is closed; open the video again")

    def _ask(self, queries: str | Sequence[str], options: dict[str, Any]) -> _Call:
        """Check everything, and let the model answer."""
        queries = [queries] if isinstance(queries, str) else list(queries)
        check_queries(queries)
        parsed = self.segmenter.family.load("options").parse(options, f"options of {self.segmenter.name}")
        answers = [self._of_presence(answer, parsed.min_presence) for answer in self.segmenter.reason(self, queries, parsed)]
        return _Call(tuple(queries), parsed.answer, answers, [[ObjectTrack() for _ in answer.objects] for answer in answers])

    def _of_presence(self, answer: Answer, least: float) -> Answer:
        """The answer without the objects that the model is less sure of than asked for.

        Raises:
            ConfigError: the model does not say how sure it is.
        """
        if not least:
            return answer
        if any(obj.presence is None for obj in answer.objects):
            raise ConfigError(f"min_presence = {least}: model {self.segmenter.name!r} does not say how sure it is; leave it out")
        kept = tuple(obj for obj in answer.objects if obj.presence is not None and obj.presence >= least)
        left_out = [{"phrase": obj.phrase, "presence": obj.presence} for obj in answer.objects if (obj.presence or 0) < least]
        return replace(answer, objects=kept, notes={**answer.notes, "below_min_presence": left_out})

    def _prediction(self, call: _Call) -> Prediction:
        """What was asked, with the masks found for it."""
        results = []
        for query, answer, tracks, masklets in zip(call.queries, call.answers, call.tracks, self._masklets, strict=True):
            trusted = {i for obj in answer.objects for i in (*obj.reference_frames, *obj.reference_masks)}
            notes = {"model": self.segmenter.name, "answer": call.answer_mode, "reference_frames": sorted(trusted), **answer.notes}
            if self.tracker:
                notes |= {"tracker": self.tracker.name, "reference_frames": sorted({i for track in tracks for i in track.references})}
                notes |= {"tracking": list(self._tracking_remarks(tracks))}
            results.append(QueryResult(query, answer.text, tuple(masklets), notes, answer.files))
        return Prediction(self.video, tuple(results))

    # -- masks on every frame -----------------------------------------------------------------------------------------------------

    def _walk(self, call: _Call) -> Iterator[tuple[int, Found]]:
        """Masks of all objects, each frame once."""
        if self.tracker is None:
            parts = self._own(call, range(len(call.objects)))
            yield from self._merged(parts, len(call.objects)) if parts else self._empty(0)
            return
        self._find_references(call)
        tracks = [track for of_answer in call.tracks for track in of_answer]
        tracked = [n for n, track in enumerate(tracks) if track.references]
        own = [n for n, track in enumerate(tracks) if not track.references]
        parts = [(tracked, self._tracked(call.tracks))] if tracked else []
        if own and self.segmenter.family.default_tracker:
            parts.append((own, self._empty(len(own))))
        else:
            parts += self._own(call, own)
        yield from self._merged(parts, len(tracks)) if parts else self._empty(0)

    def _own(self, call: _Call, places: Sequence[int]) -> list[tuple[Sequence[int], Iterator[tuple[int, Found]]]]:
        """Walks over the model's own masks of these of the call's objects: those it has tracked itself, and those to be decoded."""
        objects = [obj for answer in call.answers for obj in answer.objects]
        given = [place for place in places if objects[place].track_T]
        decoded = [place for place in places if not objects[place].track_T]
        parts: list[tuple[Sequence[int], Iterator[tuple[int, Found]]]] = []
        if given:
            tracks = [objects[place].track_T for place in given]
            parts.append((given, ((t, [track_T[t] for track_T in tracks]) for t in range(self.video.num_frames))))
        if decoded:
            parts.append((decoded, self._decoded(call.only(decoded), len(decoded))))
        return parts

    def _merged(self, parts: Sequence[tuple[Sequence[int], Iterator[tuple[int, Found]]]], num_objects: int) -> Iterator[tuple[int, Found]]:
        """Several walks over different objects as one: a frame is given when all of them have found it."""
        waiting: dict[int, dict[int, tuple[Rle, float]]] = {}
        for steps in zip(*(walk for _, walk in parts), strict=True):
            for (places, _), (frame_idx, of_frame) in zip(parts, steps, strict=True):
                waiting.setdefault(frame_idx, {}).update(zip(places, of_frame, strict=True))
            for frame_idx in [i for i, of_frame in waiting.items() if len(of_frame) == num_objects]:
                of_frame = waiting.pop(frame_idx)
                yield frame_idx, [of_frame[place] for place in range(num_objects)]

    def _tracked(self, of_answers: Sequence[Sequence[ObjectTrack]]) -> Iterator[tuple[int, Found]]:
        """Masks of all frames for the objects with references, in order; objects of different answers are tracked apart, side by side."""
        tracker = self._refiner
        assert tracker is not None
        tracked = [track for tracks in of_answers for track in tracks if track.references]
        place_of = {id(track): place for place, track in enumerate(tracked)}
        parts = []
        for group in (group for tracks in of_answers for group in with_same_references(tracks)):
            frames = propagate_group(tracker, self.video, group, self.tracker_features(tracker))
            walk = ((frame.frame_idx, encode_masks(frame.masks_NHW, frame.scores_N)) for frame in frames)
            parts.append(([place_of[id(track)] for track in group], walk))
        for step in self._merged(parts, len(tracked)):
            self._require_open()
            yield step

    def _find_references(self, call: _Call) -> None:
        """Enter the masks an answer has, or the model's masks of its reference frames, as references; or the reason why one is none."""
        objects = [
            (obj, track)
            for answer, tracks in zip(call.answers, call.tracks, strict=True)
            for obj, track in zip(answer.objects, tracks, strict=True)
        ]
        for obj, track in objects:
            track.references.update({i: torch.from_numpy(np.asarray(mask, dtype=bool)) for i, mask in obj.reference_masks.items()})
        wanted = sorted({i for obj, track in objects for i in obj.reference_frames if i not in track.references})
        for frame_idx in chunks(wanted, self._chunk_frames):
            logits = self._decoder.decode(self.image_features(frame_idx), frame_idx, self.video, call.answers)
            for row, index in enumerate(frame_idx):
                for (obj, track), logits_HW in zip(objects, logits.full_size(row), strict=True):
                    if index not in obj.reference_frames or index in track.references:
                        continue
                    sole = len({*obj.reference_frames, *obj.reference_masks}) == 1
                    if reason := flaw(logits_HW, min_stability=0 if sole else self.min_stability):
                        track.dropped[index] = reason
                    else:
                        track.references[index] = logits_HW > 0

    def _decoded(self, answers: Sequence[Answer], num_objects: int) -> Iterator[tuple[int, Found]]:
        """The model's own masks on all frames for all objects of these answers."""
        if not num_objects:
            yield from self._empty(0)
            return
        for frame_idx, features_TChw in self._feature_chunks():
            found = threshold(self._decoder.decode(features_TChw, frame_idx, self.video, answers))
            yield from zip(frame_idx, found, strict=True)

    def _empty(self, num_objects: int) -> Iterator[tuple[int, Found]]:
        """No pixel of these objects on any frame."""
        nowhere = (Rle.empty(self.video.height, self.video.width), 0.0)
        return ((frame_idx, [nowhere] * num_objects) for frame_idx in range(self.video.num_frames))

    @property
    def _refiner(self) -> Tracker | None:
        """What `refine` tracks with: the session's tracker, or that of a family which tracks for itself."""
        return self.tracker or getattr(self.segmenter, "tracker", None)

    @property
    def _decoder(self) -> PromptDecoder:
        """The model as a mask decoder; asked for only where its family has one."""
        return cast(PromptDecoder, self.segmenter)

    def _feature_chunks(self) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Features of the whole video in order, the decode thread a few chunks in front, as far as their pixels are small enough."""
        cache = self._of_frames.setdefault(_IMAGE_FEATURES, FeatureCache(self._budget))
        todo = [(chunk, [i for i in chunk if i not in cache]) for chunk in chunks(range(self.video.num_frames), self._chunk_frames)]
        ahead: list[Any] = []
        try:
            for position, (chunk, missing) in enumerate(todo):
                self._require_open()
                for _, later in todo[position + len(ahead) : position + 1 + self._chunks_ahead]:
                    ahead.append(self._decode_thread.submit(self.frames, later) if later else None)
                decoded = ahead.pop(0)
                fresh = _encode(cache, missing, decoded.result(), self._decoder.encode_image) if decoded else {}
                decoded = None  # its pixels are not needed while the masks are made
                yield chunk, torch.stack([fresh[i] if i in fresh else cache.get(i)[0] for i in chunk])
        except (CancelledError, RuntimeError):
            self._require_open()  # another thread has closed the session
            raise
        finally:
            for future in ahead:
                if future:
                    future.cancel()

    def _tracking_remarks(self, tracks: Sequence[ObjectTrack]) -> Iterator[str]:
        """What did not go as the user may think: references that were dropped, objects that could not be tracked."""
        for obj_id, track in enumerate(tracks, start=1):
            of_object = f" of object {obj_id}" if len(tracks) > 1 else ""
            for frame_idx, reason in sorted(track.dropped.items()):
                yield f"frame {frame_idx} is no reference{of_object}: {reason}"
            if not track.references:
                shown = "it has no mask on any frame" if self.segmenter.family.default_tracker else "the model's own masks are shown"
                yield f"no reference{of_object} is left; {shown}"


_IMAGE_FEATURES = "image features"


class _Call:
    """One call of a session: what was asked, what the model said, and what every object is tracked from, per query."""

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
        """One object's masks, once every frame has been found."""
        obj = self.answers[query].objects[obj_id - 1]
        rles, scores = zip(*(found[i] for i in range(len(found))), strict=True)
        return Masklet(obj_id, rles, np.array(scores, dtype=np.float32), obj.phrase, obj.presence, obj.frame_presence)

    def masklets(self, found: Sequence[dict[int, tuple[Rle, float]]]) -> list[list[Masklet]]:
        """All objects' masks, per query."""
        grouped: list[list[Masklet]] = [[] for _ in self.queries]
        for (query, obj_id), of_object in zip(self.objects, found, strict=True):
            grouped[query].append(self.masklet(query, obj_id, of_object))
        return grouped


def _encode(
    cache: FeatureCache, missing: Sequence[int], frames_THWC: np.ndarray, encode: Callable[[np.ndarray], Tensor]
) -> dict[int, Tensor]:
    """Encode frames, offer them to the cache, and give them by index."""
    fresh = dict(zip(missing, encode(frames_THWC), strict=True))
    for index, features in fresh.items():
        cache.offer(index, features)
    return fresh
