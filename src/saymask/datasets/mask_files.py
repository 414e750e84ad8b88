"""What lies on disk behind an expression's masks, whichever way a dataset stores them: where it is, and values that cannot be meant.

Loaders take a pixel for an object if it has the object's number, or is not black; a picture that was compressed, resized or converted to
grey still loads, with wrong masks. Its values give it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import singledispatch
from pathlib import Path

import numpy as np

from saymask.datasets.clips import LabelMaps, read_label_map, read_pixels
from saymask.datasets.mask_dict import MaskDict
from saymask.datasets.public.reason_vos import ObjectFolders
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Item

_REMEDY = "it was compressed, resized or converted; unpack or download the annotations again"


@singledispatch
def place_of_masks(masks: object, item: Item) -> Path | None:
    """File or folder of an expression's masks; None where they stand in the annotation file itself."""
    return None


@place_of_masks.register
def _(masks: MaskDict, item: Item) -> Path:
    return masks.path


@place_of_masks.register
def _(masks: LabelMaps, item: Item) -> Path:
    return masks.directory / item.video_name


@place_of_masks.register
def _(masks: ObjectFolders, item: Item) -> Path:
    return masks.folder(item)


@singledispatch
def impossible_values(masks: object, items: Sequence[Item], video: Video) -> Iterator[str]:
    """Problems with the pixel values of a video's mask pictures, one per kind; none where masks are no pictures.

    In label maps, a number is out of range if nothing leads up to it: objects 1 and 2 are described and 3 is painted is fine, for not every
    object needs a sentence; 255 beside 1 and 2 is not. In black-and-white masks there may be one value that is not black.

    Args:
        masks: where the masks come from.
        items: all expressions of the video.
        video: its frames; pictures that cannot be read are left to the loader's own errors.
    """
    yield from ()


@impossible_values.register
def _(masks: LabelMaps, items: Sequence[Item], video: Video) -> Iterator[str]:
    described = {obj_id for item in items for obj_id in item.expression.obj_ids}
    painted: dict[int, Path] = {}
    for path, values in _values(masks.directory / items[0].video_name, video, read_label_map):
        for value in values:
            painted.setdefault(value, path)
    for value in sorted(painted.keys() - described - set(masks.void)):
        if value and value - 1 not in painted.keys() | described | {0}:
            known = ", ".join(map(str, sorted(described)))
            yield f"{painted[value]}: a pixel has the number {value}, but the objects of {video.name} are {known}; {_REMEDY}"
            return


@impossible_values.register
def _(masks: ObjectFolders, items: Sequence[Item], video: Video) -> Iterator[str]:
    for folder in dict.fromkeys(map(masks.folder, items)):
        for path, values in _values(folder, video, _read_brightness):
            if len(values - {0}) > 1:
                yield f"{path}: {len(values - {0})} values that are not black, expected one; {_REMEDY}"
                break


def _values(folder: Path, video: Video, read: Callable[[Path, Video], np.ndarray]) -> Iterator[tuple[Path, set[int]]]:
    """Each readable mask picture of a video with the values in it."""
    for name in video.frame_names:
        path = folder / f"{name}.png"
        try:
            yield path, set(np.unique(read(path, video)).tolist())
        except DataError:
            continue


def _read_brightness(path: Path, video: Video) -> np.ndarray:
    """A pixel in colour counts as its brightest channel -> (H, W)."""
    return np.atleast_3d(read_pixels(path, video)).max(-1)
