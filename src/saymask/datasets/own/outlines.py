"""Masks of own data as JSON: COCO, with an image per frame, or YouTube-VIS, with a list of outlines per object and video.

COCO: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "segmentation", "track_id", "category_id"}], "categories"}.
YouTube-VIS: {"videos": [{"id", "file_names"}], "annotations": [{"id", "video_id", "segmentations": [outline or null], "category_id"}]}.
An object is called by its number: `track_id`, which CVAT keeps under `attributes`, or the annotation's `id` if there is none; or by its
category, which stands for all objects of it. A frame that the file lists and that has no outline of an object is one on which the object is
not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from saymask.datasets.annotation_files import MAX_DIGITS, need, need_int, read_json
from saymask.datasets.outlines import fill
from saymask.errors import DataError
from saymask.records import Video
from saymask.video.stills import IMAGE_SUFFIXES

COCO_RULE = "COCO: frames are called as the images; an object is a track_id, or an annotation if there is none"
YTVIS_RULE = "YouTube-VIS: frames are called as the files of the video; an object is an annotation"
VideoOf = Callable[[PurePosixPath, str | None], str]
"""The file name of a frame without its suffix, and the video that the file says it is about -> the name of the frame's video."""


@dataclass(frozen=True)
class Outlines:
    """The masks of one video in a file.

    Args:
        place: the file.
        sizes: height and width that the file says each frame has, None if it says nothing.
        by_object: outlines by frame, by object id.
        by_category: object ids by category name.
        is_relative: whether polygons are in fractions of the frame's width and height.
        rule: the form, how it calls frames, and what an object is.
    """

    place: Path
    sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    by_object: dict[int, dict[str, list[Any]]] = field(default_factory=dict)
    by_category: dict[str, list[int]] = field(default_factory=dict)
    is_relative: bool = False
    rule: str = ""

    @property
    def names(self) -> Sequence[str]:
        return [*map(str, self.by_object), *self.by_category]

    def obj_ids(self, name: str) -> tuple[int, ...]:
        """The object of that number, or all of that category; none if there is neither."""
        if name.isdecimal() and len(name) <= MAX_DIGITS and int(name) in self.by_object:
            return (int(name),)
        return tuple(self.by_category.get(name, ()))

    def where(self, obj_id: int) -> str:
        """What messages call an object."""
        return f"{self.place}: object {obj_id}"

    @property
    def frames(self) -> Sequence[str]:
        """Names of the frames that the file lists."""
        return list(self.sizes)

    def looked_for(self, obj_id: int, frame: str) -> bool:
        """Whether the file lists this frame; without an outline on it, the object is not there."""
        return frame in self.sizes

    def masks(self, obj_ids: Sequence[int], frame: str, video: Video) -> np.ndarray:
        """Objects on one frame -> bool masks_NHW.

        Raises:
            DataError: an outline is none, or of another size.
        """
        return np.stack([self._mask(obj_id, frame, video) for obj_id in obj_ids])

    def painted(self, frames: Iterable[str], video: Video) -> dict[int, int]:
        """Objects are outlined, nothing is painted."""
        return {}

    def has_no_identity(self) -> bool:
        """Whether there are several frames and objects, and each object is on one frame only."""
        return min(len(self.by_object), len(self.sizes)) > 1 and all(len(frames) == 1 for frames in self.by_object.values())

    def _mask(self, obj_id: int, frame: str, video: Video) -> np.ndarray:
        where, wanted = f"{self.where(obj_id)} on frame {frame} of {video.name}", (video.height, video.width)
        mask_HW = np.zeros(wanted, dtype=bool)
        for outline in self.by_object[obj_id].get(frame, ()):
            if self.is_relative:
                outline = [[number * wanted[1 - place % 2] for place, number in enumerate(polygon)] for polygon in outline]
            try:
                filled_HW = fill(outline, *wanted)
            except ValueError as error:
                raise DataError(f"{where}: {error}; export it again with masks or polygons") from None
            for height, width in (filled_HW.shape, self.sizes[frame] or wanted):
                if (height, width) != wanted:
                    size = f"the mask is {width}x{height}, but the frame is {video.width}x{video.height}"
                    raise DataError(f"{where}: {size}; export it in the size of the frames, masks are not scaled")
            mask_HW |= filled_HW
        return mask_HW


