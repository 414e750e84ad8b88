"""Exact frames of a video file, decoded with PyAV (FFmpeg).

`open_file` reads the packets once, without decoding, to learn which frames are shown, when, and from which keyframe each can be reached;
headers are never trusted for that. `Decoder.read` then decodes forward from the nearest keyframe, goes on where the last call ended, and
converts only the frames asked for: uint8 frames_THWC, rotated and mirrored as the display matrix says, colours by the file's own matrix
and range (files that do not say: BT.709 from 720 lines, BT.601 below, as players do). HDR is not tone-mapped. Non-square pixels stay as
they are stored: masks lie on the decoded grid.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from saymask.errors import VideoError
from saymask.records import Video
from saymask.video.completeness import is_cut_off, is_still_container, looks_like_video
from saymask.video.limits import ReadLimits
from saymask.video.mp4_index import require_modest_index

# Without these a text file named .mp4 can make FFmpeg read other files, or fetch from the network.
# Playlists, image patterns and streams without times are left out.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,asf,flv,ogg,ivf,nut,mxf,rm,wtv,dv,yuv4mpegpipe"
_SAFE_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
_READABLE = "mp4, mov, mkv, webm, avi, gif, ts, mpg, wmv, flv, ogv, mxf; png, jpg, webp, bmp, tiff; a folder of frames"
_TRUE_TIMES = ("mov", "matroska")  # containers that store presentation times and reliable keyframe marks
_DECODE_THREADS = min(8, os.cpu_count() or 1)  # each thread holds a frame: more costs memory, not time
_SKIP_RATHER_THAN_SEEK = 8  # frames; a seek empties the decoder's pipeline
_UNSPECIFIED, _BT709 = 2, 1  # matrix coefficients of ITU-T H.273
_VP8_SHOW_FRAME = 0x10


@dataclass(frozen=True)
class FrameIndex:
    """What the packets say about the shown frames, in the order in which they are shown.

    Args:
        pts_T: presentation times in units of the stream, strictly increasing.
        key_pts_T: presentation time of the keyframe from which each frame can be decoded.
        end_pts: when the last frame ends.
        by_order: times do not tell frames apart (AVI, equal or missing ones): the i-th decoded frame is the i-th shown.
        remarks: what a user should know of how they were found.
    """

    pts_T: np.ndarray
    key_pts_T: np.ndarray
    end_pts: float
    by_order: bool
    remarks: tuple[str, ...] = ()

    def without_first(self, num_frames: int) -> FrameIndex:
        """The same without the frames that cannot be decoded because the file does not begin at a keyframe."""
        remark = f"the first {num_frames} frames cannot be decoded (the file begins between keyframes) and are left out"
        return replace(self, pts_T=self.pts_T[num_frames:], key_pts_T=self.key_pts_T[num_frames:], remarks=(*self.remarks, remark))


def open_file(path: Path, limits: ReadLimits) -> Video:
    """Index a video file and decode its first frame; nothing stays open afterwards.

    Raises:
        VideoError: not a video, no video stream, no frame, cut off, damaged or over a limit.
    """
    container, stream = _open(path, limits)
    with container:
        index = _index_packets(path, container, stream, limits)
        if is_cut_off(path, container.format.name, stream):
            raise VideoError(f"{path}: the file is cut off, its last part is missing; download or export it again")
        tags = {key.lower(): value for key, value in container.metadata.items()}
        time_base = float(stream.time_base or 0)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        start_pts = 0 if container.format.name.startswith((*_TRUE_TIMES, "avi", "gif")) else int(index.pts_T[0])
    decoder = Decoder(path, limits, index)
    if num_leading := decoder.num_undecodable():
        index = index.without_first(num_leading)
        decoder = Decoder(path, limits, index)
    _, height, width, _ = decoder.read([]).shape
    if decoder.is_turned:
        aspect = 1 / aspect
    decoder.close()
    return Video(
        name=path.stem,
        source=str(path),
        height=height,
        width=width,
        timestamps_T=(index.pts_T - start_pts) * time_base,
        duration=(index.end_pts - float(index.pts_T[0])) * time_base,
        read=decoder.read,
        frame_names=tuple(f"{i:05d}" for i in range(len(index.pts_T))),
        tags=tags,
        pixel_aspect=aspect,
        remarks=index.remarks,
    )


def holds_video(path: Path) -> bool:
    """Whether the file can be opened and has a video stream; nothing is decoded."""
    try:
        container, _ = _open(path, ReadLimits())
    except VideoError:
        return False
    container.close()
    return True


class Decoder:
    """Reads frames by index. The file is opened at the first read and closed with the last frame or when nobody refers to the decoder.

    One lock per decoder: reading from several threads is safe, and in turn.
    """

    def __init__(self, path: Path, limits: ReadLimits, index: FrameIndex) -> None:
        self._path, self._limits, self._index = path, limits, index
        self._idx_of_pts = {} if index.by_order else {int(pts): i for i, pts in enumerate(index.pts_T)}
        self._lock = Lock()
        self._reformatter = VideoReformatter()
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._next_idx = 0  # the shown frame that the decoder yields next
        self._shape_HWC: tuple[int, ...] = ()  # of the first frame decoded; every other one must have it
        self._turned: tuple[int, bytes | None] | None = None  # rotation in degrees, and the display matrix that says it
        self.is_turned = False  # whether rows are shown as columns
        self._failure = ""  # why decoding cannot go on after the frames that are left in the decoder

    def read(self, frame_idx: Sequence[int]) -> np.ndarray:
        """Decode frames in any order, repeats allowed -> uint8 frames_THWC in that order.

        Raises:
            VideoError: names the frame at which the file turned out to be damaged.
        """
        wanted = np.asarray(frame_idx, dtype=np.int64)
        with self._lock:
            if not self._shape_HWC:
                self._shape_HWC = self._rgb(self._decode(0), 0).shape
            if len(wanted) == 1:
                frames_THWC = self._sound_rgb(int(wanted[0]))[None]  # without a copy, which of a large frame is much
            else:
                frames_THWC = np.empty((len(wanted), *self._shape_HWC), dtype=np.uint8)
                for index in np.unique(wanted).tolist():
                    frames_THWC[wanted == index] = self._sound_rgb(index)
            if self._next_idx == len(self._index.pts_T):
                self.close()
        return frames_THWC

    def num_undecodable(self) -> int:
        """How many frames before the first keyframe do not come out of the decoder; 0 if its first frame is anything else than that key."""
        if self._index.by_order or self._index.pts_T[0] >= self._index.key_pts_T[0]:
            return 0
        self._reopen()
        try:
            first = next((frame.pts for frame in self._frames if frame.pts in self._idx_of_pts), None)
        except FFmpegError:
            first = None  # damage, which reading names
        self.close()
        return 0 if first is None or first > self._index.key_pts_T[0] else self._idx_of_pts[first]

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        if self._container is not None:
            self._container.close()
        self._container, self._frames, self._next_idx, self._failure = None, iter(()), 0, ""

    def __reduce__(self) -> tuple[Any, ...]:
        return Decoder, (self._path.absolute(), self._limits, self._index)  # a copy opens the file anew

    def __del__(self) -> None:
        self.close()  # at once: left to itself, PyAV's container waits for the cycle collector

    def _decode(self, index: int) -> VideoFrame:
        """Bring the decoder to the shown frame `index` and return it."""
        self._approach(index)
        while True:
            try:
                frame = next(self._frames, None)
            except FFmpegError as error:
                self._failure = error.strerror or type(error).__name__
                self._frames = self._left_in_decoder()
                continue
            shown_idx = None if frame is None else self._shown_idx(frame)
            last_sound_idx = self._next_idx if self._failure else index  # behind an error only what follows without a gap is sound
            if frame is None or (shown_idx is not None and shown_idx > last_sound_idx):
                error = self._damaged(min(index, self._next_idx), self._failure or "this frame does not come out of the decoder")
                self.close()
                raise error
            if shown_idx is not None:
                self._next_idx = shown_idx + 1
            if shown_idx == index:
                return frame

    def _shown_idx(self, frame: VideoFrame) -> int | None:
        """Which shown frame this is; None for one that is only decoded because others need it."""
        if self._index.by_order:
            return self._next_idx
        return None if frame.pts is None else self._idx_of_pts.get(frame.pts)

    def _left_in_decoder(self) -> Iterator[VideoFrame]:
        """After an error: earlier frames that wait for their turn, among others that cannot be told apart without presentation times."""
        assert self._stream is not None
        try:
            frames = [] if self._index.by_order else self._stream.codec_context.decode(None)
        except FFmpegError:
            frames = []
        return iter(sorted(frames, key=lambda frame: -1 if frame.pts is None else frame.pts))

    def _approach(self, index: int) -> None:
        """Seek only where decoding on from here would not reach the frame, or would take longer."""
        pts_T, key_pts = self._index.pts_T, self._index.key_pts_T[index]
        skip = 0 if self._failure else _SKIP_RATHER_THAN_SEEK  # never on through damage
        soon = min(self._next_idx + skip, len(pts_T) - 1)
        if self._container is not None and self._next_idx <= index and key_pts <= pts_T[soon]:
            return
        if self._container is None or key_pts == self._index.key_pts_T[0]:
            self._reopen()
        if key_pts != self._index.key_pts_T[0]:
            self._seek(int(key_pts))

    def _reopen(self) -> None:
        self.close()
        self._container, self._stream = _open(self._path, self._limits)
        self._frames = self._container.decode(self._stream)

    def _seek(self, key_pts: int) -> None:
        """Jump to a keyframe; start over if the container lands behind it, which indices with coarse entries do."""
        assert self._container is not None and self._stream is not None
        try:
            self._container.seek(key_pts, stream=self._stream)
            frames = self._container.decode(self._stream)
            first = next(frames)
        except (FFmpegError, StopIteration):
            return self._reopen()
        if first.pts is None or first.pts > key_pts:
            return self._reopen()
        self._frames = _chain(first, frames)
        self._next_idx = int(np.searchsorted(self._index.pts_T, first.pts))

    def _sound_rgb(self, index: int) -> np.ndarray:
        """A frame of the size that all have -> uint8 frame_HWC."""
        frame_HWC = self._rgb(self._decode(index), index)
        if frame_HWC.shape != self._shape_HWC:
            raise self._changed_size(index, frame_HWC)
        return frame_HWC

    def _rgb(self, frame: VideoFrame, index: int) -> np.ndarray:
        """Colours and orientation as shown -> uint8 frame_HWC."""
        self._limits.check_size(self._path, frame.width, frame.height)
        try:
            frame_HWC = as_rgb(frame, self._reformatter)
        except FFmpegError as error:
            raise self._damaged(index, f"{frame.format.name} cannot be converted: {error.strerror}") from None
        matrix = self._display_matrix(frame)
        return frame_HWC if matrix is None else as_displayed(frame_HWC, matrix)

    def _display_matrix(self, frame: VideoFrame) -> bytes | None:
        """How a frame is to be turned, if at all; asked for only where it can have changed.

        PyAV's frame and its side data refer to each other: a frame that was asked for them waits in memory for the cycle collector, and
        in a long video, or one of large frames, these are gigabytes.
        """
        if self._turned is None or frame.rotation != self._turned[0]:
            matrix = side_matrix(frame)
            self._turned = frame.rotation, matrix
            self.is_turned = matrix is not None and abs(struct.unpack("=2i", matrix[:8])[0]) < abs(struct.unpack("=2i", matrix[:8])[1])
        return self._turned[1]

    def _damaged(self, index: int, reason: str) -> VideoError:
        return VideoError(
            f"{self._path}: decoding stopped at frame {index} of {len(self._index.pts_T)} ({reason}); "
            "the file is damaged: export it again, or cut it before that frame"
        )

    def _changed_size(self, index: int, frame_HWC: np.ndarray) -> VideoError:
        (height, width, _), (first_height, first_width, _) = frame_HWC.shape, self._shape_HWC
        return VideoError(
            f"{self._path}: frame {index} is {width}x{height}, the first is {first_width}x{first_height}; re-encode it at one size"
        )


def _chain(first: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    yield first
    yield from rest


def _open(path: Path, limits: ReadLimits) -> tuple[InputContainer, VideoStream]:
    """Open with the safe options and choose the stream; the caller closes the container."""
    try:
        require_modest_index(path, limits)
        # An absolute path: "concat:a.mp4" in the working folder must not be taken for a protocol.
        container = av.open(str(path.absolute()), options=_SAFE_OPTIONS, metadata_errors="replace")
    except FileNotFoundError:
        raise VideoError(f"{path}: no such file; check the path") from None
    except PermissionError:
        raise VideoError(f"{path}: no permission to read it; change its permissions or copy it") from None
    except (FFmpegError, OSError):
        if looks_like_video(path):
            raise VideoError(f"{path}: the video is damaged or cut off, its index cannot be read; download or export it again") from None
        raise VideoError(f"{path}: not a video or image that can be read ({_READABLE}); convert it to mp4") from None
    pictures = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if len(pictures) > 1 and is_still_container(path):
        num_parts = len(pictures)
        container.close()
        raise VideoError(
            f"{path}: an image of {num_parts} parts (tiles of a HEIC, or an animated AVIF), of which only one could be read; "
            "convert it to PNG or JPEG, an animation to mp4"
        )
    if not pictures:
        kinds = sorted({"a cover picture" if stream.type == "video" else stream.type for stream in container.streams}) or ["nothing"]
        container.close()
        raise VideoError(f"{path}: no video stream, only {' and '.join(kinds)}; give a file with pictures")
    stream = pictures[0]
    if stream.codec_context is None:
        container.close()
        raise VideoError(f"{path}: its video codec is not known; convert it to H.264")
    try:
        limits.check_size(path, stream.codec_context.width, stream.codec_context.height)
    except VideoError:
        container.close()
        raise
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = _DECODE_THREADS
    return container, stream


def _index_packets(path: Path, container: InputContainer, stream: VideoStream, limits: ReadLimits) -> FrameIndex:
    """Read every packet once. Frames before time zero or marked as discarded (edit lists) are decoded but never shown."""
    shown: dict[int, int] = {}
    keys: list[int] = []
    is_ambiguous = False
    hides_frames = stream.codec_context.name.startswith("vp8")
    try:
        for packet in container.demux(stream):
            pts = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0:  # the end of the stream, or an AVI's mark for a dropped frame
                continue
            if pts is None:
                is_ambiguous = True
                continue
            if packet.is_keyframe:
                keys.append(pts)
            hidden = hides_frames and not bytes(packet)[0] & _VP8_SHOW_FRAME
            if pts >= 0 and not packet.is_discard and not hidden:
                is_ambiguous |= pts in shown
                shown[pts] = packet.duration or 0
                limits.check_count(path, len(shown))
    except FFmpegError as error:
        raise VideoError(f"{path}: reading stopped after {len(shown)} frames ({error.strerror}); download or export it again") from None
    if is_ambiguous:
        return _index_decoded(path, stream, limits)
    if not shown or not keys:
        raise VideoError(f"{path}: the video stream has no frames to show; check how it was made or exported")
    pts_T = np.array(sorted(shown), dtype=np.int64)
    all_keyframes = stream.codec_context.codec.intra_only
    true_times = container.format.name.startswith(_TRUE_TIMES)
    reachable = np.array(sorted(keys), dtype=np.int64) if true_times or all_keyframes else pts_T[:1]
    key_row = np.searchsorted(reachable, pts_T, side="right") - 1
    last_duration = shown[int(pts_T[-1])] or _usual_duration(pts_T, stream)
    return FrameIndex(
        pts_T=pts_T,
        key_pts_T=reachable[np.maximum(key_row, 0)],
        end_pts=float(pts_T[-1]) + last_duration,
        by_order=container.format.name == "avi" and not all_keyframes,
    )


def _index_decoded(path: Path, stream: VideoStream, limits: ReadLimits) -> FrameIndex:
    """Where packets have equal times or none, only decoding tells how many frames there are; equal times are spread up to the next."""
    container, stream = _open(path, limits)
    times: list[int | None] = []
    with container:
        try:
            for frame in container.decode(stream):
                times.append(frame.pts)
                limits.check_count(path, len(times))
        except FFmpegError as error:
            raise VideoError(f"{path}: decoding stopped at frame {len(times)} ({error.strerror}); download or export it again") from None
        usual = float(1 / ((stream.average_rate or stream.guessed_rate or 24) * (stream.time_base or 1)))
    known = [(i, pts) for i, pts in enumerate(times) if pts is not None and (i == 0 or pts != times[i - 1])]
    if not times:
        raise VideoError(f"{path}: the video stream has no frames to show; check how it was made or exported")
    places, pts = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True)) if known else (np.zeros(1), np.zeros(1))
    if (np.diff(pts) <= 0).any():
        places, pts = places[:1], pts[:1]
    end = pts[-1] + max(usual, 1 if len(pts) == 1 else float(np.median(np.diff(pts) / np.diff(places)))) * (len(times) - places[-1])
    pts_T = np.interp(np.arange(len(times)), [*places, len(times)], [*pts, end])
    remark = f"frames have equal times or none; the {len(times)} decoded ones are spread evenly between the times that are known"
    return FrameIndex(pts_T, np.full(len(times), pts_T[0]), float(end), by_order=True, remarks=(remark,))


def _usual_duration(pts_T: np.ndarray, stream: VideoStream) -> float:
    """For a last frame that does not say how long it is shown."""
    if len(pts_T) > 1:
        return float(np.median(np.diff(pts_T)))
    rate = stream.guessed_rate or 24
    return float(1 / (rate * (stream.time_base or 1)))


def as_rgb(frame: VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """uint8 frame_HWC, not turned; what does not say its colour matrix has the one that players assume."""
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb and frame.height >= 720:
        frame.colorspace = _BT709
    return reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()  # several now and then differ at the edges of their parts


def side_matrix(frame: VideoFrame) -> bytes | None:
    """The frame's display matrix. Beside side data that PyAV has no name for it cannot be read; the angle then still can."""
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        return None if matrix is None else bytes(matrix)
    except ValueError:
        turn = round(-frame.rotation / 90) % 4
        if not turn:
            return None
        a, b = ((1, 0), (0, 1), (-1, 0), (0, -1))[turn]
        one = 1 << 16
        return struct.pack("=9i", a * one, b * one, 0, -b * one, a * one, 0, 0, 0, 1 << 30)


def as_displayed(frame_HWC: np.ndarray, matrix: bytes) -> np.ndarray:
    """Apply a display matrix (nine 16.16 fixed-point numbers: x' = a x + c y, y' = b x + d y), to the nearest quarter turn."""
    a, b, _, c, d = struct.unpack("=9i", matrix)[:5]
    if abs(a) >= abs(b):
        step_x, step_y = a, d
    else:
        frame_HWC = frame_HWC.transpose(1, 0, 2)
        step_x, step_y = c, b
    return frame_HWC[:: -1 if step_y < 0 else 1, :: -1 if step_x < 0 else 1]
