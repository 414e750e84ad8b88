"""Videos stored as folders of frames, with masks that lie elsewhere.

A `ClipReader` turns an index line into a `Sample` for every dataset of this kind; what differs is where the masks come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from saymask.datasets.layout import Layout
from saymask.errors import DataError
from saymask.records import ChosenFrames, Video
from saymask.samples import Item, Sample
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_frames

ClipMasks = Callable[[Item, Video, Sequence[int]], Iterator[np.ndarray]]
"""An item, its opened video and distinct frame indices -> for each frame bool masks_NHW of the item's objects."""

ClipVoid = Callable[[Item, Video, Sequence[int]], Iterator[np.ndarray]]
"""The same -> for each frame bool ignore_HW, the pixels that do not count."""


@dataclass(frozen=True)
class ClipReader:
    """Opens items whose videos are the folders of one directory.

    Args:
        layout: of the dataset, for messages.
        images: directory with one folder of frames per video name.
        frame_names: by video, the file stems of its frames in order; a video that is not in it has all images of its folder.
        masks: where the masks come from.
        void: where pixels that do not count come from, if there are any.
    """

    layout: Layout
    images: Path
    frame_names: Mapping[str, Sequence[str]]
    masks: ClipMasks
    void: ClipVoid | None = None

    def __call__(self, item: Item) -> Sample:
        folder = self.layout.require(self.images / item.video_name)
        video = replace(open_frames(folder, ReadLimits()), name=item.video_name)
        if item.video_name in self.frame_names:
            video = _select_frames(video, folder, self.frame_names[item.video_name])
        load_ignore = partial(self.void, item, video) if self.void else None
        return Sample(video, item.expression, partial(self.masks, item, video), load_ignore)


def _select_frames(video: Video, folder: Path, names: Sequence[str]) -> Video:
    """The same video with only the named frames, in that order."""
    index_of = {name: index for index, name in enumerate(video.frame_names)}
    absent = [name for name in names if name not in index_of]
    if absent:
        raise DataError(
            f"{folder / absent[0]}.jpg: no such frame; {len(absent)} of the {len(names)} frames of {video.name} are missing, "
            "unpack the archive of the frames again"
        )
    chosen = [index_of[name] for name in names]
    return replace(
        video,
        frame_names=tuple(names),
        timestamps_T=np.arange(len(chosen)) / video.fps,
        duration=len(chosen) / video.fps,
        read=ChosenFrames(video.read, tuple(chosen)),
    )
