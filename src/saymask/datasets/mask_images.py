"""Masks stored as PNG: label maps, in which a pixel's number is its object, and black-and-white masks of one object.

Masks must have the size of their frames: one of another size belongs to another release.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from saymask.errors import DataError
from saymask.records import Video
from saymask.storage.image_files import opened_image


def read_label_map(path: Path, video: Video) -> np.ndarray:
    """Read a PNG whose pixels are object numbers (palette or grey) -> labels_HW of the video's size.

    Raises:
        DataError: it is damaged, in colour, or of another size than the video's frames.
    """
    pixels = read_pixels(path, video)
    if pixels.ndim == 3:
        raise DataError(f"{path}: an image in colour, but a label map has one number per pixel; download the annotations again")
    return pixels


def read_binary_mask(path: Path, video: Video) -> np.ndarray:
    """Read a PNG in which everything that is not black is the object -> bool mask_HW of the video's size.

    Raises:
        DataError: it is damaged, or of another size than the video's frames.
    """
    pixels = read_pixels(path, video)
    return np.atleast_3d(pixels).max(-1) > 0


class Remedies(NamedTuple):
    """What to do about a mask that cannot be read, and about one of another size than its frame."""

    damaged: str
    misfit: str


_OF_A_RELEASE = Remedies("unpack or download it again", "frames and annotations are of different releases, download both again")


def read_pixels(path: Path, video: Video, remedies: Remedies = _OF_A_RELEASE) -> np.ndarray:
    """Numbers of a palette or grey image (H, W), or colours (H, W, 3); transparency is dropped.

    Raises:
        DataError: it is damaged, or of another size than the video's frames.
    """
    try:
        with opened_image(path, ("PNG",)) as image:
            if image.size != (video.width, video.height):
                raise DataError(
                    f"{path}: the mask is {image.width}x{image.height}, but the frames of {video.name} are {video.width}x{video.height}; "
                    f"{remedies.misfit}"
                )
            return np.asarray(image.convert("RGB") if image.mode in ("RGBA", "LA", "PA") else image)
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: the mask is far larger than any frame ({error}); replace it with a mask of its frame's size") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: the mask is damaged or cut off ({error}); {remedies.damaged}") from None
