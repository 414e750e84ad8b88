"""Your own videos, masks and sentences in one folder, as samples.

    <root>/videos/<video>.mp4, or videos/<video>/<frame>.jpg, or videos/<image>.jpg
    <root>/masks/<video>/<object>/<frame>.png, or label maps, or COCO or YouTube-VIS files (`folder_masks`)
    <root>/sentences.csv, or sentences.json (`folder_sentences`)

Often only some frames have masks. A sample's video then has these frames and no others, so that nothing that was not looked at can be taken
for empty: every frame of `Sample.video` is annotated, and `masks_THW` is the truth about all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from saymask.datasets.own.index import AnnotatedVideo, FolderIndex, FolderVideo, read_index
from saymask.datasets.own.masks import MaskSource
from saymask.errors import DataError
from saymask.samples import Item, LazySamples, Sample


def load_folder_dataset(root: Path | None, split: str) -> LazySamples:
    """Your own videos, masks and sentences in one folder: see docs/own-data.md.

    Videos without masks are whole, and nothing in them matches; of all others a sample has the annotated frames alone.

    Args:
        root: the folder.
        split: "train" or "val", as the column `split` says; everything is "train" if there is no such column.

    Raises:
        DataError: a file is missing, or a sentence, its video or its objects cannot be understood; the first fault, and how many more.
    """
    index = read_index(root, split)
    if index.faults:
        first, *others = index.faults
        raise DataError(f"{first} ({len(others)} more: saymask data check folder {index.root})" if others else first)
    return samples_of(index, split)


def samples_of(index: FolderIndex, split: str) -> LazySamples:
    """The samples of one split; nothing is opened.

    Raises:
        DataError: it has none, or an id in `sentences.json` cannot name a sample.
    """
    return LazySamples(index.sentences.path, index.items(split), FolderReader(index.videos))


@dataclass(frozen=True)
class FolderReader:
    """Opens a sentence's video and finds its masks."""

    videos: Mapping[str, FolderVideo]

    def __call__(self, item: Item) -> Sample:
        source = self.videos[item.video_name]
        opened = source.open()
        load = partial(_load, source.masks, opened)
        obj_ids = item.expression.obj_ids
        return Sample(
            opened.video,
            item.expression,
            masks=partial(load, obj_ids),
            instances=lambda: np.stack([load((obj_id,)) for obj_id in obj_ids]),
        )


def _load(masks: MaskSource | None, opened: AnnotatedVideo, obj_ids: Sequence[int]) -> np.ndarray:
    """Union of some objects on every annotated frame -> bool masks_THW."""
    video = opened.video
    masks_THW = np.zeros((video.num_frames, video.height, video.width), dtype=bool)
    if masks is None or not obj_ids:
        return masks_THW
    for mask_HW, frame in zip(masks_THW, opened.mask_names, strict=True):
        for obj_id in obj_ids:
            mask_HW |= masks.mask(obj_id, frame, video)
    if not masks_THW.any():
        raise DataError(nowhere(masks, obj_ids, video.name))
    return masks_THW


def nowhere(masks: MaskSource, obj_ids: Sequence[int], video_name: str) -> str:
    """The fault of objects that no mask shows; trained on, they would teach to find nothing."""
    what = " and ".join(masks.where(obj_id) for obj_id in obj_ids)
    return (
        f"{what}: every mask of {video_name} is empty; draw them, name another object, or leave the column objects empty if nothing matches"
    )
