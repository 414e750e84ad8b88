"""Write a video that keeps the source's timeline: H.264 that plays everywhere, mattes, or colours with transparency.

Frames are uint8 frame_HWC in display order. Timestamps go onto a time base fine enough for every usual frame rate and for milliseconds,
so a variable frame rate survives and the last frame keeps its duration; WebM has milliseconds. Colours are converted to BT.709 and tagged
so: untagged files are shown with shifted colours by browsers. H.264 needs even sizes: an odd one gets its last row or column twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.reformatter import Colorspace, VideoReformatter

from saymask.errors import VideoError
from saymask.storage.atomic import new_file
from saymask.storage.drafts import published

_TICKS_PER_SECOND = 360_000  # whole ticks for 24, 25, 30, 60 frames per second, their 1000/1001 variants, ms and 1/90000 s
_BT709 = 1
_LARGE_PIXELS = 4096 * 4096
_FEW_FRAMES_HELD = {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"}
"""Above that size: x264 otherwise holds a dozen frames to look ahead and one for each thread."""
_FRAMES_UNDER_WAY = 2
"""One is encoded, one converted."""
_LIMITED_RANGE = 1


@dataclass(frozen=True)
class Encoding:
    """A container and what is in it.

    Args:
        name: for messages.
        container, codec, pixels: FFmpeg's names.
        options: of the codec.
        source_pixels: of the frames that are given.
        ticks_per_second: of the container's time base.
        even: whether width and height must be even.
    """

    name: str
    container: str
    codec: str
    pixels: str
    options: Mapping[str, str]
    source_pixels: str = "rgb24"
    ticks_per_second: int = _TICKS_PER_SECOND
    even: bool = False


H264 = Encoding("H.264", "mp4", "libx264", "yuv420p", {"qp": "18", "preset": "ultrafast"}, even=True)
"""A viewer waits for the file: slower presets make it smaller and take several times as long, and to choose a quantiser for each frame
(crf) takes longer for the same quality at the same size.
"""
MATTE = Encoding("H.264", "mp4", "libx264", "yuv420p", {"qp": "8", "preset": "veryfast"}, even=True)
"""At this quantiser no pixel of a block is farther than 12 levels from what it was, so black and white stay told apart at one half."""
PRORES_4444 = Encoding("ProRes", "mov", "prores_ks", "yuva444p10le", {"profile": "4444", "alpha_bits": "8"}, "rgba")
VP9_ALPHA = Encoding(
    "VP9", "webm", "libvpx-vp9", "yuva420p", {"crf": "10", "b": "0", "auto-alt-ref": "0", "cpu-used": "4"}, "rgba", ticks_per_second=1000
)


AddFrame = Callable[[np.ndarray], None]
"""Takes the next uint8 frame_HWC in the encoding's source pixels; it may not be changed afterwards."""


@contextmanager
def new_video(
    path: Path,
    timestamps_T: np.ndarray,
    duration: float,
    tags: Mapping[str, str] | None = None,
    pixel_aspect: Fraction = Fraction(1),
    encoding: Encoding = H264,
) -> Iterator[AddFrame]:
    """Give a function that takes the frames of a video one by one; `path` appears when the block ends without an exception.

    A frame is encoded in one thread while another one converts the next and the caller makes the one after that, so an error may be raised
    two frames late. Large frames are encoded at once, to hold one at a time.

    Args:
        timestamps_T: seconds, strictly increasing, one for each frame that will come.
        duration: seconds from the first frame's start to the last one's end.
        tags: container metadata, such as a comment.
        pixel_aspect: width of a pixel over its height.
        encoding: container and codec.

    Raises:
        VideoError: `path` exists or cannot be written, or the encoding cannot hold frames of that size or so close in time.
    """
    ticks = np.round(timestamps_T * encoding.ticks_per_second).astype(np.int64).tolist()
    if len(set(ticks)) < len(ticks):
        raise VideoError(
            f"{published(path)}: frames are closer in time than the {1 / encoding.ticks_per_second:g} s of {encoding.container}"
        )
    end = round((float(timestamps_T[0]) + duration) * encoding.ticks_per_second)
    spans = iter(zip(ticks, np.diff([*ticks, end]).tolist(), strict=True))
    with _new_file(path, Fraction(len(ticks) / duration), tags or {}, pixel_aspect, encoding) as encode:

        def add(frame_HWC: np.ndarray) -> None:
            encode(*next(spans), frame_HWC)

        yield add


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    timestamps_T: np.ndarray,
    duration: float,
    tags: Mapping[str, str] | None = None,
    pixel_aspect: Fraction = Fraction(1),
    encoding: Encoding = H264,
) -> None:
    """Encode frames to `path`: `new_video` with all of its frames."""
    with new_video(path, timestamps_T, duration, tags, pixel_aspect, encoding) as add:
        for frame_HWC in frames:
            add(frame_HWC)
            del frame_HWC  # a large one must be gone before the next is made


