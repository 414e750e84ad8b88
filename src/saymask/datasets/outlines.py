"""Images whose things are outlined in a file of COCO's form: polygons or RLE by annotation, file names by image.

{"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "segmentation": ...}]}; a segmentation is a list of polygons
[x, y, x, y ...], one polygon alone, an RLE, or a list of RLEs. Several parts of one thing are one mask, their union. An outline is filled
when its mask is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from saymask.datasets.annotation_files import need, need_int, read_json
from saymask.datasets.layout import Layout
from saymask.errors import DataError
from saymask.records import Rle, Video
from saymask.samples import Item, Sample
from saymask.video.coco_rle import read_rle
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_image

_FARTHEST = 4
"""Corners may lie outside the frame, but not further than this many times its longer side."""


@dataclass(frozen=True)
class OutlineFile:
    """What an annotation file says.

    Args:
        path: the file, for messages.
        file_names: of the images, by image id.
        annotations: each as it stands in the file, by its id; some datasets have texts for ids.
        categories: names by category id; empty if the file has none.
    """

    path: Path
    file_names: Mapping[int, str]
    annotations: Mapping[int | str, Mapping[str, Any]]
    categories: Mapping[int, str]


def read_outlines(path: Path) -> OutlineFile:
    """Read an annotation file of COCO's form.

    Raises:
        DataError: it is damaged, or an image, annotation or category lacks what it needs.
    """
    content = read_json(path)
    file_names, annotations, categories = {}, {}, {}
    where = f"{path}: an image"
    for image in need(content, "images", list, str(path)):
        file_names[need_int(image, "id", where)] = need(image, "file_name", str, where)
    where = f"{path}: an annotation"
    for annotation in need(content, "annotations", list, str(path)):
        need(annotation, "segmentation", object, where)
        annotations[annotation_id(annotation, "id", where)] = annotation
    where = f"{path}: a category"
    for category in need(content, "categories", list, str(path)) if "categories" in content else ():
        categories[need_int(category, "id", where)] = need(category, "name", str, where)
    return OutlineFile(path, file_names, annotations, categories)


def annotation_id(entry: Mapping[str, Any], key: str, where: str) -> int | str:
    """Return `entry[key]`, the id of an annotation: a number or, where it cannot be read as one, a text.

    Raises:
        DataError: it is missing or neither.
    """
    value = need(entry, key, object, where)
    return value if isinstance(value, str) and not value.isdecimal() else need_int(entry, key, where)


@dataclass(frozen=True)
class OutlineReader:
    """Opens an expression's image; the outline of its target is filled when the mask is asked for.

    Args:
        layout: of the dataset, for messages.
        source: the file the outlines stand in, for messages.
        files: images by video name.
        outlines: by the expression's obj_id.
    """

    layout: Layout
    source: Path
    files: Mapping[str, Path]
    outlines: Mapping[int, Any]

    def __call__(self, item: Item) -> Sample:
        video = open_image(self.layout.require(self.files[item.video_name]), ReadLimits())
        (obj_id,) = item.expression.obj_ids
        return Sample(video, item.expression, partial(self._load, obj_id, video))

    def _load(self, obj_id: int, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        """An image is one frame at most."""
        return (self._mask(obj_id, video)[None] for _ in frame_idx)

    def _mask(self, obj_id: int, video: Video) -> np.ndarray:
        try:
            mask_HW = fill(self.outlines[obj_id], video.height, video.width)
        except ValueError as error:
            raise DataError(f"{self.source}: annotation {obj_id}: {error}; download it again") from None
        if mask_HW.shape != (video.height, video.width):
            raise DataError(
                f"{self.source}: annotation {obj_id}: the mask is {mask_HW.shape[1]}x{mask_HW.shape[0]}, but {video.source} is "
                f"{video.width}x{video.height}; images and outlines are of different releases, download both again"
            )
        return mask_HW


def fill(outline: Any, height: int, width: int) -> np.ndarray:
    """Polygons, filled as COCO does, or one or several RLEs, of one size -> bool mask_HW.

    Raises:
        ValueError: what is wrong with it, without a file's name.
    """
    if not isinstance(outline, list):
        return _decoded(read_rle(outline), height, width)
    if outline and all(isinstance(number, int | float) for number in outline):
        outline = [outline]
    if outline and all(isinstance(part, Mapping) for part in outline):
        masks = [_decoded(read_rle(part), height, width) for part in outline]
        if len({mask_HW.shape for mask_HW in masks}) > 1:
            raise ValueError("its parts are of different sizes")
        return np.logical_or.reduce(masks) if masks[0].shape == (height, width) else masks[0]
    if not outline or not all(isinstance(polygon, list) and len(polygon) >= 6 for polygon in outline):
        raise ValueError("its polygons need three corners or more")
    for polygon in outline:
        _check_corners(polygon, height, width)
    # Here and not above: everything else about data works without the library.
    from pycocotools import mask as coco_mask

    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outline, height, width))).astype(bool)


def _decoded(rle: Rle, height: int, width: int) -> np.ndarray:
    """Its mask; one of another size is of no use, and only its shape takes no memory."""
    return rle.decode() if (rle.height, rle.width) == (height, width) else np.broadcast_to(np.False_, (rle.height, rle.width))


def _check_corners(polygon: list[Any], height: int, width: int) -> None:
    """Refuse what would end the process in pycocotools, which checks nothing."""
    if len(polygon) % 2:
        raise ValueError(f"a corner has two numbers, but one of its polygons has {len(polygon)} in all")
    farthest = _FARTHEST * max(height, width)
    for number in polygon:
        if not isinstance(number, int | float) or not abs(number) <= farthest:  # so written, NaN is refused as well
            raise ValueError(f"a corner is no number within reach of the frame, which is {width}x{height}: {str(number)[:40]}")
