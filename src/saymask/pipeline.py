"""From a video and queries to masks on every frame: the session that owns the caches, and the two calls most users need.

    video ─ chunks of frames (one thread ahead) ─ image features ─ decode every query's prompt ─ threshold ─ RLE ─ Prediction

Memory does not grow with the length of the video, except for the RLEs: a chunk is decoded, used and dropped; features are kept
for the next call only as far as the byte budget reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.base import Answer, Made, MaskLogits, Recallable, Segmenter
from saymask.models.checkpoints import load_model
from saymask.nn.feature_cache import FeatureCache
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video, check_queries
from saymask.runtime import Runtime
from saymask.video.limits import ReadLimits
from saymask.video.reader import open_source

if TYPE_CHECKING:
    from concurrent.futures import Future

CHUNK_FRAMES = 8
CHUNKS_AHEAD = 2
BUDGET_BYTES = 512 * 2**20
Progress = Callable[[int, int], None]


class VideoSession:
    """One opened video and one model: encode once, ask many. Implements `VideoView`.

    Args:
        video: from `open_source` or `Video.from_frames`.
        segmenter: from `load_model`.
        budget_bytes: how much memory cached image features, the video as the language model has read it, and copies of that for several
            queries at a time may each take; 0 keeps nothing and asks one query at a time.
    """

    def __init__(self, video: Video, segmenter: Segmenter, budget_bytes: int = BUDGET_BYTES):
        self.video = video
        self.segmenter = segmenter
        self.budget_bytes = budget_bytes
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
        rles, scores = self._decode_frames(replies, progress)
        results, first = [], 0
        for query, reply in zip(queries, replies, strict=True):
            objects = range(first, first + len(reply.prompts_NKC))
            first = objects.stop
            masklets = tuple(
                Masklet(obj_id, tuple(rles[n]), np.asarray(scores[n], dtype=np.float32)) for obj_id, n in enumerate(objects, start=1)
            )
            notes = {"model": self.segmenter.name, "answer": answer, "reference_frames": list(reply.reference_frames), **reply.notes}
            results.append(QueryResult(query, reply.text, masklets, notes))
        return Prediction(self.video, tuple(results))

    def _decode_frames(self, answers: Sequence[Answer], progress: Progress | None) -> tuple[list[list[Rle]], list[list[float]]]:
        """Masks and scores of all answers' objects on all frames, per object."""
        num_objects = sum(len(answer.prompts_NKC) for answer in answers)
        rles: list[list[Rle]] = [[] for _ in range(num_objects)]
        scores: list[list[float]] = [[] for _ in range(num_objects)]
        if num_objects == 0:
            return rles, scores
        for frame_idx, features_TChw in self._feature_chunks():
            logits = self.segmenter.decode(features_TChw, self.video, answers)
            for row in range(len(frame_idx)):
                for n, (rle, score) in enumerate(_threshold(logits, row)):
                    rles[n].append(rle)
                    scores[n].append(score)
            if progress:
                progress(frame_idx.stop, self.video.num_frames)
        return rles, scores

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


def _threshold(logits: MaskLogits, row: int) -> Iterator[tuple[Rle, float]]:
    """Each object's mask and score on one frame; the score is the mean probability of the predicted pixels, 0 if there are none."""
    for logits_HW in logits.full_size(row):
        mask_HW = logits_HW > 0
        score = logits_HW[mask_HW].sigmoid().mean().item() if mask_HW.any() else 0.0
        yield Rle.encode(mask_HW.cpu().numpy()), score


def open_video(
    source: str | Path,
    model: str | Path | Segmenter = "toy",
    device: str | None = None,
    dtype: str | None = None,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 (frozen)
) -> VideoSession:
    """Open a video file, image or folder of frames for asking.

    Args:
        source: a file or a folder of frames.
        model: a name of `saymask list`, a model folder, or a loaded segmenter.
        device, dtype: as `--device`, `--dtype`; by default the best device present and the checkpoint's dtype.
        limits: refuse longer videos or larger frames.

    Raises:
        VideoError, UnknownName, CheckpointError, ConfigError: the source, model, weights or options cannot be used.
    """
    video = open_source(source, limits)
    segmenter = load_model(model, Runtime.choose(device, dtype)) if isinstance(model, str | Path) else model
    return VideoSession(video, segmenter)


def segment(source: str | Path, queries: str | Sequence[str], model: str | Path | Segmenter = "toy") -> Prediction:
    """Open, ask, close: masks on every frame for one query or several."""
    with open_video(source, model) as session:
        return session.segment(queries)
