"""Masks of clips that lie in folders of PNG files, one file per frame under the frame's name; and masks that are not public."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.layout import Layout
from saymask.datasets.mask_images import read_label_map
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Item

CONVERTED = "it was compressed, resized or converted; unpack or download the annotations again"
"""What to do about a mask image with values that cannot be meant."""


@dataclass(frozen=True)
class LabelMaps:
    """Label maps `<directory>/<video>/<frame>.png`; called, they are the masks of a `ClipReader`.

    Args:
        layout: of the dataset, for messages.
        directory: with one folder per video.
        void: numbers of pixels that belong to no object and do not count.
    """

    layout: Layout
    directory: Path
    void: tuple[int, ...] = ()

    def __call__(self, item: Item, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        obj_ids_N11 = np.array(item.expression.obj_ids, dtype=np.int64).reshape(-1, 1, 1)
        return (labels_HW == obj_ids_N11 for labels_HW in self._read(item, video, frame_idx))

    def load_void(self, item: Item, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        """Pixels that do not count -> for each frame bool ignore_HW."""
        return (np.isin(labels_HW, self.void) for labels_HW in self._read(item, video, frame_idx))

    def _read(self, item: Item, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        for index in frame_idx:
            path = self.place(item) / f"{video.frame_names[index]}.png"
            yield read_label_map(self.layout.require(path), video)

    def place(self, item: Item) -> Path:
        """The folder of a video's label maps."""
        return self.directory / item.video_name

    def impossible_values(self, items: Sequence[Item], video: Video) -> Iterator[str]:
        """A number that no object has.

        It is out of range if nothing leads up to it: objects 1 and 2 are described and 3 is painted is fine, for not every object needs a
        sentence; 255 beside 1 and 2 is not.
        """
        described = {obj_id for item in items for obj_id in item.expression.obj_ids}
        painted: dict[int, Path] = {}
        for path, values in values_by_file(self.place(items[0]), video, read_label_map):
            for value in values:
                painted.setdefault(value, path)
        for value in sorted(painted.keys() - described - set(self.void)):
            if value and value - 1 not in painted.keys() | described | {0}:
                known = ", ".join(map(str, sorted(described)))
                yield f"{painted[value]}: a pixel has the number {value}, but the objects of {video.name} are {known}; {CONVERTED}"
                return


@dataclass(frozen=True)
class NoPublicMasks:
    """Stands for the masks that a benchmark's server keeps to itself; asking for them is an error."""

    dataset: str
    split: str

    def __call__(self, item: Item, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        raise DataError(
            f"{self.dataset} {self.split}: no public masks, {item.video_name}/{item.expression.exp_id} cannot be scored here; "
            "write a submission and send it to the benchmark's server"
        )


def values_by_file(folder: Path, video: Video, read: Callable[[Path, Video], np.ndarray]) -> Iterator[tuple[Path, set[int]]]:
    """Each readable mask image of a video with the values in it."""
    for name in video.frame_names:
        path = folder / f"{name}.png"
        try:
            yield path, set(np.unique(read(path, video)).tolist())
        except DataError:
            continue
