"""Whether masks lie on the frames they are stored with, judged by the pixels.

Where a mask fits its frame, colours change across its outline. `OutlineSample` keeps pairs of pixels on both sides of an outline;
`find_shift` compares the contrast across them on the mask's own frame with that on the frames it may really belong to: a few frames
earlier or later, or every 2nd ... 30th frame (mask i of many TAO videos of ReVOS is said to belong to frame 30 i; those of some UVO videos
to drift). Only a clear advantage that most masks share counts. What is not reported need not be in place: an object that rests, or does not
stand out from what is around it, fits everywhere, and a displacement that varies in another way has no single frame that fits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

LAGS = (-4, -3, -2, -1, 1, 2, 3, 4)
STRIDES = (2, 3, 4, 5, 6, 10, 12, 15, 24, 25, 30)
MIN_MASKS = 8
MAX_CONTRAST = 0.75  # on the masks' own frames, as a share of that on the others, summed over the masks
MIN_AGREEMENT = 0.8  # share of the masks that fit better there
_MAX_PAIRS = 4096
_DARKNESS = 0.1  # added to a frame's contrast, which may be none
_REACH = 1  # pixels beyond the two at the outline: edges in photographs are two or three pixels wide


@dataclass(frozen=True)
class OutlineSample:
    """Pairs of pixels across the outline of one mask.

    Args:
        position: index of the frame the mask is stored with.
        pairs: int (2, 2, number of pairs): one side and the other, row and column.
    """

    position: int
    pairs: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, mask_HW: np.ndarray, position: int) -> OutlineSample:
        """Take up to a few thousand pairs, evenly along the outline; none for a mask that is empty or covers everything."""
        along_rows, along_columns = _across(mask_HW), _across(mask_HW.T)[:, ::-1]
        pairs = np.concatenate([along_rows, along_columns], axis=-1)
        every = max(1, pairs.shape[-1] // _MAX_PAIRS)
        return cls(position, pairs[..., ::every])


@dataclass(frozen=True)
class Shift:
    """Mask number i of a video fits frame `stride * i + lag` better than frame i.

    Args:
        contrast: across the outlines on the masks' own frames, as a share of what it is there.
        num_masks: how many masks were compared.
    """

    stride: int
    lag: int
    contrast: float
    num_masks: int

    def __str__(self) -> str:
        if self.stride > 1:
            return f"mask i fits frame {self.stride} i"
        return f"masks fit the frames {abs(self.lag)} {'later' if self.lag > 0 else 'earlier'}"


def find_shift(outlines: Sequence[OutlineSample], read_frame: Callable[[int], np.ndarray], num_frames: int) -> Shift | None:
    """Find the displacement in time under which masks fit clearly better than where they are; None if there is none.

    Every frame that is needed is read once.

    Args:
        outlines: of one or several objects of a video, on some of its frames; those without pairs do not count.
        read_frame: index -> uint8 frame_HWC.
        num_frames: how many frames there are; masks that a displacement moves beyond them do not count for it.
    """
    outlines = [outline for outline in outlines if outline.pairs.size]
    shifts = [(1, lag) for lag in LAGS] + [(stride, 0) for stride in STRIDES]
    wanted: dict[int, list[int]] = defaultdict(list)
    for idx, outline in enumerate(outlines):
        wanted[outline.position].append(idx)
        for stride, lag in shifts:
            target = stride * outline.position + lag
            if 0 <= target < num_frames and target != outline.position:
                wanted[target].append(idx)
    contrasts: dict[tuple[int, int], float] = {}
    for position in sorted(wanted):
        frame_HWC = read_frame(position).astype(np.int16)
        typical = _typical_contrast(frame_HWC)
        for idx in dict.fromkeys(wanted[position]):
            contrasts[idx, position] = _contrast(frame_HWC, outlines[idx]) / typical
    found = [_judge(outlines, contrasts, stride, lag) for stride, lag in shifts]
    return min((shift for shift in found if shift), key=lambda shift: shift.contrast, default=None)


def _judge(outlines: Sequence[OutlineSample], contrasts: dict[tuple[int, int], float], stride: int, lag: int) -> Shift | None:
    """The displacement, if enough masks fit enough better under it."""
    pairs = []
    for idx, outline in enumerate(outlines):
        target = stride * outline.position + lag
        if target != outline.position and (idx, target) in contrasts:
            pairs.append((contrasts[idx, outline.position], contrasts[idx, target]))
    if len(pairs) < MIN_MASKS:
        return None
    own, other = np.array(pairs).T
    if own.sum() > MAX_CONTRAST * other.sum() or (other > own).mean() < MIN_AGREEMENT:
        return None
    return Shift(stride, lag, float(own.sum() / other.sum()), len(pairs))


def _across(mask_HW: np.ndarray) -> np.ndarray:
    """Pixels left and right of every place where the mask changes along a row -> int (2, 2, number of places)."""
    rows, columns = np.nonzero(mask_HW[:, 1:] != mask_HW[:, :-1])
    left = np.maximum(columns - _REACH, 0)
    right = np.minimum(columns + 1 + _REACH, mask_HW.shape[1] - 1)
    return np.array([[rows, left], [rows, right]])


def _contrast(frame_HWC: np.ndarray, outline: OutlineSample) -> float:
    """Mean difference of colour across an outline."""
    one_side, other_side = (frame_HWC[rows, columns] for rows, columns in outline.pairs)
    return float(np.abs(one_side - other_side).mean())


def _typical_contrast(frame_HWC: np.ndarray) -> float:
    """Mean difference of colour over the same distance anywhere in the frame; without it, frames that fade in would be favoured."""
    step = 2 * _REACH + 1
    rows_HWC = frame_HWC[::4]
    return float(np.abs(rows_HWC[:, step:] - rows_HWC[:, :-step]).mean()) + _DARKNESS
