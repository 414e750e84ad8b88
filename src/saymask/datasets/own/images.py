"""Masks of own data as PNG: black and white ones, a folder for each object, or label maps, in which a pixel's number is its object.

A frame without an image is one that nobody has looked at; where an object is not there, its image is black. Images are read strictly:
what was compressed, resized or drawn in colours is an error, because it would be trained on with outlines that nobody meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.annotation_files import MAX_DIGITS
from saymask.datasets.mask_images import Remedies, read_pixels
from saymask.errors import DataError
from saymask.records import Video
from saymask.storage.image_files import opened_image
from saymask.video.stills import IMAGE_SUFFIXES

_WHITE, _MAX_SHADES = 255, 8  # a mask drawn in white, and fewer values beside it than a soft edge has
_NO_MASKS = ("overlay", "sheet")
REMEDIES = Remedies("export it again", "save it in the size of the frame, masks are not scaled")


@dataclass(frozen=True)
class ObjectImages:
    """`<place>/<object>/<frame>.png`, black outside the object and one other value inside.

    An object is called by its folder's path. The name of a folder that holds several objects stands for all of them.

    Args:
        place: folder of the video's masks.
        files: file by frame, by object; the first object has the id 1.
    """

    place: Path
    files: Mapping[str, Mapping[str, Path]]

    rule = "black-and-white PNG: frames are called as the files; an object is a folder"

    @classmethod
    def find(cls, place: Path) -> ObjectImages:
        """Look through the folders below `place`."""
        files: dict[str, dict[str, Path]] = {}
        for path in images_in(place.rglob("*")):
            if path.parent != place:
                files.setdefault(path.parent.relative_to(place).as_posix(), {})[path.stem] = path
        return cls(place, files)

    @property
    def names(self) -> Sequence[str]:
        return list(self.files)

    def obj_ids(self, name: str) -> tuple[int, ...]:
        """Ids of the objects in the folder `name`; none if there is no such folder."""
        return tuple(i for i, folder in enumerate(self.files, start=1) if folder == name or folder.startswith(f"{name}/"))

    def where(self, obj_id: int) -> str:
        """What messages call an object."""
        return str(self.place / self.names[obj_id - 1])

    @property
    def frames(self) -> Sequence[str]:
        """Names of the frames for which an object has an image."""
        return sorted({name for files in self.files.values() for name in files})

    def looked_for(self, obj_id: int, frame: str) -> bool:
        """Whether the object has an image of this frame."""
        return frame in self._of(obj_id)

    def masks(self, obj_ids: Sequence[int], frame: str, video: Video) -> np.ndarray:
        """Objects on one frame -> bool masks_NHW.

        Raises:
            DataError: an image is damaged, of another size, in colour, transparent, or has grey values.
        """
        return np.stack([self._mask(self._of(obj_id)[frame], video) for obj_id in obj_ids])

    def painted(self, frames: Iterable[str], video: Video) -> dict[int, int]:
        """Objects are folders, not numbers."""
        return {}

    def _mask(self, path: Path, video: Video) -> np.ndarray:
        """One black-and-white image -> bool mask_HW."""
        pixels_HW = _read_grey(path, video)
        inside_HW = pixels_HW > 0
        values = np.unique(pixels_HW[inside_HW])
        if len(values) > 1:
            raise DataError(
                f"{path}: {len(values)} values beside black, from {values[0]} to {values[-1]}, but a mask has one; it was compressed, "
                "resized or drawn with soft edges: save it as a PNG of black (0) and white (255)"
            )
        return inside_HW

    def _of(self, obj_id: int) -> Mapping[str, Path]:
        return self.files[self.names[obj_id - 1]]


@dataclass(frozen=True)
class LabelImages:
    """`<place>/<frame>.png`, palette or grey: 0 is background, every other number an object, which is called by it.

    Args:
        place: folder of the video's masks, or the only image.
        files: file by frame.
    """

    place: Path
    files: Mapping[str, Path]

    rule = "label maps as of DAVIS: frames are called as the files; an object is the number of its pixels"

    @classmethod
    def find(cls, place: Path) -> LabelImages:
        """Look into the folder `place`, or take the one image that it is."""
        paths = [place] if place.is_file() else images_in(place.iterdir())
        return cls(place, {path.stem: path for path in paths})

    @property
    def names(self) -> Sequence[str]:
        return ["a number above 0"]

    def obj_ids(self, name: str) -> tuple[int, ...]:
        """The number itself; whether it is painted anywhere, only the label maps know."""
        return (int(name),) if name.isdecimal() and len(name) <= MAX_DIGITS and int(name) else ()

    def where(self, obj_id: int) -> str:
        """What messages call an object."""
        return f"{self.place}: object {obj_id}"

    @property
    def frames(self) -> Sequence[str]:
        """Names of the frames that have an image."""
        return list(self.files)

    def looked_for(self, obj_id: int, frame: str) -> bool:
        """Whether there is an image of this frame, which shows every object."""
        return frame in self.files

    def masks(self, obj_ids: Sequence[int], frame: str, video: Video) -> np.ndarray:
        """Objects on one frame, whose label map is read once for all of them -> bool masks_NHW.

        Raises:
            DataError: the image is damaged, of another size, or in colour.
        """
        labels_HW = self._labels(self.files[frame], video)
        if _WHITE in obj_ids and len(shades := np.setdiff1d(labels_HW, [0, *obj_ids])) > _MAX_SHADES:
            raise DataError(
                f"{self.files[frame]}: {len(shades)} values between black and the named object {_WHITE}, from {shades[0]} to {shades[-1]}; "
                "the mask has soft edges, which would be cut off: save it as black (0) and white (255)"
            )
        return labels_HW == np.array(obj_ids)[:, None, None]

    def painted(self, frames: Iterable[str], video: Video) -> dict[int, int]:
        """How many of these frames' label maps have which number above 0; those that cannot be read are left out."""
        count: Counter[int] = Counter()
        for frame in frames:
            try:
                count.update(np.unique(self._labels(self.files[frame], video)).tolist())
            except DataError:
                continue
        return {number: count[number] for number in sorted(count) if number}

    def _labels(self, path: Path, video: Video) -> np.ndarray:
        labels = _read(path, video)
        if labels.ndim == 3:
            raise DataError(
                f"{path}: an image in colour, but a label map has one number per pixel; save it with a palette or in grey, "
                "or make a folder of black-and-white masks for each object"
            )
        return labels


