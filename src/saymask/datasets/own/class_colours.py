"""Masks of own data as CVAT exports "Segmentation mask 1.1": images in the colours of labels, and labelmap.txt, which says them.

    <place>/labelmap.txt                       fish:250,50,83::
    <place>/SegmentationClass/<frame>.png

An object is a label. (The images in SegmentationObject tell objects apart on one frame, but not from one frame to the next.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.mask_images import read_pixels
from saymask.datasets.own.images import REMEDIES, images_in
from saymask.errors import DataError
from saymask.records import Video
from saymask.storage.json_files import read_text

LABEL_MAP, CLASSES = "labelmap.txt", "SegmentationClass"
_LINE = re.compile(r"(?P<label>.+?):(?P<red>\d{1,3}),(?P<green>\d{1,3}),(?P<blue>\d{1,3}):")
_MAX_BYTES = 2**24


@dataclass(frozen=True)
class ClassColours:
    """One colour per label.

    Args:
        place: folder with the label map.
        colours: by label; the first label has the id 1.
        files: by frame.
    """

    place: Path
    colours: Mapping[str, tuple[int, int, int]]
    files: Mapping[str, Path]

    rule = "CVAT's Segmentation mask 1.1: frames are called as the images; an object is a label"

    @classmethod
    def find(cls, place: Path) -> ClassColours:
        """Read the label map, and list the images.

        Raises:
            DataError: a line of the label map is none.
        """
        path = place / LABEL_MAP
        colours: dict[str, tuple[int, int, int]] = {}
        for number, line in enumerate(read_text(path, DataError, "export the masks again", max_bytes=_MAX_BYTES).splitlines(), start=1):
            if line.strip() and not line.startswith("#"):
                found = _LINE.match(line)
                if found is None:
                    raise DataError(f"{path} line {number}: {line[:40]!r} is not of a label map (label:r,g,b::); export it again")
                if found["label"] != "background":
                    colours[found["label"]] = (int(found["red"]), int(found["green"]), int(found["blue"]))
        return cls(place, colours, {file.stem: file for file in images_in((place / CLASSES).iterdir())})

    @property
    def names(self) -> Sequence[str]:
        return list(self.colours)

    def obj_ids(self, name: str) -> tuple[int, ...]:
        """The label of that name."""
        return tuple(place for place, label in enumerate(self.colours, start=1) if label == name)

    def where(self, obj_id: int) -> str:
        """What messages call an object."""
        return f"{self.place}: label {self.names[obj_id - 1]!r}"

    @property
    def frames(self) -> Sequence[str]:
        """Names of the frames that have an image."""
        return list(self.files)

    def looked_for(self, obj_id: int, frame: str) -> bool:
        """Whether there is an image of this frame, which shows every label."""
        return frame in self.files

    def masks(self, obj_ids: Sequence[int], frame: str, video: Video) -> np.ndarray:
        """Labels on one frame -> bool masks_NHW.

        Raises:
            DataError: the image is damaged, of another size, or has a colour that no label has.
        """
        path = self.files[frame]
        pixels = read_pixels(path, video, REMEDIES)
        if pixels.ndim == 2:
            raise DataError(f"{path}: numbers instead of colours; labels are told apart by the colours of {LABEL_MAP}: export it again")
        known = {(0, 0, 0), *self.colours.values()}
        others = [tuple(colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0).tolist() if tuple(colour) not in known]
        if others:
            raise DataError(f"{path}: the colour {others[0]} is not in {LABEL_MAP}; it was compressed or resized: export it again")
        wanted = [self.colours[self.names[obj_id - 1]] for obj_id in obj_ids]
        return np.stack([(pixels == np.array(colour)).all(axis=-1) for colour in wanted])

    def painted(self, frames: Iterable[str], video: Video) -> dict[int, int]:
        """Labels are colours, not numbers."""
        return {}
