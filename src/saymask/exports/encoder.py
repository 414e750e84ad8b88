"""Write an H.264 mp4 that plays everywhere and keeps the source's timeline.

Frames are uint8 frame_HWC in display order. Timestamps go onto a time base fine enough for every usual frame rate and for milliseconds,
so a variable frame rate survives and the last frame keeps its duration. Colours are converted to BT.709 and tagged so: untagged files are
shown with shifted colours by browsers. 4:2:0 needs even sizes: an odd one gets its last row or column twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet

from saymask.errors import VideoError
from saymask.storage.atomic import new_file

_TICKS_PER_SECOND = 360_000  # whole ticks for 24, 25, 30, 60 frames per second, their 1000/1001 variants, ms and 1/90000 s
_BT709 = 1
_X264 = {"crf": "20", "preset": "ultrafast"}
"""A viewer waits for the file: a slower preset makes it half as large and takes three times as long."""
_LARGE_PIXELS = 4096 * 4096
_FEW_FRAMES_HELD = {"tune": "zerolatency", "threads": "1"}
"""Above that size: x264 otherwise holds a dozen frames to look ahead and one for each thread."""
_LIMITED_RANGE = 1


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    timestamps_T: np.ndarray,
    duration: float,
    tags: Mapping[str, str] | None = None,
    pixel_aspect: Fraction = Fraction(1),
) -> None:
    """Encode frames to `path`, which appears when all are written.

    Args:
        frames: uint8 RGB frames_HWC, one per timestamp, all of one size.
        timestamps_T: seconds, strictly increasing.
        duration: seconds from the first frame's start to the last one's end.
        tags: container metadata, such as a comment.
        pixel_aspect: width of a pixel over its height.

    Raises:
        VideoError: `path` exists or cannot be written, or H.264 cannot hold frames of that size.
    """
    with new_file(path) as draft:
        try:
            _encode(draft, frames, timestamps_T, duration, tags or {}, pixel_aspect)
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise VideoError(f"{path}: H.264 encoding failed ({error.strerror}), perhaps for the frame size; use the format png") from None


def _encode(
    path: Path, frames: Iterable[np.ndarray], timestamps_T: np.ndarray, duration: float, tags: Mapping[str, str], pixel_aspect: Fraction
) -> None:
    ticks = np.round(timestamps_T * _TICKS_PER_SECOND).astype(np.int64).tolist()
    end = round((float(timestamps_T[0]) + duration) * _TICKS_PER_SECOND)
    shown_for = dict(zip(ticks, np.diff([*ticks, end]).tolist(), strict=True))
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata.update(tags)
        rate = Fraction(len(ticks) / duration).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options=_X264)
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.time_base = Fraction(1, _TICKS_PER_SECOND)
        codec.max_b_frames = 0  # no reordering, so times need no edit list to start where they should
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED_RANGE

        def mux(packets: list[Packet]) -> None:
            for packet in packets:
                packet.duration = shown_for[packet.pts]
                container.mux(packet)

        coming = _one_ahead(iter(frames))
        for pts in ticks:  # without zip, which holds a frame until it has the next one
            picture = _picture(next(coming))
            if not codec.is_open:
                stream.height, stream.width = picture.height, picture.width
                codec.sample_aspect_ratio = pixel_aspect
                if stream.height * stream.width > _LARGE_PIXELS:
                    codec.options = {**codec.options, **_FEW_FRAMES_HELD}
            picture.pts, picture.time_base = pts, codec.time_base
            mux(stream.encode(picture))
        mux(stream.encode())


def _one_ahead(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same frames; while one is encoded, the next is made in another thread. Large ones are made in turn, to hold one at a time."""
    first_HWC = next(frames)
    num_pixels = first_HWC.shape[0] * first_HWC.shape[1]
    yield first_HWC
    del first_HWC
    if num_pixels > _LARGE_PIXELS:
        yield from frames
        return
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, frames, None)
        while (frame_HWC := coming.result()) is not None:
            coming = maker.submit(next, frames, None)
            yield frame_HWC


def _picture(frame_HWC: np.ndarray) -> av.VideoFrame:
    """A frame as the encoder takes it."""
    picture = av.VideoFrame.from_ndarray(_even(frame_HWC), format="rgb24")
    return picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


def _even(frame_HWC: np.ndarray) -> np.ndarray:
    height, width, _ = frame_HWC.shape
    if height % 2 == width % 2 == 0:
        return frame_HWC
    return np.pad(frame_HWC, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
