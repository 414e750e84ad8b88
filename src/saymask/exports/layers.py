"""What editors put over one another: colours with transparency, mattes, and videos of which a part is cut out or blurred.

Each query gives one file, `<format>/<query>.<suffix>`, about all of its objects, with the source's frames, times and pixel aspect; of an
image it is a PNG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from saymask.errors import VideoError
from saymask.exports.encoder import H264, MATTE, PRORES_4444, VP9_ALPHA, Encoding, new_video
from saymask.exports.framewise import FrameFile, ReadPixels, by_query, each_frame, union, write_frames
from saymask.exports.writer import query_slugs
from saymask.records import Prediction, QueryResult, Rle, Video
from saymask.storage.atomic import new_folder

Layer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""uint8 frame_HWC and bool mask_HW -> uint8 frame_HWC, with a fourth channel where there is transparency."""
_BLUR_SHARE = 1 / 16
"""Radius of the blur over the shorter side of the frame: faces and plates cannot be read through it."""
_FILES_AT_ONCE = 4
"""So many queries are encoded side by side; each encoder holds some frames."""


def write_alpha(prediction: Prediction, directory: Path) -> Path:
    """The objects with transparency around them, for editors: alpha/<query>.mov, ProRes 4444."""
    return write_frames(alpha_frames, prediction, directory)


def write_alpha_webm(prediction: Prediction, directory: Path) -> Path:
    """The objects with transparency around them, for the web: alpha-webm/<query>.webm, VP9 with alpha.

    Its times are in milliseconds.

    Raises:
        VideoError: the source's pixels are not square, which the container's writer cannot say.
    """
    return write_frames(alpha_webm_frames, prediction, directory)


def write_matte(prediction: Prediction, directory: Path) -> Path:
    """The objects white, everything else black: matte/<query>.mp4; exact at a threshold of one half."""
    return write_frames(matte_frames, prediction, directory)


def write_cutout(prediction: Prediction, directory: Path) -> Path:
    """The objects alone, everything else black: cutout/<query>.mp4."""
    return write_frames(cutout_frames, prediction, directory)


def write_cutout_rest(prediction: Prediction, directory: Path) -> Path:
    """Everything but the objects, which are black: cutout-rest/<query>.mp4."""
    return write_frames(cutout_rest_frames, prediction, directory)


def write_blur(prediction: Prediction, directory: Path) -> Path:
    """The objects blurred, everything else as it is: blur/<query>.mp4."""
    return write_frames(blur_frames, prediction, directory)


def write_blur_rest(prediction: Prediction, directory: Path) -> Path:
    """Everything but the objects blurred: blur-rest/<query>.mp4."""
    return write_frames(blur_rest_frames, prediction, directory)


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


@contextmanager
def _layer_frames(
    folder: str, layer: Layer, encoding: Encoding, video: Video, results: Sequence[QueryResult], directory: Path
) -> Iterator[FrameFile]:
    """A file per query in a new folder. Of many queries the first ones are written at once, the others when all frames have come."""
    path, masks_T = directory / folder, []
    titled = list(zip(query_slugs([result.query for result in results]), results, strict=True))
    groups = [range(first, min(first + _FILES_AT_ONCE, len(titled))) for first in range(0, len(titled), _FILES_AT_ONCE)]
    with new_folder(path) as draft:

        @contextmanager
        def open_group(group: range) -> Iterator[Callable[[list[Sequence[Rle]], np.ndarray], None]]:
            with ExitStack() as files:
                new = [_new_layer(video, draft / titled[place][0], titled[place][1], encoding) for place in group]
                encode = [files.enter_context(file) for file in new]

                def add(masks: list[Sequence[Rle]], frame_HWC: np.ndarray) -> None:
                    for place, take in zip(group, encode, strict=True):
                        take(layer(frame_HWC, union(masks[place], video)))

                yield add

        with open_group(groups[0]) as add_to_first:

            def add(rles: Sequence[Rle], pixels: ReadPixels) -> None:
                masks_T.append(by_query(results, rles))
                add_to_first(masks_T[-1], pixels())

            yield FrameFile(path, add)
        for group in groups[1:]:
            with open_group(group) as add_to_group:
                for masks, frame_HWC in zip(masks_T, each_frame(video), strict=True):
                    add_to_group(masks, frame_HWC)


@contextmanager
def _new_layer(video: Video, stem: Path, result: QueryResult, encoding: Encoding) -> Iterator[Callable[[np.ndarray], None]]:
    """The file of one query, and what takes its frames."""
    if video.num_frames == 1:
        yield lambda frame_HWC: Image.fromarray(frame_HWC).save(stem.with_name(f"{stem.name}.png"))
        return
    file, tags = stem.with_name(f"{stem.name}.{encoding.container}"), {"title": f"{video.name}: {result.query}"}
    with new_video(file, video.timestamps_T, video.duration, tags, video.pixel_aspect, encoding) as add:
        yield add


alpha_frames = partial(_layer_frames, "alpha", _alpha, PRORES_4444)
matte_frames = partial(_layer_frames, "matte", _matte, MATTE)
cutout_frames = partial(_layer_frames, "cutout", _cutout, H264)
cutout_rest_frames = partial(_layer_frames, "cutout-rest", _inverted(_cutout), H264)
blur_frames = partial(_layer_frames, "blur", _blur, H264)
blur_rest_frames = partial(_layer_frames, "blur-rest", _inverted(_blur), H264)


@contextmanager
def alpha_webm_frames(video: Video, results: Sequence[QueryResult], directory: Path) -> Iterator[FrameFile]:
    """The format alpha-webm frame by frame; errors as for `write_alpha_webm`."""
    aspect = video.pixel_aspect
    if aspect != 1:
        raise VideoError(
            f"alpha-webm: pixels of {video.name} are {aspect.numerator}:{aspect.denominator}, WebM is written with square ones; "
            "use the format alpha"
        )
    with _layer_frames("alpha-webm", _alpha, VP9_ALPHA, video, results, directory) as file:
        yield file
