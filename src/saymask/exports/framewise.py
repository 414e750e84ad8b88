"""Formats that are written frame by frame: what they need is the masks of all objects and perhaps the pixels, each frame once, in order.

    session ─ FrameResult, frame by frame ─┐
    Prediction ─ all frames ───────────────┴─ FrameFile.add ... ─ a file or folder that appears when the block ends

So they can be written while the masks are found (`exports.feed`), and afterwards; both give the same bytes. A format that looks at several
frames at once, or writes a few numbers per mask, takes a whole `Prediction` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from saymask.records import Prediction, QueryResult, Rle, Video

_CHUNK_BYTES = 8 * 2**20

ReadPixels = Callable[[], np.ndarray]
"""Gives the frame's pixels, uint8 frame_HWC that may be drawn on; a writer that needs none does not ask."""


@dataclass(frozen=True)
class FrameFile:
    """What is being written: where it appears, and what takes the next frame, with the masks of all objects in query order."""

    path: Path
    add: Callable[[Sequence[Rle], ReadPixels], None]


FrameWriter = Callable[[Video, Sequence[QueryResult], Path], AbstractContextManager[FrameFile]]
"""Begins a format in a folder. Of the results only queries, texts, ids and phrases are read: they have no masks yet."""


def write_frames(writer: FrameWriter, prediction: Prediction, directory: Path) -> Path:
    """Write a whole prediction; its video is read again if the format shows it."""
    pixels = each_frame(prediction.video)
    masklets = [masklet for _, masklet in prediction.objects()]
    with writer(prediction.video, prediction.results, directory) as file:
        for index in range(prediction.video.num_frames):
            file.add([masklet.rle_T[index] for masklet in masklets], partial(next, pixels))
    return file.path


def each_frame(video: Video) -> Iterator[np.ndarray]:
    """Every frame in order, read a few at a time; each may be drawn on. The next few are read meanwhile, unless a frame is large."""
    step = min(32, _CHUNK_BYTES // (video.height * video.width * 3))
    if step == 0:
        for index in range(video.num_frames):
            yield video.frames([index])[0]
        return
    first, *rest = (range(start, min(start + step, video.num_frames)) for start in range(0, video.num_frames, step))
    with ThreadPoolExecutor(1, thread_name_prefix="saymask-read") as reader:
        ahead = reader.submit(video.frames, first)
        for chunk in rest:
            frames_THWC = ahead.result()
            ahead = reader.submit(video.frames, chunk)
            yield from frames_THWC
        yield from ahead.result()


def by_query(results: Sequence[QueryResult], rles: Sequence[Rle]) -> list[Sequence[Rle]]:
    """The masks of all objects on a frame, per query."""
    ends = np.cumsum([len(result.masklets) for result in results]).tolist()
    return [rles[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def union(rles: Sequence[Rle], video: Video) -> np.ndarray:
    """Several objects on one frame, bool mask_HW; empty if there are none."""
    return np.logical_or.reduce([rle.decode() for rle in rles]) if rles else np.zeros((video.height, video.width), dtype=bool)
