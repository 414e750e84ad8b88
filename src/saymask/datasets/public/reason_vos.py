"""ReasonVOS, the benchmark of VideoLISA: questions that need reasoning about videos of four datasets.

One `meta_expressions.json` for all: {"videos": {video: {"source", "frames", "expressions": {exp_id: {"obj_id", "exp_text", "is_sent"}}}}};
the expressions are also met as a list whose entries hold their `exp_id`. Masks are black-and-white images, one folder per object:
`Annotations/<source>_<video>_<obj_id>/<frame>.png`, with the source in lower case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saymask.datasets.annotation_files import ClipEntry, need, need_int, read_clips
from saymask.datasets.clips import ClipReader
from saymask.datasets.layout import Layout
from saymask.datasets.mask_files import CONVERTED, values_by_file
from saymask.datasets.mask_images import read_binary_mask, read_pixels
from saymask.datasets.stored import LazySamples
from saymask.records import Video
from saymask.samples import Benchmark, Expression, Item

REASON_VOS = Layout(
    dataset="reasonvos",
    splits=("test",),
    tree="{JPEGImages/<video>/<frame>.jpg, Annotations/<source>_<video>_<obj_id>/<frame>.png, meta_expressions.json}",
    folders=(".", "ReasonVOS", "reasonvos"),
    benchmark=Benchmark(groups=("source",), templates={"videolisa-release": "videolisa-reason-vos"}),
)


def load_reasonvos(root: Path | None, split: str) -> LazySamples:
    """ReasonVOS: questions about one object each that take reasoning to answer.

    Tags: `source`, the dataset the video comes from, in lower case.

    Raises:
        DataError: no such split, a file that is missing or damaged, or a duplicate id.
    """
    meta = REASON_VOS.find(root, split, "meta_expressions.json")
    clips = read_clips(meta)
    items = []
    for clip in clips:
        source = need(clip.fields, "source", str, clip.where).lower()
        for exp_id, entry, where in _expressions(clip):
            obj_ids = (need_int(entry, "obj_id", where),)
            is_sentence = bool(need(entry, "is_sent", int, where))  # true and 1 are both met
            text = need(entry, "exp_text", str, where)
            items.append(Item(clip.name, Expression(exp_id, text, obj_ids, is_sentence, tags={"source": source})))
    frame_names = {clip.name: clip.frame_names for clip in clips}
    masks = ObjectFolders(REASON_VOS, REASON_VOS.require(meta.parent / "Annotations"))
    reader = ClipReader(REASON_VOS, REASON_VOS.require(meta.parent / "JPEGImages"), frame_names, masks)
    return LazySamples(meta, items, reader, REASON_VOS.benchmark, mask_files=masks)


@dataclass(frozen=True)
class ObjectFolders:
    """Masks with one folder of black-and-white images per object: `<directory>/<source>_<video>_<obj_id>/<frame>.png`."""

    layout: Layout
    directory: Path

    def __call__(self, item: Item, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        """The expression's one object -> for each frame bool masks_NHW."""
        for index in frame_idx:
            path = self.layout.require(self.place(item) / f"{video.frame_names[index]}.png")
            yield read_binary_mask(path, video)[None]

    def place(self, item: Item) -> Path:
        """The folder of the expression's one object."""
        (obj_id,) = item.expression.obj_ids
        return self.directory / f"{item.expression.tags['source']}_{item.video_name}_{obj_id}"

    def impossible_values(self, items: Sequence[Item], video: Video) -> Iterator[str]:
        """More than one value that is not black, in any folder of the video."""
        for folder in dict.fromkeys(map(self.place, items)):
            for path, values in values_by_file(folder, video, _read_brightness):
                if len(values - {0}) > 1:
                    yield f"{path}: {len(values - {0})} values that are not black, expected one; {CONVERTED}"
                    break


def _read_brightness(path: Path, video: Video) -> np.ndarray:
    """A pixel in colour counts as its brightest channel -> (H, W)."""
    return np.atleast_3d(read_pixels(path, video)).max(-1)


def _expressions(clip: ClipEntry) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Each expression as id, fields and what messages call it, in either form of the file."""
    if isinstance(clip.fields.get("expressions"), list):
        for place, entry in enumerate(clip.fields["expressions"]):
            where = f"{clip.where}, expression at place {place}"
            yield str(need(entry, "exp_id", object, where)), entry, where
    else:
        yield from clip.expressions()
