"""From a video and queries to masks on every frame: the session that owns the caches, and the two calls most users need.

    video ─ chunks of frames (one thread ahead) ─ image features ─ decode every query's prompt ─ threshold ─ RLE ─ Prediction

Memory does not grow with the length of the video, except for the RLEs: a chunk is decoded, used and dropped; features are kept
for the next call only as far as the byte budget reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.base import Answer, Made, MaskLogits, Recallable, Segmenter
from saymask.models.checkpoints import load_model
from saymask.records import Prediction, QueryResult, Video, check_queries
from saymask.runtime import Runtime
from saymask.storage.feature_cache import FeatureCache
from saymask.trackers.base import Tracker
from saymask.trackers.loading import load_tracker
from saymask.trackers.propagation import ObjectTrack, propagate_groups, with_same_references
from saymask.trackers.references import MIN_STABILITY, flaw
from saymask.video.limits import ReadLimits
from saymask.video.reader import open_source

if TYPE_CHECKING:
    from concurrent.futures import Future

CHUNK_FRAMES = 8
CHUNKS_AHEAD = 2
BUDGET_BYTES = 512 * 2**20
Progress = Callable[[int, int], None]


@dataclass
class Asked:
    """The last call of a session: what was asked, what the model said, and every object's masks, per query."""

    queries: tuple[str, ...]
    answer: str
    replies: list[Answer]
    tracks: list[list[ObjectTrack]]

    def of_query(self, query: str | None) -> list[ObjectTrack]:
        """The objects of one query.

        Raises:
            ConfigError: it was not asked, or is left out although there were several.
        """
        if query is None and len(self.queries) == 1:
            return self.tracks[0]
        if query not in self.queries:
            raise ConfigError(f"query {query!r} was not asked; name one of: {', '.join(map(repr, self.queries))}")
        return self.tracks[self.queries.index(query)]


