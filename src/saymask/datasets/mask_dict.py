"""`mask_dict.json`: the masks of every object of a split in one file, {"<anno_id>": [COCO RLE or null, one per frame]}.

These files reach hundreds of megabytes, several gigabytes once parsed. So the file is searched once for where each object's list
begins, and only the lists that a sample needs are parsed, when its masks are asked for.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Item
from saymask.video.coco_rle import read_rle

_REMEDY = "download it again, and the expressions with it"
# Inside a string of run lengths there is no quotation mark, so nothing but the key of an object looks like this.
_OBJECT_KEY = re.compile(rb'"(\d+)"\s*:\s*\[')


@dataclass(frozen=True)
class MaskDict:
    """The masks of expressions whose `obj_ids` are the file's anno_ids; called, they are the masks of a `ClipReader`."""

    path: Path

    def __call__(self, item: Item, video: Video, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        """The expression's objects -> for each frame bool masks_NHW.

        Raises:
            DataError: an object is not in the file, or its masks do not fit the video.
        """
        rles_of = {anno_id: self._rles(anno_id, video) for anno_id in item.expression.obj_ids}
        for index in frame_idx:
            masks_NHW = np.zeros((len(item.expression.obj_ids), video.height, video.width), dtype=bool)
            for mask_HW, anno_id in zip(masks_NHW, item.expression.obj_ids, strict=True):
                rle = rles_of[anno_id][index]
                if rle is not None:
                    mask_HW[:] = self._decode(rle, f"{self._where(anno_id, video)}, frame {video.frame_names[index]}", video)
            yield masks_NHW

    def place(self, item: Item) -> Path:
        """The file."""
        return self.path

    def impossible_values(self, items: Sequence[Item], video: Video) -> Iterator[str]:
        """Run lengths have no values that could be wrong."""
        return iter(())

    @cached_property
    def spans(self) -> dict[int, tuple[int, int]]:
        """Where the list of each anno_id lies in the file: the bytes from its opening bracket to before the next key.

        Raises:
            DataError: the file is empty, cut off, of another kind, or has one anno_id twice.
        """
        starts: dict[int, int] = {}
        ends: list[int] = []
        with self.path.open("rb") as file:
            if self.path.stat().st_size == 0:
                raise DataError(f"{self.path}: the file is empty; {_REMEDY}")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                for key in _OBJECT_KEY.finditer(data):
                    anno_id = int(key[1])
                    if anno_id in starts:
                        raise DataError(f"{self.path}: anno_id {anno_id} occurs twice; {_REMEDY}")
                    starts[anno_id] = key.end() - 1
                    ends.append(key.start())
                tail = data[max(0, len(data) - 64) :].rstrip()
                ends.append(len(data))
        if not starts:
            raise DataError(f"{self.path}: holds no masks by anno_id; {_REMEDY}")
        if not tail.endswith(b"}"):
            raise DataError(f"{self.path}: the file is cut off; {_REMEDY}")
        return dict(zip(starts, zip(starts.values(), ends[1:], strict=True), strict=True))

    def _where(self, anno_id: int, video: Video) -> str:
        """What messages call an object."""
        return f"{self.path}: anno_id {anno_id} of {video.name}"

    def _decode(self, rle: Any, where: str, video: Video) -> np.ndarray:
        """The mask of one object on one frame."""
        try:
            found = read_rle(rle)
        except ValueError as error:
            raise DataError(f"{where}: {error}; {_REMEDY}") from None
        if (found.height, found.width) != (video.height, video.width):
            raise DataError(
                f"{where}: the mask is {found.width}x{found.height}, but the frame is {video.width}x{video.height}; "
                "masks and frames are of different releases, download both again"
            )
        return found.decode()

    def _rles(self, anno_id: int, video: Video) -> list[Any]:
        """The list of one object as it stands in the file: a mask or None for each frame."""
        where = self._where(anno_id, video)
        if anno_id not in self.spans:
            raise DataError(f"{where}: not in the file; {_REMEDY}")
        start, end = self.spans[anno_id]
        with self.path.open("rb") as file:
            file.seek(start)
            text = file.read(end - start)
        try:
            rles, _ = json.JSONDecoder().raw_decode(text.decode("utf-8"))
        except ValueError as error:
            raise DataError(f"{where}: not valid JSON ({error}); {_REMEDY}") from None
        if len(rles) != video.num_frames:
            raise DataError(f"{where}: {len(rles)} masks for {video.num_frames} frames; {_REMEDY}")
        return rles