def read_outlines_by_video(path: Path, video_of: VideoOf) -> dict[str, Outlines]:
    """Read a COCO or YouTube-VIS file.

    Args:
        path: the file, which exists.
        video_of: which video a frame belongs to.

    Raises:
        DataError: it is neither, is damaged, or has an entry without what it needs.
    """
    content = read_json(path)
    if not isinstance(content, Mapping) or not {"images", "videos"} & content.keys():
        raise DataError(
            f"{path}: neither COCO (images, annotations) nor YouTube-VIS (videos, annotations); export it in one of these forms"
        )
    where = f"{path}: a category"
    categories = need(content, "categories", list, str(path)) if "categories" in content else ()
    names = {need_int(entry, "id", where): need(entry, "name", str, where) for entry in categories}
    info = content.get("info")
    stated = str(info["video"]) if isinstance(info, Mapping) and "video" in info else None
    is_coco = "images" in content
    reader = _Reader(path, lambda frame: video_of(frame, stated), names, COCO_RULE if is_coco else YTVIS_RULE)
    if is_coco:
        reader.read_coco(content)
    else:
        reader.read_ytvis(content)
    return reader.found


@dataclass(frozen=True)
class _Reader:
    """Sorts a file's outlines by video."""

    path: Path
    video_of: Callable[[PurePosixPath], str]
    category_names: Mapping[int, str]
    rule: str
    found: dict[str, Outlines] = field(default_factory=dict)

    def read_coco(self, content: Mapping[str, Any]) -> None:
        frames = {}
        for image in need(content, "images", list, str(self.path)):
            where = f"{self.path}: an image"
            frames[need_int(image, "id", where)] = self._add_frame(need(image, "file_name", str, where), image)
        for place, annotation in enumerate(need(content, "annotations", list, str(self.path)), start=1):
            where = f"{self.path}: annotation {place}"
            image_id, outline = need_int(annotation, "image_id", where), need(annotation, "segmentation", object, where)
            if image_id not in frames:
                raise DataError(f"{where}: no image has the id {image_id}; export the file again")
            track = _track_id(annotation)
            obj_id = need_int(annotation, "id", where) if track is None else need_int({"track_id": track}, "track_id", where)
            self._add_outline(frames[image_id], obj_id, outline, self._category(annotation, where))

    def read_ytvis(self, content: Mapping[str, Any]) -> None:
        frames = {}
        for entry in need(content, "videos", list, str(self.path)):
            where = f"{self.path}: a video"
            file_names = need(entry, "file_names", list, where)
            frames[need_int(entry, "id", where)] = [self._add_frame(str(file_name), entry) for file_name in file_names]
        for place, annotation in enumerate(need(content, "annotations", list, str(self.path)), start=1):
            where = f"{self.path}: annotation {place}"
            video_id, outlines = need_int(annotation, "video_id", where), need(annotation, "segmentations", list, where)
            of_video = frames.get(video_id, [])
            if len(outlines) != len(of_video):
                raise DataError(
                    f"{where}: {len(outlines)} outlines, but video {video_id} has {len(of_video)} frames; export the file again"
                )
            for frame, outline in zip(of_video, outlines, strict=True):
                if outline is not None:
                    self._add_outline(frame, need_int(annotation, "id", where), outline, self._category(annotation, where))

    def _add_frame(self, file_name: str, entry: Mapping[str, Any]) -> tuple[str, str]:
        """Note a frame and the size it is said to have -> its video and its name."""
        path = PurePosixPath(file_name.replace("\\", "/"))
        path = path.with_suffix("") if path.suffix.lower() in IMAGE_SUFFIXES else path
        video_name = self.video_of(path)
        sizes = self.found.setdefault(video_name, Outlines(self.path, rule=self.rule)).sizes
        if path.name in sizes:
            raise DataError(f"{self.path}: frame {file_name} is listed twice; remove one of them")
        where = f"{self.path}: frame {file_name}"
        has_size = {"height", "width"} <= entry.keys()
        sizes[path.name] = (need_int(entry, "height", where), need_int(entry, "width", where)) if has_size else None
        return video_name, path.name

    def _category(self, annotation: Mapping[str, Any], where: str) -> str | None:
        """Name of an annotation's category, None if it has none."""
        return None if annotation.get("category_id") is None else self.category_names.get(need_int(annotation, "category_id", where))

    def _add_outline(self, frame: tuple[str, str], obj_id: int, outline: Any, category: str | None) -> None:
        video_name, frame_name = frame
        video = self.found[video_name]
        video.by_object.setdefault(obj_id, {}).setdefault(frame_name, []).append(outline)
        if category is not None and obj_id not in video.by_category.setdefault(category, []):
            video.by_category[category].append(obj_id)


def _track_id(annotation: Mapping[str, Any]) -> Any:
    """What ties the annotations of one object together, None if there is nothing."""
    attributes = annotation.get("attributes")
    beside = attributes.get("track_id") if isinstance(attributes, Mapping) else None
    return beside if annotation.get("track_id") is None else annotation["track_id"]
