"""Masks of own data as Label Studio exports them in JSON: a task per image, with brushes, polygons and rectangles.

A frame is called as its image, without what Label Studio puts before an uploaded name. Regions know no identity: an object is a label, or
a label and the text that the region was given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from saymask.datasets.annotation_files import need, need_int, read_json
from saymask.datasets.own.outlines import Outlines
from saymask.errors import DataError
from saymask.records import Rle
from saymask.video.label_studio_rle import decode

RULE = "Label Studio: frames are called as the images; an object is a label, or a label and the text of its regions"
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")


def is_label_studio(content: Any) -> bool:
    """Whether a JSON file's content is a list of its tasks."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, Mapping) and "data" in first and ("annotations" in first or "predictions" in first)


def read_label_studio(path: Path) -> Outlines:
    """Read an export "JSON" of Label Studio, or tasks that were made for it.

    Raises:
        DataError: it is damaged, a task was annotated twice, or a region is of another kind.
    """
    outlines = Outlines(path, rule=RULE)
    objects: dict[tuple[str, str], int] = {}
    for place, task in enumerate(read_json(path), start=1):
        where = f"{path}: task {place}"
        frame = _frame_name(need(task, "data", dict, where), where)
        if frame in outlines.sizes:
            raise DataError(f"{where}: the image {frame} has a task already; remove one of them")
        outlines.sizes[frame] = None
        for region in _regions(task, where):
            kind = need(region, "type", str, where)
            value = need(region, "value", dict, where)
            label = _label(value, kind, where)
            text = region.get("meta", {}).get("text", "") if isinstance(region.get("meta"), Mapping) else ""
            obj_id = objects.setdefault((label, str(text)), len(objects) + 1)
            of_label = outlines.by_category.setdefault(label, [])
            if obj_id not in of_label:
                of_label.append(obj_id)
            size = (need_int(region, "original_height", where), need_int(region, "original_width", where))
            outlines.sizes[frame] = size
            outlines.by_object.setdefault(obj_id, {}).setdefault(frame, []).append(_outline(value, kind, size, where))
    return outlines


def _frame_name(data: Mapping[str, Any], where: str) -> str:
    address = next((value for value in [data.get("image"), *data.values()] if isinstance(value, str)), None)
    if address is None:
        raise DataError(f"{where}: names no image; export it again")
    path = PurePosixPath(address.rpartition("?d=")[2])
    return _UPLOAD.sub("", path.stem)


def _regions(task: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    """What the annotator has drawn; before there is one, what was predicted."""
    annotations = [entry for entry in task.get("annotations") or () if not entry.get("was_cancelled")]
    found = annotations or list(task.get("predictions") or ())
    if len(found) > 1:
        raise DataError(f"{where}: {len(found)} annotations of one image; keep one of them, so that it is clear which one counts")
    return need(found[0], "result", list, where) if found else ()


def _label(value: Mapping[str, Any], kind: str, where: str) -> str:
    labels = value.get(kind)
    if not isinstance(labels, list) or len(labels) != 1:
        raise DataError(f"{where}: a region of the kind {kind!r} with the labels {labels!r}, expected one; label it again")
    return str(labels[0])


def _outline(value: Mapping[str, Any], kind: str, size: tuple[int, int], where: str) -> Any:
    """A region as COCO writes it: polygons in pixels, or an RLE."""
    height, width = size
    if kind == "polygonlabels":
        points = need(value, "points", list, where)
        return [[number for x, y in points for number in (float(x) / 100 * width, float(y) / 100 * height)]]
    if kind == "rectanglelabels":
        left, top, wide, high = (float(value[name]) / 100 for name in ("x", "y", "width", "height"))
        corners = [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)]
        return [[number for x, y in corners for number in (x * width, y * height)]]
    if kind != "brushlabels" or value.get("format") != "rle":
        raise DataError(f"{where}: a region of the kind {kind!r}, of which only brushes, polygons and rectangles are masks; draw it again")
    try:
        mask_HW = decode(need(value, "rle", list, where), height, width)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{where}: a brush that cannot be read ({error}); export it again") from None
    return {"size": [height, width], "counts": Rle.encode(mask_HW).counts.tolist()}
