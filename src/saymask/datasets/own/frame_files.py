"""Masks of own data as one text file per frame: labelme's JSON and the labels of YOLO segmentation.

labelme: {"shapes": [{"label", "points": [[x, y] ...], "group_id", "shape_type"}], "imageHeight", "imageWidth"}, in pixels.
YOLO: a line `class x y x y ...` per outline, in fractions of the frame.
Neither knows which outline continues which: an object is called by its label or class, which stands for all of it on every frame, or by
labelme's `group_id`. A frame whose file lists no outline is one on which nothing is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from saymask.datasets.annotation_files import need, need_int, read_json
from saymask.datasets.own.outlines import Outlines
from saymask.errors import DataError
from saymask.storage.json_files import read_text

READ_FORMS = "PNG, COCO, YouTube-VIS, CVAT's XML, labelme, YOLO segmentation, Label Studio or MOTS (docs/own-data.md)"
LABELME_RULE = "labelme: frames are called as the files; an object is a label, or a label and a group_id"
YOLO_RULE = "YOLO segmentation: frames are called as the files; an object is a class"
YOLO_LISTS = ("classes.txt", "obj.names.txt", "train.txt", "valid.txt", "notes.txt")
"""Files that lie beside YOLO's labels and are none."""
_MAX_BYTES = 2**26


def is_labelme(path: Path) -> bool:
    """Whether a JSON file is of labelme; one that cannot be read is not."""
    try:
        content = read_json(path)
    except DataError:
        return False
    return isinstance(content, Mapping) and isinstance(content.get("shapes"), list)


def read_labelme(place: Path, files: Sequence[Path]) -> Outlines:
    """Read the files of one video, each named after its frame.

    Raises:
        DataError: a file is damaged or of another form, or a shape is neither a polygon nor a rectangle.
    """
    outlines = Outlines(place, rule=LABELME_RULE)
    groups: dict[tuple[str, Any], int] = {}
    for path in files:
        content = read_json(path)
        shapes = need(content, "shapes", list, str(path))
        outlines.sizes[path.stem] = (need_int(content, "imageHeight", str(path)), need_int(content, "imageWidth", str(path)))
        for place_in_file, shape in enumerate(shapes, start=1):
            where = f"{path}: shape {place_in_file}"
            label = need(shape, "label", str, where)
            key = (label, str(shape.get("group_id")))
            obj_id = groups.setdefault(key, len(groups) + 1)
            of_label = outlines.by_category.setdefault(label, [])
            if obj_id not in of_label:
                of_label.append(obj_id)
            outlines.by_object.setdefault(obj_id, {}).setdefault(path.stem, []).append([_labelme_polygon(shape, where)])
    return outlines


def _labelme_polygon(shape: Mapping[str, Any], where: str) -> list[Any]:
    """Corners of a polygon or rectangle as COCO writes them: x, y, x, y …"""
    kind = shape.get("shape_type", "polygon")
    points = need(shape, "points", list, where)
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise DataError(f"{where}: its points are {str(points)[:40]}, expected pairs of numbers; draw it again")
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    elif kind != "polygon":
        raise DataError(f"{where}: a {kind}, of which only polygons and rectangles are masks; draw it as a polygon")
    return [number for point in points for number in point]


def read_yolo(place: Path, files: Sequence[Path]) -> Outlines:
    """Read the files of one video, each named after its frame; an object is called by the number of its class.

    Raises:
        DataError: a line is no outline; a box has four numbers and is named as such.
    """
    outlines = Outlines(place, is_relative=True, rule=YOLO_RULE)
    for path in files:
        outlines.sizes[path.stem] = None
        for number, line in enumerate(read_text(path, DataError, "put a label file there", max_bytes=_MAX_BYTES).splitlines(), start=1):
            if line.strip():
                obj_id, polygon = _yolo_line(line.split(), f"{path} line {number}")
                outlines.by_object.setdefault(obj_id, {}).setdefault(path.stem, []).append([polygon])
    return outlines


def _yolo_line(cells: Sequence[str], where: str) -> tuple[int, list[float]]:
    """One line: the class, and the corners in fractions of the frame."""
    try:
        corners = [float(cell) for cell in cells[1:]]
    except ValueError:
        corners = []
    if not (cells[0].isascii() and cells[0].isdecimal() and len(cells[0]) < 10 and corners):
        raise DataError(f"{where}: {' '.join(cells)[:40]!r} is no line of YOLO segmentation (class x y x y ...); export it in {READ_FORMS}")
    if len(corners) == 4:
        raise DataError(f"{where}: a box of YOLO detection, not an outline; export the masks as YOLO segmentation, PNG or COCO")
    if not all(isfinite(number) and -1 <= number <= 2 for number in corners):
        raise DataError(
            f"{where}: corners are fractions of the frame from 0 to 1, but one of them is {max(corners, key=abs)}; export it again"
        )
    return int(cells[0]), corners
