"""Which frames a model sees: pure index functions, with randomness as an argument.

Sparse-dense sampling (VideoLISA, section 3.2) takes S frames spread over the video, which the language model sees as one
pooled token each, and picks D of them to be seen with all their tokens. A dense frame is recorded as a slot of the sparse
list, because a short video repeats frames and the slot, not the frame, decides where its tokens go.

All results are int64 vectors in ascending order: sparse_frame_idx (S,) into the video, dense_slots (D,) into the sparse list.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

_NUM_LOCAL = 3
"""Frames of a training clip that lie close together: the start frame and one neighbour on each side."""
_START_EVERY = 32
"""Frames from one possible start frame of a training clip to the next."""


@dataclass(frozen=True)
class SparseDense:
    """Frames chosen for one clip: `sparse_frame_idx` (S,) in the video, `dense_slots` (D,) in that list."""

    sparse_frame_idx: np.ndarray
    dense_slots: np.ndarray

    @property
    def dense_frame_idx(self) -> np.ndarray:
        """The dense frames as video indices (D,); a video shorter than S frames can repeat one."""
        return self.sparse_frame_idx[self.dense_slots]


ClipSampler = Callable[[int, int, int, np.random.Generator], SparseDense]
"""Chooses the frames of a training clip: (T, S, D, rng) -> S frames of the video and D slots among them."""


def uniform(num_frames: int, num_samples: int) -> np.ndarray:
    """Spread `num_samples` indices evenly over a video.

    A video with more frames than samples is cut into equal intervals and the middle of each is taken. Otherwise every frame
    is repeated equally often and the remainder is spread evenly, so each frame is present.

    Raises:
        ValueError: a video without frames, or a negative number of samples.
    """
    _require_frames(num_frames)
    if num_samples < 0:
        raise ValueError(f"cannot sample {num_samples} frames; ask for 0 or more")
    repeats, remainder = divmod(num_samples, num_frames)
    everything = np.repeat(np.arange(num_frames), repeats)
    return np.sort(np.concatenate([everything, _interval_middles(num_frames, remainder)]))


def sparse_dense(num_frames: int, num_sparse: int, num_dense: int) -> SparseDense:
    """Choose the frames of a whole video at test time; the dense slots depend on S and D alone.

    Raises:
        ValueError: a video without frames, or S and D for which the rule has no answer (it needs 1 <= D < S).
    """
    _require_slots(num_sparse, num_dense)
    # The published rule ends its intervals one short of the last slot: 3, 10, 18, 26 for S=32, D=4.
    return SparseDense(uniform(num_frames, num_sparse), _interval_middles(num_sparse - 1, num_dense))


def jittered(num_frames: int, num_sparse: int, num_dense: int, rng: np.random.Generator) -> SparseDense:
    """Choose training frames: a random frame in each of S equal intervals, D random slots without replacement.

    Raises:
        ValueError: as `sparse_dense`, so that a model is never trained on numbers it cannot be tested with.
    """
    _require_frames(num_frames)
    _require_slots(num_sparse, num_dense)
    positions = (np.arange(num_sparse) + rng.random(num_sparse)) * num_frames / num_sparse
    dense_slots = np.sort(rng.choice(num_sparse, size=num_dense, replace=False))
    # Rounding can lift the last position to num_frames itself.
    return SparseDense(np.minimum(positions.astype(np.int64), num_frames - 1), dense_slots)


def jittered_at_test_slots(num_frames: int, num_sparse: int, num_dense: int, rng: np.random.Generator) -> SparseDense:
    """As `jittered`, but the slots seen with all tokens are those of test time; only the frames that fill them are random."""
    chosen = jittered(num_frames, num_sparse, num_dense, rng)
    return replace(chosen, dense_slots=sparse_dense(num_sparse, num_sparse, num_dense).dense_slots)


def refer_sparse_dense(num_frames: int, num_sparse: int, num_dense: int, rng: np.random.Generator) -> SparseDense:
    """Choose training frames as VideoLISA's authors do: a `refer_clip` around every 32nd frame of the video, and D random slots of it.

    Raises:
        ValueError: as `refer_clip` and `sparse_dense`.
    """
    _require_frames(num_frames)
    _require_slots(num_sparse, num_dense)
    start = int(rng.choice(np.arange(0, num_frames, _START_EVERY)))
    sparse_frame_idx = refer_clip(num_frames, start, num_sparse, random.Random(int(rng.integers(2**63))))
    return SparseDense(sparse_frame_idx, np.sort(rng.choice(num_sparse, size=num_dense, replace=False)))


def refer_clip(num_frames: int, start: int, num_samples: int, rng: random.Random) -> np.ndarray:
    """Choose the frames of a referring-video training clip: three close together, the others from the rest of the video.

    The close ones are `start` and a frame up to three before and after it. The others are drawn without replacement outside
    that span (its last frame included); where it leaves too few, from the whole video; where that is too short, every
    frame is repeated.

    Raises:
        ValueError: `start` is not a frame of the video, or fewer than three frames are asked for.
    """
    _require_frames(num_frames)
    if not 0 <= start < num_frames:
        raise ValueError(f"start frame {start} is outside a video of {num_frames} frames")
    if num_samples < _NUM_LOCAL:
        raise ValueError(f"a training clip has at least {_NUM_LOCAL} frames, asked for {num_samples}")
    first = max(0, start - rng.randint(1, 3))
    last = min(num_frames - 1, start + rng.randint(1, 3))
    outside = [*range(first), *range(last, num_frames)]
    wanted = num_samples - _NUM_LOCAL
    if len(outside) > wanted:
        others = rng.sample(outside, wanted)
    elif num_frames >= wanted:
        others = rng.sample(range(num_frames), wanted)
    else:
        repeats, remainder = divmod(wanted, num_frames)
        others = [*rng.sample(range(num_frames), remainder), *list(range(num_frames)) * repeats]
    return np.sort(np.array([first, start, last, *others], dtype=np.int64))


def _interval_middles(length: int, count: int) -> np.ndarray:
    """Cut 0 … length into `count` <= length intervals at whole numbers and return the (lower) middle of each."""
    # Floating point on purpose: the published sampler rounds down what linspace gives, exact fractions differ in places.
    bounds = np.linspace(0, length, count + 1).astype(np.int64)
    return (bounds[:-1] + bounds[1:] - 1) // 2


def _require_frames(num_frames: int) -> None:
    if num_frames < 1:
        raise ValueError(f"cannot sample from a video of {num_frames} frames")


def _require_slots(num_sparse: int, num_dense: int) -> None:
    if not 1 <= num_dense < num_sparse:
        raise ValueError(f"cannot choose D={num_dense} dense among S={num_sparse} sparse frames; D must be at least 1 and less than S")
