"""Videos whose objects have a category and no sentence: LV-VIS and YouTube-VOS, for training.

The category, with spaces for underscores, is what an expression says; its targets are all objects of that category in the video.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.annotation_files import need, read_json
from saymask.datasets.clips import ClipReader
from saymask.datasets.layout import Layout
from saymask.datasets.mask_files import LabelMaps
from saymask.datasets.public.ref_video import index_expressions
from saymask.datasets.stored import LazySamples, VideoFirst
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Expression, Item

LV_VIS = Layout(
    dataset="lv-vis",
    splits=("train",),
    tree="train/{JPEGImages/<video>/<frame>.jpg, meta_expressions.json, mask_dict.json}",
    folders=(".", "lvvis", "LVVIS", "lv-vis"),
)
YOUTUBE_VOS = Layout(
    dataset="youtube-vos",
    splits=("train",),
    tree="train/{JPEGImages/<video>/<frame>.jpg, Annotations/<video>/<frame>.png, meta.json}",
    folders=(".", "YTVOS", "youtube-vos", "YouTube-VOS", "ytbvos"),
)


def load_lv_vis(root: Path | None, split: str) -> LazySamples:
    """LV-VIS in the form of MeViS: a category per expression, its objects in `mask_dict.json`.

    Raises:
        DataError: no such split, a file that is missing or damaged, or a duplicate id.
    """
    meta = LV_VIS.find(root, split, f"{split}/meta_expressions.json")
    return index_expressions(LV_VIS, split, meta, reword=_category_name)


def load_youtube_vos(root: Path | None, split: str) -> VideoFirst:
    """YouTube-VOS: one expression per video and category, `exp_id` being the category.

    Only the train split has a label map for every frame. The published training asks only for categories on the first frame it sampled,
    and only for their objects on that frame; here the target is every object of the category, whichever frames are sampled.

    Raises:
        DataError: no such split, or a file that is missing or damaged.
    """
    meta = YOUTUBE_VOS.find(root, split, f"{split}/meta.json")
    items = []
    for video_name, fields in need(read_json(meta), "videos", dict, str(meta)).items():
        where = f"{meta}: video {video_name}"
        obj_ids_of = defaultdict(list)
        for obj_id, thing in need(fields, "objects", dict, where).items():
            if not obj_id.isdecimal():
                raise DataError(f"{where}: object {obj_id!r} is no number of a label map; download the file again")
            obj_ids_of[need(thing, "category", str, f"{where}, object {obj_id}")].append(int(obj_id))
        for category, obj_ids in obj_ids_of.items():
            items.append(Item(video_name, Expression(category, _category_name(category), tuple(obj_ids))))
    masks = _PairedLabelMaps(YOUTUBE_VOS, YOUTUBE_VOS.require(meta.parent / "Annotations"))
    reader = ClipReader(YOUTUBE_VOS, YOUTUBE_VOS.require(meta.parent / "JPEGImages"), {}, masks)
    return VideoFirst(meta, items, reader, YOUTUBE_VOS.benchmark, mask_files=masks)


@dataclass(frozen=True)
class _PairedLabelMaps(LabelMaps):
    """Label maps of videos whose frames no file lists: a frame that is missing shows by the label map that is left over."""

    def __call__(self, item: Item, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        for path in sorted(self.place(item).glob("*.png")):
            if path.stem not in video.frame_names:
                raise self.layout.missing(Path(video.source) / f"{path.stem}.jpg")
        return super().__call__(item, video, frame_idx)


def _category_name(category: str) -> str:
    return category.replace("_", " ")
