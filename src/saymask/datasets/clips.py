"""Videos stored as folders of frames, with the masks that lie beside them as PNG: one per frame, under the frame's name.

A `ClipReader` turns an index line into a `Sample` for every dataset of this kind; what differs is where the masks come from, a function
`(item, video) -> bool masks_THW`. Masks must have the size of their frames: one of another size belongs to another release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from saymask.datasets.layout import Layout
from saymask.errors import DataError
from saymask.records import ChosenFrames, Video
from saymask.samples import Item, Sample
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_frames

MaskSource = Callable[[Item, Video], np.ndarray]
"""Loads the masks of an item whose video is open: bool masks_THW."""


@dataclass(frozen=True)
class ClipReader:
    """Opens items whose videos are the folders of one directory.

    Args:
        layout: of the dataset, for messages.
        images: directory with one folder of frames per video name.
        frame_names: by video, the file stems of its frames in order; a video that is not in it has all images of its folder.
        load_masks: where the masks come from.
        load_void: the same for pixels that do not count, where there are any.
    """

    layout: Layout
    images: Path
    frame_names: Mapping[str, Sequence[str]]
    load_masks: MaskSource
    load_void: MaskSource | None = None

    def __call__(self, item: Item) -> Sample:
        folder = self.layout.require(self.images / item.video_name)
        video = replace(open_frames(folder, ReadLimits()), name=item.video_name)
        if item.video_name in self.frame_names:
            video = _select_frames(video, folder, self.frame_names[item.video_name])
        return Sample(
            video,
            item.expression,
            masks=partial(self.load_masks, item, video),
            ignore=partial(self.load_void, item, video) if self.load_void else None,
            instances=partial(self._load_instances, item, video),
        )

    def _load_instances(self, item: Item, video: Video) -> np.ndarray:
        """The masks of an expression's objects one by one -> bool masks_NTHW."""
        return np.stack([self.load_masks(_meaning((obj_id,), item), video) for obj_id in item.expression.obj_ids])


@dataclass(frozen=True)
class LabelMaps:
    """Masks of datasets with one label map per frame: `<directory>/<video>/<frame>.png`, in which a pixel's number is its object.

    `void` are numbers of pixels that belong to no object and do not count.
    """

    layout: Layout
    directory: Path
    void: tuple[int, ...] = ()

    def __call__(self, item: Item, video: Video) -> np.ndarray:
        folder = self.directory / item.video_name
        masks_THW = np.empty((video.num_frames, video.height, video.width), dtype=bool)
        for frame_idx, name in enumerate(video.frame_names):
            labels_HW = read_label_map(self.layout.require(folder / f"{name}.png"), video)
            masks_THW[frame_idx] = np.isin(labels_HW, item.expression.obj_ids)
        return masks_THW

    def load_void(self, item: Item, video: Video) -> np.ndarray:
        """Pixels that do not count -> bool ignore_THW."""
        return self(_meaning(self.void, item), video)


@dataclass(frozen=True)
class NoPublicMasks:
    """Stands for the masks that a benchmark's server keeps to itself; asking for them is an error."""

    dataset: str
    split: str

    def __call__(self, item: Item, video: Video) -> np.ndarray:
        raise DataError(
            f"{self.dataset} {self.split}: no public masks, {item.video_name}/{item.expression.exp_id} cannot be scored here; "
            "write a submission and send it to the benchmark's server"
        )


def _meaning(obj_ids: tuple[int, ...], item: Item) -> Item:
    """An item with other targets."""
    return replace(item, expression=replace(item.expression, obj_ids=obj_ids))


def read_label_map(path: Path, video: Video) -> np.ndarray:
    """Read a PNG whose pixels are object numbers (palette or grey) -> labels_HW of the video's size.

    Raises:
        DataError: it is damaged, in colour, or of another size than the video's frames.
    """
    pixels = read_pixels(path, video)
    if pixels.ndim == 3:
        raise DataError(f"{path}: a picture in colour, but a label map has one number per pixel; download the annotations again")
    return pixels


def read_binary_mask(path: Path, video: Video) -> np.ndarray:
    """Read a PNG in which everything that is not black is the object -> bool mask_HW of the video's size.

    Raises:
        DataError: it is damaged, or of another size than the video's frames.
    """
    pixels = read_pixels(path, video)
    return np.atleast_3d(pixels).max(-1) > 0


class Remedies(NamedTuple):
    """What to do about a mask that cannot be read, and about one of another size than its frame."""

    damaged: str
    misfit: str


_OF_A_RELEASE = Remedies("unpack or download it again", "frames and annotations are of different releases, download both again")


def read_pixels(path: Path, video: Video, remedies: Remedies = _OF_A_RELEASE) -> np.ndarray:
    """Numbers of a palette or grey image (H, W), or colours (H, W, 3); transparency is dropped.

    Raises:
        DataError: it is damaged, or of another size than the video's frames.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            pixels = np.asarray(image.convert("RGB") if image.mode in ("RGBA", "LA", "PA") else image)
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: the mask is far larger than any frame ({error}); replace it with a mask of its frame's size") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: the mask is damaged or cut off ({error}); {remedies.damaged}") from None
    if pixels.shape[:2] != (video.height, video.width):
        raise DataError(
            f"{path}: the mask is {pixels.shape[1]}x{pixels.shape[0]}, but the frames of {video.name} are {video.width}x{video.height}; "
            f"{remedies.misfit}"
        )
    return pixels


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
