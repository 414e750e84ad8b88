"""`mask_dict.json`: the masks of every object of a split in one file, {"<anno_id>": [COCO RLE or null, one per frame]}.

These files reach hundreds of megabytes, several gigabytes once parsed. So the file is searched once for where each object's list
begins, and only the lists that a sample needs are parsed, when its masks are asked for.
"""

from __future__ import annotations

import json
import mmap
import re
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
    """The masks of expressions whose `obj_ids` are the file's anno_ids."""

    path: Path

    def __call__(self, item: Item, video: Video) -> np.ndarray:
        """Union of the expression's objects -> bool masks_THW; nothing but background if it has none.

        Raises:
            DataError: an object is not in the file, or its masks do not fit the video.
        """
        masks_THW = np.zeros((video.num_frames, video.height, video.width), dtype=bool)
        for anno_id in item.expression.obj_ids:
            self._add_object(anno_id, video, masks_THW)
        return masks_THW

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

    def _add_object(self, anno_id: int, video: Video, masks_THW: np.ndarray) -> None:
        """Draw one object into the masks."""
        where = f"{self.path}: anno_id {anno_id} of {video.name}"
        rles = self._parse(anno_id, where)
        if len(rles) != video.num_frames:
            raise DataError(f"{where}: {len(rles)} masks for {video.num_frames} frames; {_REMEDY}")
        for mask_HW, rle, frame_name in zip(masks_THW, rles, video.frame_names, strict=True):
            if rle is None:
                continue
            try:
                found = read_rle(rle)
            except ValueError as error:
                raise DataError(f"{where}, frame {frame_name}: {error}; {_REMEDY}") from None
            if (found.height, found.width) != mask_HW.shape:
                raise DataError(
                    f"{where}, frame {frame_name}: the mask is {found.width}x{found.height}, but the frame is "
                    f"{video.width}x{video.height}; masks and frames are of different releases, download both again"
                )
            mask_HW |= found.decode()

    def _parse(self, anno_id: int, where: str) -> list[Any]:
        """The list of one object as it stands in the file."""
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
        return rles
