"""Your own videos, masks and sentences in one folder, as samples.

    <root>/videos/<video>.mp4, or videos/<video>/<frame>.jpg, or videos/<image>.jpg
    <root>/masks/<video>/<object>/<frame>.png, or label maps, or COCO or YouTube-VIS files (`own.masks`)
    <root>/sentences.csv, or sentences.json (`own.sentences`)

Often only some frames have masks. A sample's video then has these frames and no others, so that nothing that was not looked at can be taken
for empty: every frame of `Sample.video` is annotated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saymask.datasets.own.index import FOLDER, AnnotatedVideo, FolderIndex, FolderVideo, read_index
from saymask.datasets.own.masks import MaskSource
from saymask.datasets.stored import LazySamples
from saymask.errors import DataError
from saymask.samples import Item, Sample, no_objects


def load_folder_dataset(root: Path | None, split: str) -> LazySamples:
    """Your own videos, masks and sentences in one folder: see docs/own-data.md.

    Videos without masks are whole, and nothing in them matches; of all others a sample has the annotated frames alone.

    Args:
        root: the folder.
        split: "train" or "val", as the column `split` says; everything is "train" if there is no such column.

    Raises:
        DataError: a file is missing, or a sentence, its video or its objects cannot be understood; the first problem, and how many more.
    """
    index = read_index(root, split)
    if index.problems:
        first, *others = index.problems
        raise DataError(f"{first} ({len(others)} more: saymask data check folder {index.root})" if others else first)
    return samples_of(index, split)


def samples_of(index: FolderIndex, split: str) -> LazySamples:
    """The samples of one split; nothing is opened.

    Raises:
        DataError: it has none, or an id in `sentences.json` cannot name a sample.
    """
    return LazySamples(index.sentences.path, index.items(split), FolderReader(index.videos), FOLDER.benchmark)


@dataclass(frozen=True)
class FolderReader:
    """Opens a sentence's video and finds its masks.

    Args:
        videos: by name.
        visible: objects, with the name of their video, that a mask has shown so far.
    """

    videos: Mapping[str, FolderVideo]
    visible: set[tuple[str, int]] = field(default_factory=set, repr=False, compare=False)

    def __call__(self, item: Item) -> Sample:
        source = self.videos[item.video_name]
        opened = source.open()
        obj_ids = item.expression.obj_ids
        if source.masks is None or not obj_ids:
            return Sample(opened.video, item.expression, no_objects(opened.video))
        return Sample(opened.video, item.expression, _ObjectMasks(source.masks, opened, obj_ids, self.visible))


@dataclass(frozen=True)
class _ObjectMasks:
    """The masks of one sentence's objects. An object that no mask of its video shows is an error, whichever frames are asked for."""

    source: MaskSource
    opened: AnnotatedVideo
    obj_ids: tuple[int, ...]
    visible: set[tuple[str, int]]

    def __call__(self, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        for index in frame_idx:
            yield self._load(index)
        others = iter(sorted(set(range(self.opened.video.num_frames)) - set(frame_idx)))
        while hidden := [obj_id for obj_id in self.obj_ids if (self.opened.video.name, obj_id) not in self.visible]:
            index = next(others, None)
            if index is None:
                raise DataError(never_visible(self.source, hidden, self.opened.video.name))
            self._load(index)

    def _load(self, index: int) -> np.ndarray:
        """All objects on one frame -> bool masks_NHW."""
        masks_NHW = self.source.masks(self.obj_ids, self.opened.mask_names[index], self.opened.video)
        shown = zip(self.obj_ids, masks_NHW, strict=True)
        self.visible.update((self.opened.video.name, obj_id) for obj_id, mask_HW in shown if mask_HW.any())
        return masks_NHW


def never_visible(masks: MaskSource, obj_ids: Sequence[int], video_name: str) -> str:
    """The problem of objects that no mask shows; trained on, they would teach to find nothing."""
    what = " and ".join(masks.where(obj_id) for obj_id in obj_ids)
    return (
        f"{what}: every mask of {video_name} is empty; draw them, name another object, or leave the column objects empty if nothing matches"
    )
