"""What editors put over one another: colours with transparency, mattes, and videos of which a part is cut out or blurred.

Each query gives one file, `<format>/<query>.<suffix>`, about all of its objects, with the source's frames, times and pixel aspect; of an
image it is a PNG.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from saymask.errors import VideoError
from saymask.exports.encoder import H264, MATTE, PRORES_4444, VP9_ALPHA, Encoding, write_video
from saymask.exports.writer import each_frame, query_slugs
from saymask.records import Prediction, QueryResult
from saymask.storage.atomic import new_folder

Layer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""uint8 frame_HWC and bool mask_HW -> uint8 frame_HWC, with a fourth channel where there is transparency."""
_BLUR_SHARE = 1 / 16
"""Radius of the blur over the shorter side of the frame: faces and plates cannot be read through it."""


def write_alpha(prediction: Prediction, directory: Path) -> Path:
    """The objects with transparency around them, for editors: alpha/<query>.mov, ProRes 4444."""
    return _write(prediction, directory / "alpha", _alpha, PRORES_4444)


def write_alpha_webm(prediction: Prediction, directory: Path) -> Path:
    """The objects with transparency around them, for the web: alpha-webm/<query>.webm, VP9 with alpha.

    Its times are in milliseconds.

    Raises:
        VideoError: the source's pixels are not square, which the container's writer cannot say.
    """
    aspect = prediction.video.pixel_aspect
    if aspect != 1:
        raise VideoError(
            f"alpha-webm: pixels of {prediction.video.name} are {aspect.numerator}:{aspect.denominator}, WebM is written with square ones; "
            "use the format alpha"
        )
    return _write(prediction, directory / "alpha-webm", _alpha, VP9_ALPHA)


def write_matte(prediction: Prediction, directory: Path) -> Path:
    """The objects white, everything else black: matte/<query>.mp4; exact at a threshold of one half."""
    return _write(prediction, directory / "matte", _matte, MATTE)


def write_cutout(prediction: Prediction, directory: Path) -> Path:
    """The objects alone, everything else black: cutout/<query>.mp4."""
    return _write(prediction, directory / "cutout", _cutout, H264)


def write_cutout_rest(prediction: Prediction, directory: Path) -> Path:
    """Everything but the objects, which are black: cutout-rest/<query>.mp4."""
    return _write(prediction, directory / "cutout-rest", _inverted(_cutout), H264)


def write_blur(prediction: Prediction, directory: Path) -> Path:
    """The objects blurred, everything else as it is: blur/<query>.mp4."""
    return _write(prediction, directory / "blur", _blur, H264)


def write_blur_rest(prediction: Prediction, directory: Path) -> Path:
    """Everything but the objects blurred: blur-rest/<query>.mp4."""
    return _write(prediction, directory / "blur-rest", _inverted(_blur), H264)


def _alpha(frame_HWC: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
    return np.dstack([frame_HWC, mask_HW * np.uint8(255)])


def _matte(frame_HWC: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
    return np.repeat((mask_HW * np.uint8(255))[..., None], 3, axis=-1)


def _cutout(frame_HWC: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
    return frame_HWC * mask_HW[..., None]


def _blur(frame_HWC: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
    radius = max(2.0, _BLUR_SHARE * min(frame_HWC.shape[:2]))
    blurred_HWC = np.asarray(Image.fromarray(frame_HWC).filter(ImageFilter.GaussianBlur(radius)))
    return np.where(mask_HW[..., None], blurred_HWC, frame_HWC)


def _inverted(layer: Layer) -> Layer:
    """The same for everything but the objects."""
    return lambda frame_HWC, mask_HW: layer(frame_HWC, ~mask_HW)


def _write(prediction: Prediction, path: Path, layer: Layer, encoding: Encoding) -> Path:
    """A file per query in a new folder."""
    video = prediction.video
    slugs = query_slugs([result.query for result in prediction.results])
    with new_folder(path) as draft:
        for slug, result in zip(slugs, prediction.results, strict=True):
            frames = (
                layer(frame_HWC, _mask(result, index, video.height, video.width)) for index, frame_HWC in enumerate(each_frame(video))
            )
            if video.num_frames == 1:
                Image.fromarray(next(frames)).save(draft / f"{slug}.png")
            else:
                file = draft / f"{slug}.{encoding.container}"
                tags = {"title": f"{video.name}: {result.query}"}
                write_video(file, frames, video.timestamps_T, video.duration, tags, video.pixel_aspect, encoding)
    return path


def _mask(result: QueryResult, frame_idx: int, height: int, width: int) -> np.ndarray:
    """All objects of a query on one frame, bool mask_HW; empty if it found none."""
    return result.mask(frame_idx) if result.masklets else np.zeros((height, width), dtype=bool)
