"""Masks of own data as MOTS writes them: a text file per video with a line `frame id class height width rle` per object and frame.

Frames are numbers, from 0 (KITTI) or 1 (MOTChallenge); every frame from the first to the last is annotated. An object is its id. Lines of
class 10, regions to be ignored, are no objects.
"""

from __future__ import annotations

from pathlib import Path

from saymask.datasets.own.outlines import Outlines
from saymask.errors import DataError
from saymask.storage.json_files import read_text

RULE = "MOTS: frames are numbers, each from the first to the last annotated; an object is its id"
_IGNORED = 10
_CELLS = 6
_MAX_BYTES = 2**30


def is_mots(path: Path) -> bool:
    """Whether a text file is of MOTS: six cells a line, of which YOLO's labels never have as many."""
    try:
        lines = read_text(path, DataError, "", max_bytes=_MAX_BYTES).splitlines()
    except DataError:
        return False
    return next((len(line.split()) == _CELLS for line in lines if line.strip()), False)


def read_mots(path: Path) -> Outlines:
    """Read the file of one video.

    Raises:
        DataError: a line is none of MOTS.
    """
    outlines = Outlines(path, rule=RULE)
    sizes: dict[int, tuple[int, int]] = {}
    for number, line in enumerate(read_text(path, DataError, "put MOTS lines there", max_bytes=_MAX_BYTES).splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.split()
        if len(cells) != _CELLS or not all(cell.isascii() and cell.isdecimal() and len(cell) < 10 for cell in cells[:-1]):
            raise DataError(f"{path} line {number}: {line[:40]!r} is no line of MOTS (frame id class height width rle); export it again")
        frame, obj_id, class_id, height, width = map(int, cells[:-1])
        sizes[frame] = (height, width)
        if class_id != _IGNORED:
            of_frame = outlines.by_object.setdefault(obj_id, {}).setdefault(str(frame), [])
            of_frame.append({"size": [height, width], "counts": cells[-1]})
            of_class = outlines.by_category.setdefault(f"class {class_id}", [])
            if obj_id not in of_class:
                of_class.append(obj_id)
    for frame in range(min(sizes, default=0), max(sizes, default=-1) + 1):
        outlines.sizes[str(frame)] = sizes.get(frame)
    return outlines
