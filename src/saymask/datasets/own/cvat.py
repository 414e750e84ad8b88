"""Masks of own data as CVAT exports them in XML: "CVAT for video 1.1", with tracks, and "CVAT for images 1.1", with shapes per image.

Frames of a video are numbers from 0. An object is a track; tracks of one group are one object. Shapes of images know no identity: there an
object is a label, or a label and a group. Polygons, boxes and masks are masks; a frame that the task has and an object is not on is one on
which it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import numpy as np

from saymask.datasets.own.outlines import Outlines
from saymask.errors import DataError
from saymask.records import Rle
from saymask.storage.json_files import read_text

VIDEO_RULE = "CVAT for video 1.1: frames are numbers from 0; an object is a track, or all tracks of one group"
IMAGES_RULE = "CVAT for images 1.1: frames are called as the images; an object is a label, or a label and a group"
_MAX_BYTES = 2**30
_Size = tuple[int, int]


def read_cvat(path: Path) -> Outlines:
    """Read an annotations.xml.

    Raises:
        DataError: it is damaged or not of CVAT, or a shape is neither polygon nor box nor mask.
    """
    text = read_text(path, DataError, "export it again", max_bytes=_MAX_BYTES)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{path}: declares a document type, which CVAT's files do not; export it again")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: not valid XML ({error}); export it again as 'CVAT for video 1.1'") from None
    images, tracks = root.findall("image"), root.findall("track")
    if root.tag != "annotations" or not (images or tracks or root.find("meta") is not None):
        raise DataError(f"{path}: not of CVAT (no tracks and no images); export it again as 'CVAT for video 1.1'")
    try:
        return _read_images(path, images) if images else _read_tracks(path, root, tracks)
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: a shape lacks what it needs, or has a wrong value ({error}); export it again") from None


def _read_tracks(path: Path, root: ElementTree.Element, tracks: Iterable[ElementTree.Element]) -> Outlines:
    outlines = Outlines(path, rule=VIDEO_RULE)
    size = _original_size(root)
    for frame in _frames_of_task(root):
        outlines.sizes[str(frame)] = size
    objects: dict[tuple[str, str], int] = {}
    for place, track in enumerate(tracks):
        group = track.get("group_id", "0")
        key = ("group", group) if group != "0" else ("track", str(place))
        obj_id = objects.setdefault(key, len(objects) + 1)
        _note_label(outlines, track.attrib["label"], obj_id)
        for shape in track:
            frame = shape.attrib["frame"]
            outlines.sizes.setdefault(frame, size)
            if shape.get("outside") != "1":
                outlines.by_object.setdefault(obj_id, {}).setdefault(frame, []).append(_outline(shape, size, f"{path}: frame {frame}"))
    return outlines


def _read_images(path: Path, images: Iterable[ElementTree.Element]) -> Outlines:
    outlines = Outlines(path, rule=IMAGES_RULE)
    objects: dict[tuple[str, str], int] = {}
    for image in images:
        frame = PurePosixPath(image.attrib["name"]).stem
        size = (int(image.attrib["height"]), int(image.attrib["width"]))
        outlines.sizes[frame] = size
        for shape in image:
            if shape.tag != "tag":
                label = shape.attrib["label"]
                obj_id = objects.setdefault((label, shape.get("group_id", "0")), len(objects) + 1)
                _note_label(outlines, label, obj_id)
                outlines.by_object.setdefault(obj_id, {}).setdefault(frame, []).append(_outline(shape, size, f"{path}: image {frame}"))
    return outlines


def _note_label(outlines: Outlines, label: str, obj_id: int) -> None:
    of_label = outlines.by_category.setdefault(label, [])
    if obj_id not in of_label:
        of_label.append(obj_id)


def _frames_of_task(root: ElementTree.Element) -> range:
    """Frames that the task shows: its part of the video, perhaps every so many."""
    about = next((found for name in ("task", "job") if (found := root.find(f"meta/{name}")) is not None), None)
    if about is None or about.findtext("stop_frame") is None:
        return range(0)
    step = (about.findtext("frame_filter") or "").removeprefix("step=") or "1"
    return range(int(about.findtext("start_frame") or 0), int(about.findtext("stop_frame") or 0) + 1, int(step))


def _original_size(root: ElementTree.Element) -> _Size | None:
    found = next(root.iter("original_size"), None)
    return None if found is None else (int(found.findtext("height") or 0), int(found.findtext("width") or 0))


def _outline(shape: ElementTree.Element, size: _Size | None, where: str) -> Any:
    """A shape as COCO writes it: polygons, or an RLE."""
    values = shape.attrib
    if shape.tag == "polygon":
        return [[float(number) for corner in values["points"].split(";") for number in corner.split(",")]]
    if shape.tag == "box":
        left, top, right, bottom = (float(values[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        return [[left, top, right, top, right, bottom, left, bottom]]
    if shape.tag != "mask":
        raise DataError(f"{where}: a {shape.tag}, of which only polygons, boxes and masks are masks; draw it as a polygon")
    if size is None:
        raise DataError(f"{where}: a mask, but the file does not say how large the frames are (original_size); export it again")
    left, top, width, height = (int(values[name]) for name in ("left", "top", "width", "height"))
    runs = np.array([int(number) for number in values["rle"].split(",")])
    if (runs < 0).any() or runs.sum() != width * height or min(left, top, width, height) < 0:
        raise DataError(f"{where}: the runs of a mask cover {runs.sum()} pixels, its box has {width} x {height}; export it again")
    if top + height > size[0] or left + width > size[1]:
        raise DataError(f"{where}: a mask reaches out of the frame, which is {size[1]}x{size[0]}; export it again")
    mask_HW = np.zeros(size, dtype=bool)
    mask_HW[top : top + height, left : left + width] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return {"size": list(size), "counts": Rle.encode(mask_HW).counts.tolist()}
