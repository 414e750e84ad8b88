"""From a video and queries to masks on every frame: the session that owns the caches.

    video ─ chunks of frames (one thread ahead) ─ image features ─ decode every query's prompt ─ threshold ─ RLE ─ FrameResult
          └ reference frames ─ masks ─ tracker ─────────────────────────────────────────────────────────── RLE ─┘

Memory does not grow with the length of the video, except for the RLEs that `segment` collects: a chunk is decoded, used and dropped;
features are kept for the next call only as far as the byte budget reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from saymask.errors import ConfigError
from saymask.models.base import Answer, Segmenter
from saymask.records import FrameResult, Masklet, Prediction, QueryResult, Rle, Video
from saymask.runtime import Runtime
from saymask.session.asking import AskedVideo
from saymask.session.call import Call, FrameMasklets
from saymask.session.collected import Collected
from saymask.session.live import ASK_EVERY, LiveSession
from saymask.session.view import BUDGET_BYTES
from saymask.storage.feature_cache import chunks
from saymask.trackers.base import Tracker
from saymask.trackers.propagation import ObjectTrack
from saymask.trackers.references import MIN_STABILITY

Progress = Callable[[int, int], None]


class VideoSession(AskedVideo):
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
        every: the model's masks on every N-th frame, also where they are empty, and a tracker (xmem++ unless another is given) between
            them; None = the model's own choice of frames.

    Raises:
        ConfigError: `every` of a model that does not segment every frame itself.
    """

    def __init__(
        self,
        video: Video,
        segmenter: Segmenter,
        tracker: Tracker | None = None,
        budget_bytes: int = BUDGET_BYTES,
        min_stability: float = MIN_STABILITY,
        runtime: Runtime | None = None,
        every: int | None = None,
    ):
        super().__init__(video, segmenter, tracker, budget_bytes, min_stability, runtime, every)
        self._last: Call | None = None
        self._masklets: list[list[Masklet]] = []
        self._answers: tuple[Answer, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the decode thread and drop the caches; a closed session cannot be asked again, and work under way ends with an error."""
        super().close()
        self._last = None
        self._masklets = []
        self._answers = ()

    # -- asking -------------------------------------------------------------------------------------------------------------------

    def segment(
        self,
        queries: str | Sequence[str],
        progress: Progress | None = None,
        causal: bool = False,
        ask_every: float | None = ASK_EVERY,
        each: Callable[[FrameResult, Sequence[QueryResult]], None] | None = None,
        **options: Any,
    ) -> Prediction:
        """Masks on every frame for one query or several.

        Args:
            queries: what to find; several are served by one pass over the video.
            progress: called with (frames done, frames in all) after every frame.
            causal, ask_every: as for `stream`; what was found so cannot be refined.
            each: called with every frame's result when it is found, and with what was asked and answered, without masks; not if causal,
                where objects come and go.
            options: of the model's family, e.g. `answer="generate"` to let the model write its answer: an object for each that it names,
                perhaps none; or `template="raw"` to pass a query unchanged.

        Raises:
            ConfigError: no query, an empty or a too long one, an unknown option, a closed session or one that is in use.
            VideoError: the video cannot be decoded.
        """
        if causal:
            return self._segment_causally(queries, progress, ask_every, options)
        collected, asked = FrameMasklets(), ()
        for done, result in enumerate(self.stream(queries, **options), start=1):
            collected.add(result)
            if each:
                each(result, asked := asked or self._asked())
            if progress:
                progress(done, self.video.num_frames)
        return self.predicted(collected)

    def _asked(self) -> tuple[QueryResult, ...]:
        """The last call's queries, texts and objects; no object has a mask yet."""
        assert self._last is not None
        unseen = self._last.masklets([{} for _ in self._last.objects])
        answered = zip(self._last.queries, self._last.answers, unseen, strict=True)
        return tuple(QueryResult(query, answer.text, tuple(masklets)) for query, answer, masklets in answered)

    def predicted(self, collected: FrameMasklets) -> Prediction:
        """What `stream` has given as a prediction, which can be refined from now on.

        Args:
            collected: all its frames.
        """
        assert self._last is not None
        self._masklets = self._last.masklets(collected.found)
        return self._prediction(self._last)

    def stream(
        self, queries: str | Sequence[str], causal: bool = False, ask_every: float | None = ASK_EVERY, **options: Any
    ) -> Iterator[FrameResult]:
        """The same frame by frame, as they are found: each frame once, in order unless a tracker walks in another.

        While it runs, the session cannot be asked anything else; `close` of the iterator ends it. Nothing is collected, so memory stays
        flat; `answers` has the texts and notes. Errors as for `segment`.

        Args:
            causal: use of each frame only what came before it, as a `LiveSession` does to which the frames are pushed one by one.
            ask_every: if causal: seconds of the video from one answer to the next; None = every query is asked once.
        """
        if causal:
            return self._stream_causally(queries, ask_every, options)
        return self._stream(queries, options)

    def _stream(self, queries: str | Sequence[str], options: dict[str, Any]) -> Iterator[FrameResult]:
        with self.guard.hold():
            call = self.ask(queries, options)
            self._answers = tuple(call.answers)
            self._last, self._masklets = call, []
            queries_N = tuple(call.queries[query] for query, _ in call.objects)
            obj_ids = tuple(number for _, number in call.objects)
            for frame_idx, of_frame in self.walk(call):
                scores_N = np.array([score for _, score in of_frame], dtype=np.float32)
                yield FrameResult(frame_idx, queries_N, obj_ids, tuple(rle for rle, _ in of_frame), scores_N)

    def _segment_causally(
        self, queries: str | Sequence[str], progress: Progress | None, ask_every: float | None, options: dict[str, Any]
    ) -> Prediction:
        with self.guard.hold(), self.live(ask_every) as live:
            collected = Collected(live)
            for done, result in enumerate(self._pushed(live, queries, options), start=1):
                collected.add(result)
                if progress:
                    progress(done, self.video.num_frames)
            return collected.prediction(self.video)

    def _stream_causally(self, queries: str | Sequence[str], ask_every: float | None, options: dict[str, Any]) -> Iterator[FrameResult]:
        with self.guard.hold(), self.live(ask_every) as live:
            yield from self._pushed(live, queries, options)

    def _pushed(self, live: LiveSession, queries: str | Sequence[str], options: dict[str, Any]) -> Iterator[FrameResult]:
        """Every frame of the video through a live session."""
        self._last, self._masklets = None, []
        live.add_queries([queries] if isinstance(queries, str) else list(queries), **options)
        for chunk in chunks(range(self.video.num_frames), self._chunk_frames):
            for frame_idx, frame_HWC in zip(chunk, self.frames(chunk), strict=True):
                self.guard.require_open()
                result = live.push(frame_HWC, float(self.video.timestamps_T[frame_idx]))
                self._answers = tuple(live.answers.values())
                yield result

    def live(self, ask_every: float | None = ASK_EVERY) -> LiveSession:
        """A live session for the frames of this video, with the same model and tracker.

        Raises:
            ConfigError: a session with `every`, which looks ahead.
        """
        if self.every is not None:
            raise ConfigError(f"every = {self.every} looks ahead to the next frame that the model segments; leave out causal, or every")
        video = self.video
        return LiveSession(
            (video.height, video.width),
            video.fps,
            self.segmenter,
            self.tracker,
            ask_every=ask_every,
            name=video.name,
            tags=video.tags,
            budget_bytes=self.budget_bytes,
        )

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What the model said to each query of the last call.

        Raises:
            ConfigError: nothing was asked yet.
        """
        if not self._answers:
            raise ConfigError("nothing was asked yet; call segment or stream first")
        return self._answers

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
        with self.guard.hold():
            if self.refiner is None:
                raise ConfigError("refine needs a tracker; open the video with one, e.g. open_video(path, tracker='xmem++')")
            if self._last is None or not self._masklets:
                raise ConfigError("nothing to refine yet; call segment first")
            call, place = self._last, self._last.place(query)
            if not 1 <= obj_id <= len(call.tracks[place]):
                raise ConfigError(f"object {obj_id} does not exist; the query has {len(call.tracks[place])}, numbered from 1")
            if self.tracker is None and not any(track.references for tracks in call.tracks for track in tracks):
                self.find_references(call)  # until now the family's own tracks were shown
            old = call.tracks[place][obj_id - 1]
            mask = torch.from_numpy(np.ascontiguousarray(mask_HW, dtype=bool))
            dropped = {i: reason for i, reason in old.dropped.items() if i != frame_idx}
            refined = ObjectTrack({**old.references, frame_idx: mask}, dropped)
            found: dict[int, tuple[Rle, float]] = {}
            for done, (index, of_frame) in enumerate(self.tracked([[refined]]), start=1):
                found[index] = of_frame[0]
                if progress:
                    progress(done, self.video.num_frames)
            call.tracks[place][obj_id - 1] = refined
            self._masklets[place][obj_id - 1] = call.masklet(place, obj_id, found)
            return self._prediction(call)

    def _prediction(self, call: Call) -> Prediction:
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

    def _tracking_remarks(self, tracks: Sequence[ObjectTrack]) -> Iterator[str]:
        """What did not go as the user may think: references that were dropped, objects that could not be tracked."""
        for obj_id, track in enumerate(tracks, start=1):
            of_object = f" of object {obj_id}" if len(tracks) > 1 else ""
            for frame_idx, reason in sorted(track.dropped.items()):
                yield f"frame {frame_idx} is no reference{of_object}: {reason}"
            if not track.references:
                shown = (
                    "it has no mask on any frame"
                    if self.segmenter.family.default_tracker or self.every
                    else "the model's own masks are shown"
                )
                yield f"no reference{of_object} is left; {shown}"
