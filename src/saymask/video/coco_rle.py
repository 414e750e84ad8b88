"""COCO's compressed run lengths, decoded with checks: pycocotools fills what a damaged string leaves out with whatever is in memory.

A count is written in groups of five bits, lowest first, each as one character from "0" on; the sixth bit says that more follow, the
fifth of the last group is the sign. From the fourth count on, the difference to the count before the last one is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from saymask.records import Rle

_FIRST_CHARACTER = 48
_MAX_PIXELS = 2**32 - 1  # a run is a uint32


def read_rle(segmentation: Any) -> Rle:
    """Decode {"size": [height, width], "counts": compressed string, bytes or list of counts}.

    Raises:
        ValueError: what is wrong with it, without a file's name.
    """
    if not isinstance(segmentation, Mapping) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError(f"not an RLE: {str(segmentation)[:40]!r} lacks 'size' or 'counts'")
    size, counts = segmentation["size"], segmentation["counts"]
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f"bad RLE: its size is {size!r}, expected [height, width]")
    height, width = size
    if height * width > _MAX_PIXELS:
        raise ValueError(f"bad RLE: its size is {size!r}, larger than any frame")
    if isinstance(counts, list):
        if not all(isinstance(count, int) and abs(count) <= _MAX_PIXELS for count in counts):
            raise ValueError(f"bad RLE: its counts are {str(counts)[:40]}, expected whole numbers")
        runs = np.asarray(counts, dtype=np.int64)
    else:
        runs = _decompress(counts)
    if (runs < 0).any():
        raise ValueError("bad RLE: it has a run of negative length")
    if runs.sum() != height * width:
        raise ValueError(f"bad RLE: its runs cover {runs.sum()} pixels of {height * width}")
    return Rle(height, width, runs.astype(np.uint32))


def _decompress(counts: Any) -> np.ndarray:
    """Compressed counts -> int64 run lengths."""
    if not isinstance(counts, str | bytes):
        raise ValueError(f"bad RLE: its counts are {type(counts).__name__}, expected text")
    try:
        data = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        raise ValueError("bad RLE: its counts hold characters that no count is written in") from None
    groups = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - _FIRST_CHARACTER
    if ((groups < 0) | (groups > 63)).any():
        raise ValueError("bad RLE: its counts hold characters that no count is written in")
    is_last = groups & 32 == 0
    if not groups.size or not is_last[-1]:
        raise ValueError("bad RLE: its counts are cut off")
    ends = np.flatnonzero(is_last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(groups.size) - np.repeat(starts, ends - starts + 1)
    if place.max() > 7:
        raise ValueError("bad RLE: it has a run that is longer than any picture")
    written = np.add.reduceat((groups & 31) << (5 * place), starts)
    negative = groups[ends] & 16 != 0
    written -= negative.astype(np.int64) << (5 * (place[ends] + 1))
    runs = written.copy()
    runs[1::2] = np.cumsum(written[1::2])
    runs[2::2] = np.cumsum(written[2::2])
    return runs
