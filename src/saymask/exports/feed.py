"""Formats written while masks are found: frames that the session decodes are drawn on and encoded in a thread beside it.

    session ─ frames ─ RecentFrames ─┐
            └ FrameResult ─ add ─────┴─ thread ─ every format that is written frame by frame ─ hidden folder ─ finish ─ its place

What cannot be fed is written by `finish` from the whole prediction: formats that need one, frames that come out of order, large frames.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from saymask.exports.framewise import FrameFile
from saymask.lookup import FRAME_WRITERS, resolve
from saymask.records import FrameResult, Prediction, QueryResult, Video
from saymask.video.recent import RecentFrames

MAX_BYTES = 64 * 2**20
MAX_FRAMES = 8
"""So many frames, and so many bytes of pixels, wait for the writers at most; larger ones are written afterwards, one at a time."""
AHEAD = 5
"""So many times as much is held of what the session has decoded: its chunk, two ahead, and those that wait."""

OpenFolder = Callable[[], AbstractContextManager[Path]]
"""Gives a hidden folder on the disk where the results will be, for the length of a block."""


class Feed:
    """Writes one video's results. As a context: what is not finished at the end of the block leaves nothing.

    Args:
        formats: as for `Prediction.save`.
        open_folder: called when the first frame comes.
    """

    def __init__(self, formats: Sequence[str], open_folder: OpenFolder):
        self._formats = list(dict.fromkeys(formats))
        self._open_folder = open_folder
        self._recent: RecentFrames | None = None
        self._files: dict[str, tuple[FrameFile, ExitStack]] = {}
        self._most = 0
        self._next = 0
        self._waiting: deque[Future[None]] = deque()
        self._folder = ExitStack()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saymask-write")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._give_up()
        self._thread.shutdown()

    def watched(self, video: Video) -> Video:
        """The video to give to a session, so that its frames are decoded once."""
        self._most = min(MAX_FRAMES, MAX_BYTES // (video.height * video.width * 3))
        if not self._most or not any(name in FRAME_WRITERS for name in self._formats):
            return video
        self._recent = RecentFrames(video, AHEAD * self._most)
        return self._recent.video

    def add(self, result: FrameResult, asked: Sequence[QueryResult]) -> None:
        """The next frame's masks; waits while too many frames wait to be written.

        Args:
            result: of a frame.
            asked: queries, texts and objects, which have no masks yet.

        Raises:
            VideoError, OSError: what a format or the disk refuses, some frames late.
        """
        if self._recent is None:
            return
        if result.frame_idx != self._next:
            self._give_up()  # a tracker walks in another order
            return
        self._next += 1
        if not self._files:
            self._begin(self._recent, asked)
        while len(self._waiting) >= self._most:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._write, result, self._recent))

    def finish(self, prediction: Prediction, directory: Path) -> list[Path]:
        """Bring what was written into a folder, and write what is missing there -> the paths in the order of the formats.

        Errors as for `Prediction.save`.
        """
        if self._next < prediction.video.num_frames:
            self._give_up()
        while self._waiting:
            self._waiting.popleft().result()
        fed = {}
        for name, (file, block) in self._files.items():
            block.close()
            fed[name] = directory / file.path.name
            shutil.move(file.path, fed[name])
        self._folder.close()
        rest = [name for name in self._formats if name not in fed]
        saved = prediction.save(directory, rest)
        fed |= dict(zip(rest, saved, strict=False))
        return [*(fed[name] for name in self._formats), *saved[len(rest) :]]

    def _begin(self, recent: RecentFrames, asked: Sequence[QueryResult]) -> None:
        """Open a file for each format."""
        folder = self._folder.enter_context(self._open_folder())
        for name in self._formats:
            if name in FRAME_WRITERS:
                block = ExitStack()
                self._files[name] = block.enter_context(resolve(name, "frame writer")(recent.source, asked, folder)), block

    def _write(self, result: FrameResult, recent: RecentFrames) -> None:
        pixels = _Pixels(recent, result.frame_idx)
        for file, block in self._files.values():
            try:
                file.add(result.rles, pixels)
            except Exception as error:
                block.__exit__(type(error), error, error.__traceback__)  # the block knows how its errors are said
                raise

    def _give_up(self) -> None:
        """Remove what was written so far; everything is left to `finish`."""
        if self._recent is not None:
            self._recent.stop()
            self._recent = None
        while self._waiting:
            if not (future := self._waiting.pop()).cancel():
                future.exception()  # waits until it has ended
        files, self._files = self._files, {}
        for _, block in files.values():
            block.__exit__(_Stopped, _Stopped(), None)
        self._folder.close()


class _Stopped(Exception):
    """Tells open files that they will not be finished."""


class _Pixels:
    """One frame for several formats, of which each may draw on it."""

    def __init__(self, recent: RecentFrames, index: int):
        self._recent, self._index = recent, index

    def __call__(self) -> np.ndarray:
        return self._frame_HWC.copy()

    @cached_property
    def _frame_HWC(self) -> np.ndarray:
        return self._recent.take(self._index)