class VideoSession:
    """One opened video and one model: encode once, ask many. Implements `VideoView`.

    Args:
        video: from `open_source` or `Video.from_frames`.
        segmenter: from `load_model`.
        tracker: from `load_tracker`; it replaces the model's masks by its own, tracked from the frames the model is surest of
            (VideoLISA's post-optimisation). None: the model's own masks on every frame.
        budget_bytes: how much memory cached image features, the video as the language model has read it, and copies of that for several
            queries at a time may each take, and what the tracker keeps; 0 keeps nothing and asks one query at a time.
        min_stability: a mask whose stability (0 ... 1, see `trackers.references`) is lower is not tracked from.
    """

    def __init__(
        self,
        video: Video,
        segmenter: Segmenter,
        tracker: Tracker | None = None,
        budget_bytes: int = BUDGET_BYTES,
        min_stability: float = MIN_STABILITY,
    ):
        self.video = video
        self.segmenter = segmenter
        self.tracker = tracker
        self.budget_bytes = budget_bytes
        self.min_stability = min_stability
        self._asked: Asked | None = None
        self._features = FeatureCache(budget_bytes)
        self._tokens: dict[int, Tensor] = {}
        self._recalled: dict[Hashable, Recallable] = {}
        self._decode_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saymask-decode")
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the decode thread and drop the caches; a closed session cannot be asked again."""
        self._closed = True
        self._decode_thread.shutdown(wait=True, cancel_futures=True)
        self._features.clear()
        self._tokens.clear()
        self._recalled.clear()
        self._asked = None
        self.__dict__.pop("_tracker_features", None)

    # -- VideoView ----------------------------------------------------------------------------------------------------------------

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC, decoded afresh."""
        return self.video.frames(frame_idx)

    def vision_tokens(self, frame_idx: Sequence[int]) -> Tensor:
        """tokens_TPE of the vision tower; each distinct frame is decoded and encoded once per session, a chunk at a time."""
        missing = sorted(set(frame_idx) - self._tokens.keys())
        for start in range(0, len(missing), CHUNK_FRAMES):
            chunk = missing[start : start + CHUNK_FRAMES]
            self._tokens.update(zip(chunk, self.segmenter.encode_vision(self.frames(chunk)), strict=True))
        return torch.stack([self._tokens[i] for i in frame_idx])

    def image_features(self, frame_idx: Sequence[int]) -> Tensor:
        """features_TChw of the mask encoder, from the cache where it has them."""
        missing = [i for i in frame_idx if i not in self._features]
        return self._with_cached(frame_idx, missing, self.frames(missing) if missing else None)

    def recall(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What a family made of this video before, or makes now; the latest is kept if it fits in the budget."""
        if key in self._recalled:
            return cast(Made, self._recalled[key])
        self._recalled.clear()
        made = make()
        if made.nbytes <= self.budget_bytes:
            self._recalled[key] = made
        return made

    def _with_cached(self, frame_idx: Sequence[int], missing: Sequence[int], frames_THWC: np.ndarray | None) -> Tensor:
        """Encode the missing frames, offer them to the cache, and put all of them in the order asked for."""
        fresh: dict[int, Tensor] = {}
        if frames_THWC is not None:
            fresh = dict(zip(missing, self.segmenter.encode_image(frames_THWC), strict=True))
            for index, features in fresh.items():
                self._features.offer(index, features)
        return torch.stack([fresh[i] if i in fresh else self._features.get(i) for i in frame_idx])

    # -- asking -------------------------------------------------------------------------------------------------------------------

    def segment(
        self, queries: str | Sequence[str], template: str = "auto", answer: str = "forced", progress: Progress | None = None
    ) -> Prediction:
        """Masks on every frame for one query or several.

        Args:
            queries: what to find; several are served by one pass over the video.
            template: "auto" words the request, "raw" passes the text to the model unchanged.
            answer: "forced" always segments; "generate" lets the model write its answer: an object for each [SEG] in it, perhaps none.
            progress: called with (frames done, frames in all) after every chunk.

        Raises:
            ConfigError: no query, an empty or a too long one, an unknown template or answer mode, a closed session.
            VideoError: the video cannot be decoded.
        """
        queries = [queries] if isinstance(queries, str) else list(queries)
        check_queries(queries)
        if self._closed:
            raise ConfigError(f"the session of {self.video.name} is closed; open the video again")
        replies = self.segmenter.reason(self, queries, template, answer)
        tracks = [[ObjectTrack() for _ in reply.prompts_NKC] for reply in replies]
        if self.tracker is None:
            self._decode_own(replies, [track for of_reply in tracks for track in of_reply], progress)
        else:
            self._track(self.tracker, replies, tracks, progress)
        self._asked = Asked(tuple(queries), answer, replies, tracks)
        return self._prediction(self._asked)

    def refine(
        self, frame_idx: int, mask_HW: np.ndarray, query: str | None = None, obj_id: int = 1, progress: Progress | None = None
    ) -> Prediction:
        """Add the true mask of one frame to what an object is tracked from, and track it again; frame features are used again.

        Args:
            frame_idx: which frame; a reference that is there already is replaced.
            mask_HW: the object's mask, bool at the video's size; all False where it is not in the picture.
            query: which of the queries asked last; may be left out if there was one.
            obj_id: which of the query's objects.
            progress: as for `segment`.

        Returns:
            The whole prediction of the last `segment`, with this object's new masks.

        Raises:
            ConfigError: the session has no tracker or has not been asked, or there is no such query, object or frame.
        """
        if self.tracker is None:
            raise ConfigError("refine needs a tracker; open the video with one, e.g. open_video(path, tracker='xmem++')")
        if self._asked is None:
            raise ConfigError("nothing to refine yet; call segment first")
        tracks = self._asked.of_query(query)
        if not 1 <= obj_id <= len(tracks):
            raise ConfigError(f"object {obj_id} does not exist; the query has {len(tracks)}, numbered from 1")
        old = tracks[obj_id - 1]
        mask = torch.from_numpy(np.ascontiguousarray(mask_HW, dtype=bool))
        dropped = {i: reason for i, reason in old.dropped.items() if i != frame_idx}
        refined = ObjectTrack({**old.references, frame_idx: mask}, dropped)
        propagate_groups(self.tracker, self.video, [[refined]], self._tracker_features, progress)
        tracks[obj_id - 1] = refined
        return self._prediction(self._asked)

    def _prediction(self, asked: Asked) -> Prediction:
        """What was asked, with the masks found for it."""
        results = []
        for query, reply, tracks in zip(asked.queries, asked.replies, asked.tracks, strict=True):
            notes = {"model": self.segmenter.name, "answer": asked.answer, "reference_frames": list(reply.reference_frames), **reply.notes}
            if self.tracker:
                notes |= {"tracker": self.tracker.name, "reference_frames": sorted({i for track in tracks for i in track.references})}
                notes |= {"tracking": list(_tracking_remarks(tracks))}
            masklets = tuple(track.masklet(obj_id) for obj_id, track in enumerate(tracks, start=1))
            results.append(QueryResult(query, reply.text, masklets, notes))
        return Prediction(self.video, tuple(results))

    def _track(self, tracker: Tracker, answers: Sequence[Answer], tracks: Sequence[list[ObjectTrack]], progress: Progress | None) -> None:
        """Masks of all frames by tracking from the frames each answer trusts; objects without such a frame keep the model's own."""
        self._find_references(answers, tracks)
        groups = [group for of_answer in tracks for group in with_same_references(of_answer)]
        propagate_groups(tracker, self.video, groups, self._tracker_features, progress)
        untracked = [[n for n, track in enumerate(of_answer) if not track.references] for of_answer in tracks]
        own = [answer.of_objects(rows) for answer, rows in zip(answers, untracked, strict=True) if rows]
        self._decode_own(own, [of_answer[n] for of_answer, rows in zip(tracks, untracked, strict=True) for n in rows], progress)

    def _find_references(self, answers: Sequence[Answer], tracks: Sequence[list[ObjectTrack]]) -> None:
        """Enter the model's masks of each answer's reference frames as references, or the reason why one is none."""
        trusted = [(answer.reference_frames, track) for answer, of_answer in zip(answers, tracks, strict=True) for track in of_answer]
        wanted = sorted({i for reference_frames, _ in trusted for i in reference_frames})
        for start in range(0, len(wanted), CHUNK_FRAMES):
            chunk = wanted[start : start + CHUNK_FRAMES]
            logits = self.segmenter.decode(self.image_features(chunk), chunk, self.video, answers)
            for row, frame_idx in enumerate(chunk):
                for (reference_frames, track), logits_HW in zip(trusted, logits.full_size(row), strict=True):
                    if frame_idx not in reference_frames:
                        continue
                    if reason := flaw(logits_HW, self.min_stability):
                        track.dropped[frame_idx] = reason
                    else:
                        track.references[frame_idx] = logits_HW > 0

    def _decode_own(self, answers: Sequence[Answer], tracks: Sequence[ObjectTrack], progress: Progress | None) -> None:
        """The model's own masks on all frames for all objects of these answers."""
        if not tracks:
            return
        for frame_idx, features_TChw in self._feature_chunks():
            logits = self.segmenter.decode(features_TChw, frame_idx, self.video, answers)
            for row, i in enumerate(frame_idx):
                for track, (mask_HW, score) in zip(tracks, _threshold(logits, row), strict=True):
                    track.add(i, mask_HW, score)
            if progress:
                progress(frame_idx.stop, self.video.num_frames)

    @cached_property
    def _tracker_features(self) -> Any:
        """What the tracker keeps of this video's frames."""
        return self.tracker.features(self.video, self.budget_bytes) if self.tracker else None

    def _feature_chunks(self) -> Iterator[tuple[range, Tensor]]:
        """Features of the whole video in order, the decode thread at most CHUNKS_AHEAD chunks in front."""
        chunks = [range(i, min(i + CHUNK_FRAMES, self.video.num_frames)) for i in range(0, self.video.num_frames, CHUNK_FRAMES)]
        pending: list[tuple[list[int], Future[np.ndarray] | None]] = []
        try:
            for position, chunk in enumerate(chunks):
                while len(pending) < CHUNKS_AHEAD + 1 and position + len(pending) < len(chunks):
                    missing = [i for i in chunks[position + len(pending)] if i not in self._features]
                    pending.append((missing, self._decode_thread.submit(self.frames, missing) if missing else None))
                missing, future = pending.pop(0)
                yield chunk, self._with_cached(chunk, missing, future.result() if future else None)
        finally:
            for _, future in pending:
                if future:
                    future.cancel()


def _threshold(logits: MaskLogits, row: int) -> Iterator[tuple[Tensor, float]]:
    """Each object's mask and score on one frame; the score is the mean probability of the predicted pixels, 0 if there are none."""
    for logits_HW in logits.full_size(row):
        mask_HW = logits_HW > 0
        score = logits_HW[mask_HW].sigmoid().mean().item() if mask_HW.any() else 0.0
        yield mask_HW, score


def _tracking_remarks(tracks: Sequence[ObjectTrack]) -> Iterator[str]:
    """What did not go as the user may think: references that were dropped, objects that could not be tracked."""
    for obj_id, track in enumerate(tracks, start=1):
        of_object = f" of object {obj_id}" if len(tracks) > 1 else ""
        for frame_idx, reason in sorted(track.dropped.items()):
            yield f"frame {frame_idx} is no reference{of_object}: {reason}"
        if not track.references:
            yield f"no reference{of_object} is left; the model's own masks are shown"


def open_video(
    source: str | Path,
    model: str | Path | Segmenter = "toy",
    device: str | None = None,
    dtype: str | None = None,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 (frozen)
    tracker: str | Tracker | None = None,
    tracker_weights: str | Path | None = None,
) -> VideoSession:
    """Open a video file, image or folder of frames for asking.

    Args:
        source: a file or a folder of frames.
        model: a name of `saymask list`, a model folder, or a loaded segmenter.
        device, dtype: as `--device`, `--dtype`; by default the best device present and the checkpoint's dtype.
        limits: refuse longer videos or larger frames.
        tracker: a name of `saymask list`, or a loaded tracker; None leaves the model's own masks.
        tracker_weights: what `load_tracker` takes; None = the tracker's default.

    Raises:
        VideoError, UnknownName, CheckpointError, ConfigError: the source, model, weights or options cannot be used.
    """
    video = open_source(source, limits)
    runtime = Runtime.choose(device, dtype)
    segmenter = load_model(model, runtime) if isinstance(model, str | Path) else model
    return VideoSession(video, segmenter, load_tracker(tracker, runtime, tracker_weights) if isinstance(tracker, str) else tracker)


def segment(source: str | Path, queries: str | Sequence[str], model: str | Path | Segmenter = "toy") -> Prediction:
    """Open, ask, close: masks on every frame for one query or several."""
    with open_video(source, model) as session:
        return session.segment(queries)
