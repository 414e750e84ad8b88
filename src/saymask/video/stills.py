"""Images as videos: one image is a video of one frame, a folder of frames is a video at 24 frames per second.

Only headers are read when opening; pixels are decoded when asked for, one image at a time. EXIF orientation is applied, transparency is
dropped, 16-bit grey is reduced to 8 bits: frames are always uint8 (H, W, 3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from saymask.errors import VideoError
from saymask.records import Video
from saymask.storage.image_files import opened_image
from saymask.video.limits import ReadLimits

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_OTHER_IMAGES = (".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".tga", ".exr", ".dpx", ".dng", ".jfif", ".jpe", ".gif")
_TWELVE_BITS = 4095
_FOLDER_FPS = 24.0
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_PAGED_FORMATS = ("PNG", "WEBP", "TIFF")  # an MPO's further images are previews or a second lens, not frames
_DAMAGE = (OSError, SyntaxError, ValueError)  # what Pillow raises for broken files
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)


def natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sort key under which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def image_files(folder: Path) -> list[Path]:
    """The images directly inside a folder, in natural order."""
    images = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."))
    return sorted(images, key=natural_key)


def is_image(path: Path) -> bool:
    """Whether the content, not the name, is that of an image format read here."""
    try:
        with opened_image(path, _FORMATS):
            return True
    except UnidentifiedImageError:
        return False
    except PermissionError:
        raise
    except (Image.DecompressionBombError, *_DAMAGE):
        return True  # an image, but not a sound one: `open_image` says what is wrong with it


def open_image(path: Path, limits: ReadLimits) -> Video:
    """Open one image; it is decoded once now, so that damage shows here and not in the middle of the work."""
    width, height = _shown_size(path, limits)
    _decode(path)
    return Video(
        name=path.stem,
        source=str(path),
        height=height,
        width=width,
        timestamps_T=np.zeros(1),
        duration=1 / _FOLDER_FPS,
        read=ImageFrames((path,), (height, width)),
        frame_names=(path.stem,),
        frame_files={path.stem: path.name},
        remarks=_remarks(path),
    )


def open_frames(folder: Path, limits: ReadLimits) -> Video:
    """Open a folder of equally large images as a video.

    Raises:
        VideoError: no images, two with one stem, or one whose size differs from the first.
    """
    paths = image_files(folder)
    if not paths:
        raise VideoError(f"{folder}: the folder has no images ({', '.join(IMAGE_SUFFIXES)}); give a folder of frames or a video file")
    limits.check_count(folder, len(paths))
    _refuse_left_out(folder, paths)
    width, height = _shown_size(paths[0], limits)
    first_with: dict[str, Path] = {}
    for path in paths:
        other_width, other_height = _shown_size(path, limits)
        if (other_width, other_height) != (width, height):
            raise VideoError(
                f"{path}: {other_width}x{other_height}, but {paths[0].name} is {width}x{height}; "
                f"frames of one video need one size: resize them, or give '{folder}/*{path.suffix}' to treat each image alone"
            )
        twin = first_with.setdefault(path.stem, path)
        if twin is not path:
            raise VideoError(f"{path}: {twin.name} has the same name; frames need names of their own, so rename or remove one")

    return Video(
        name=folder.resolve().name,
        source=str(folder),
        height=height,
        width=width,
        timestamps_T=np.arange(len(paths)) / _FOLDER_FPS,
        duration=len(paths) / _FOLDER_FPS,
        read=ImageFrames(tuple(paths), (height, width)),
        frame_names=tuple(path.stem for path in paths),
        frame_files={path.stem: path.name for path in paths},
        remarks=_remarks(paths[0]),
    )


def _refuse_left_out(folder: Path, taken: Sequence[Path]) -> None:
    """Raises VideoError for an image that is in the folder but not among its frames: a frame must not be dropped without a word."""
    for path in sorted(folder.iterdir(), key=natural_key):
        is_other = path not in taken and path.is_file() and not path.name.startswith(".")
        if is_other and (path.suffix.lower() in _OTHER_IMAGES or is_image(path)):
            raise VideoError(
                f"{path}: an image under a suffix that is not read among frames ({', '.join(IMAGE_SUFFIXES)}); "
                "convert or rename it, or move it out of the folder"
            )


def _remarks(path: Path) -> tuple[str, ...]:
    """What to know of the brightness of one image."""
    with opened_image(path, _FORMATS) as image:
        if not image.mode.startswith("I;16"):
            return ()
        brightest = int(np.asarray(image).max())
    if not 0 < brightest <= _TWELVE_BITS:
        return ()
    return (
        f"{path.name} has 16 bits, but its brightest value is {brightest}: of a camera with 12 bits it is nearly black; scale its values",
    )


@dataclass(frozen=True)
class ImageFrames:
    """Reads images of one (height, width) as frames."""

    paths: tuple[Path, ...] = field(repr=False)
    size: tuple[int, int]

    def __call__(self, frame_idx: Sequence[int]) -> np.ndarray:
        wanted = np.asarray(frame_idx, dtype=np.int64)
        frames_THWC = np.empty((len(wanted), *self.size, 3), dtype=np.uint8)
        for index in np.unique(wanted).tolist():
            frames_THWC[wanted == index] = _decode(self.paths[index])
        return frames_THWC


def _shown_size(path: Path, limits: ReadLimits) -> tuple[int, int]:
    """Width and height from the header, as they are after the EXIF orientation is applied."""
    if not path.is_file():
        raise VideoError(f"{path}: not a regular file (a folder, a pipe, a device or a link to nowhere); replace it or remove it")
    try:
        with opened_image(path, _FORMATS) as image:
            width, height = image.size
            limits.check_size(path, width, height)
            pages = getattr(image, "n_frames", 1)
            if pages > 1 and image.format in _PAGED_FORMATS:
                raise VideoError(f"{path}: an image with {pages} frames; convert it to a GIF, an mp4 or a folder of frames")
            return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)
    except Image.DecompressionBombError:
        raise VideoError(f"{path}: the image is over the limit of {limits.max_pixels} pixels; scale it down") from None
    except UnidentifiedImageError:
        raise VideoError(f"{path}: not an image, whatever its name; replace it or remove it") from None
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def _orientation(image: Image.Image) -> int:
    """EXIF orientation from the header. A PNG is not searched behind its pixels: that would decode it."""
    has_exif = image.format != "PNG" or "exif" in image.info
    return image.getexif().get(_ORIENTATION, 1) if has_exif else 1


def _decode(path: Path) -> np.ndarray:
    """Pixels of one image -> uint8 frame_HWC."""
    try:
        with opened_image(path, _FORMATS) as image:
            upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
            if upright.mode.startswith("I;16"):
                grey_HW = (np.asarray(upright) >> 8).astype(np.uint8)
                return np.repeat(grey_HW[..., None], 3, axis=-1)
            if upright.mode in ("I", "F"):
                raise VideoError(f"{path}: 32-bit pixels have no fixed range of brightness; save it with 8 or 16 bits")
            return np.asarray(upright.convert("RGB"))
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> VideoError:
    return VideoError(f"{path}: the image is damaged or cut off ({error}); download or export it again")