def record_video(path: Path, timed_frames: Iterable[tuple[float, np.ndarray]], fps: float, tags: Mapping[str, str] | None = None) -> None:
    """The same for frames whose number is not known before: a frame is encoded when the next one has come.

    Args:
        timed_frames: seconds, strictly increasing, with uint8 RGB frames_HWC of one size; at least one.
        fps: frames per second; the last frame is shown for 1 / fps.

    Errors as for `new_video`.
    """
    with _new_file(path, Fraction(fps), tags or {}, Fraction(1), H264) as encode:
        before: tuple[int, np.ndarray] | None = None
        for time, frame_HWC in timed_frames:
            pts = round(time * _TICKS_PER_SECOND)
            if before is not None:
                encode(before[0], pts - before[0], before[1])
            before = pts, frame_HWC
        if before is not None:
            encode(before[0], round(_TICKS_PER_SECOND / fps), before[1])


Encode = Callable[[int, int, np.ndarray], None]
"""Takes a frame's time and how long it is shown, in ticks, and the frame."""


@contextmanager
def _new_file(path: Path, rate: Fraction, tags: Mapping[str, str], pixel_aspect: Fraction, encoding: Encoding) -> Iterator[Encode]:
    """A file that frames are encoded to, in other threads unless they are large."""
    # Without random identifiers and dates, so that the same frames give the same bytes.
    options = {"movflags": "+faststart", "fflags": "+bitexact"} if encoding.container != "webm" else {"fflags": "+bitexact"}
    with new_file(path) as draft:
        try:
            with (
                av.open(str(draft), "w", format=encoding.container, options=options) as container,
                ThreadPoolExecutor(1, thread_name_prefix="saymask-encode") as encoder,
                ThreadPoolExecutor(1, thread_name_prefix="saymask-convert") as converter,
            ):
                container.metadata.update(tags)
                stream = _Stream(container, rate, pixel_aspect, encoding)
                under_way: deque[Future[None]] = deque()

                def encode(pts: int, span: int, frame_HWC: np.ndarray) -> None:
                    if _is_large(frame_HWC):
                        return stream.encode(pts, span, stream.convert(frame_HWC))
                    while len(under_way) >= _FRAMES_UNDER_WAY:
                        under_way.popleft().result()
                    converted = converter.submit(stream.convert, frame_HWC)
                    under_way.append(encoder.submit(lambda: stream.encode(pts, span, converted.result())))

                yield encode
                for last in under_way:
                    last.result()
                stream.finish()
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise VideoError(
                f"{published(path)}: {encoding.name} encoding failed ({error.strerror}), perhaps for the frame size; use the format png"
            ) from None


class _Stream:
    """The one stream of a container; the first frame says its size."""

    def __init__(self, container: OutputContainer, rate: Fraction, pixel_aspect: Fraction, encoding: Encoding):
        self._container, self._pixel_aspect, self._encoding = container, pixel_aspect, encoding
        self._shown_for: dict[int | None, int] = {}
        self._reformatter = VideoReformatter()  # prepares a conversion once; a frame's own would for each frame
        stream = container.add_stream(encoding.codec, rate=rate.limit_denominator(1001), options=dict(encoding.options))
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        stream.pix_fmt = encoding.pixels
        codec = stream.codec_context
        codec.time_base = Fraction(1, encoding.ticks_per_second)
        if encoding.even:
            codec.max_b_frames = 0  # no reordering, so times need no edit list to start where they should
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED_RANGE

    def convert(self, frame_HWC: np.ndarray) -> av.VideoFrame:
        """The frame in the size and colours that are encoded."""
        encoding = self._encoding
        fitting_HWC = np.ascontiguousarray(_even(frame_HWC) if encoding.even else frame_HWC)
        # A copy has the alignment that FFmpeg converts exactly; of a large frame there is no room for one.
        wrap = av.VideoFrame.from_numpy_buffer if _is_large(fitting_HWC) else av.VideoFrame.from_ndarray
        picture = wrap(fitting_HWC, format=encoding.source_pixels)
        return self._reformatter.reformat(
            picture,
            format=encoding.pixels,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range="MPEG",
            dst_color_primaries=_BT709,
            dst_color_trc=_BT709,
            interpolation="AREA",  # the mean of the pixels that share a colour; the default takes others in, and longer
            threads=1,  # by several, FFmpeg now and then gives other values at the edges of their parts
        )

    def encode(self, pts: int, span: int, picture: av.VideoFrame) -> None:
        """Encode what `convert` made, from its time on, for as long as it is shown."""
        codec = self._stream.codec_context
        if not codec.is_open:
            self._stream.height, self._stream.width = picture.height, picture.width
            codec.sample_aspect_ratio = self._pixel_aspect
            if self._encoding.even and picture.height * picture.width > _LARGE_PIXELS:
                codec.options = {**codec.options, **_FEW_FRAMES_HELD}
        self._shown_for[pts] = span
        picture.pts, picture.time_base = pts, codec.time_base
        self._mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._mux(self._stream.encode())

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            packet.duration = self._shown_for.pop(packet.pts)
            self._container.mux(packet)


def _is_large(frame_HWC: np.ndarray) -> bool:
    return frame_HWC.shape[0] * frame_HWC.shape[1] > _LARGE_PIXELS


def _even(frame_HWC: np.ndarray) -> np.ndarray:
    height, width, _ = frame_HWC.shape
    if height % 2 == width % 2 == 0:
        return frame_HWC
    return np.pad(frame_HWC, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