def images_in(paths: Iterable[Path]) -> list[Path]:
    """The images among some paths, in order; hidden ones, and what `saymask segment` writes to be looked at, are left out."""
    shown = (path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."))
    return sorted(path for path in shown if path.stem not in _NO_MASKS)


def _read_grey(path: Path, video: Video) -> np.ndarray:
    """Grey values (H, W) of a mask, as it looks: with a palette, the numbers of its colours mean nothing."""
    pixels = _read(path, video)
    with opened_image(path, ("PNG",)) as image:
        if pixels.ndim == 2 and image.mode != "P":
            return pixels
        colours_HWC, alpha_HW = np.split(np.asarray(image.convert("RGBA")), [3], axis=-1)
    pixels_HW = colours_HWC.max(-1)
    remedy = "save it as a PNG of black (0) and white (255)"
    if (colours_HWC != pixels_HW[..., None]).any():
        raise DataError(f"{path}: an image in colour, but the mask of one object is black and white; {remedy}")
    if (alpha_HW[..., 0][pixels_HW > 0] < 255).any():
        raise DataError(f"{path}: what is drawn is transparent, so where the object ends is unclear; {remedy}, without transparency")
    return pixels_HW


def _read(path: Path, video: Video) -> np.ndarray:
    """Numbers (H, W) or colours (H, W, 3) of a mask."""
    if path.suffix.lower() != ".png":
        raise DataError(f"{path}: masks are PNG; other formats blur outlines or cannot number objects: export it as PNG")
    return read_pixels(path, video, REMEDIES)
