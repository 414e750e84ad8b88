"""A video as a family sees it: frames and what was made of them, all that is kept under one byte budget.

Memory does not grow with the length of the video: a chunk of frames is decoded, one thread ahead, used and dropped; features are kept for
the next call only as far as the budget reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from saymask.models.base import Made, PromptDecoder, Segmenter
from saymask.records import Video
from saymask.session.guard import SingleUse
from saymask.storage.feature_cache import ByteBudget, FeatureCache, RecalledCache, chunks
from saymask.trackers.base import Tracker

CHUNK_FRAMES = 8
CHUNK_BYTES = 64 * 2**20
"""A chunk is at most so many frames and, unless one frame is larger, so many bytes of pixels."""
CHUNKS_AHEAD = 2
BUDGET_BYTES = 512 * 2**20
_IMAGE_FEATURES = "image features"


class CachedVideo:
    """Implements `VideoView`.

    Args:
        video: which is read.
        segmenter: whose image encoder and mask decoder are used, if it has them.
        budget_bytes: see `VideoSession`.
    """

    def __init__(self, video: Video, segmenter: Segmenter, budget_bytes: int):
        self.video = video
        self.segmenter = segmenter
        self.budget_bytes = budget_bytes
        self._budget = ByteBudget(budget_bytes)
        self._of_frames: dict[Hashable, FeatureCache] = {}
        self._recalled = RecalledCache(self._budget)
        frame_bytes = video.height * video.width * 3
        self._chunk_frames = max(1, min(CHUNK_FRAMES, CHUNK_BYTES // frame_bytes))
        self._chunks_ahead = min(CHUNKS_AHEAD, CHUNKS_AHEAD * CHUNK_BYTES // (self._chunk_frames * frame_bytes))
        self._of_trackers: dict[int, tuple[Tracker, Any]] = {}
        self._decode_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saymask-decode")
        self.guard = SingleUse(video.name)

    def close(self) -> None:
        """Stop the decode thread and drop the caches; work under way ends with an error."""
        self.guard.close()
        self._decode_thread.shutdown(wait=True, cancel_futures=True)
        for cache in (self._recalled, *self._of_frames.values()):
            cache.clear()
        self._of_trackers.clear()

    @property
    def decoder(self) -> PromptDecoder:
        """The model as a mask decoder; asked for only where its family has one."""
        return cast(PromptDecoder, self.segmenter)

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC, decoded afresh."""
        return self.video.frames(frame_idx)

    def image_features(self, frame_idx: Sequence[int]) -> Tensor:
        """features_TChw of the mask encoder, from the cache where it has them."""
        return self.recall_frames(_IMAGE_FEATURES, frame_idx, self.decoder.encode_image)

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

    def feature_chunks(self) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Features of the whole video in order, the decode thread a few chunks in front, as far as their pixels are small enough."""
        cache = self._of_frames.setdefault(_IMAGE_FEATURES, FeatureCache(self._budget))
        todo = [(chunk, [i for i in chunk if i not in cache]) for chunk in chunks(range(self.video.num_frames), self._chunk_frames)]
        ahead: list[Any] = []
        try:
            for position, (chunk, missing) in enumerate(todo):
                self.guard.require_open()
                for _, later in todo[position + len(ahead) : position + 1 + self._chunks_ahead]:
                    ahead.append(self._decode_thread.submit(self.frames, later) if later else None)
                decoded = ahead.pop(0)
                fresh = _encode(cache, missing, decoded.result(), self.decoder.encode_image) if decoded else {}
                decoded = None  # its pixels are not needed while the masks are made
                yield chunk, torch.stack([fresh[i] if i in fresh else cache.get(i)[0] for i in chunk])
        except (CancelledError, RuntimeError):
            self.guard.require_open()  # another thread has closed the session
            raise
        finally:
            for future in ahead:
                if future:
                    future.cancel()


def _encode(
    cache: FeatureCache, missing: Sequence[int], frames_THWC: np.ndarray, encode: Callable[[np.ndarray], Tensor]
) -> dict[int, Tensor]:
    """Encode frames, offer them to the cache, and give them by index."""
    fresh = dict(zip(missing, encode(frames_THWC), strict=True))
    for index, features in fresh.items():
        cache.offer(index, features)
    return fresh
