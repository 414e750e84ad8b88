"""Frames of an address or a camera as they come: nothing is known of what follows, nothing is kept of what has gone.

    rtsp://, http://, https://   an address, opened only with leave to use the network
    0, 1, ...                    a camera of this machine (Linux: /dev/video0)

Frames are those that `decoder` gives of the same file. One of an odd size loses its last row or column: recordings have even sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from saymask.errors import ConfigError, VideoError
from saymask.records import Video
from saymask.video.decoder import FORMATS, as_displayed, as_rgb, side_matrix
from saymask.video.limits import ReadLimits

_ADDRESS = re.compile(r"(rtsp|rtsps|http|https)://", re.IGNORECASE)
_CAMERA = re.compile(r"[0-9]{1,2}")
_PROTOCOLS = {"rtsp": "rtsp,rtp,udp,tcp", "rtsps": "rtsp,rtp,udp,tcp,tls,crypto", "http": "http,tcp", "https": "https,http,tls,tcp,crypto"}
_WAIT_SECONDS = 10.0
"""So long nothing may come."""
_USUAL_RATE = 25.0
"""Frames per second of a stream that does not say."""


@dataclass(frozen=True)
class Stream:
    """An opened stream.

    Args:
        name: short name for output folders.
        source: what was opened.
        height, width, fps: of its frames.
        tags: metadata of the container.
        timed_frames: seconds since the first frame, strictly increasing, with uint8 RGB frame_HWC; it can be walked through once.
    """

    name: str
    source: str
    height: int
    width: int
    fps: float
    tags: Mapping[str, str]
    timed_frames: Iterator[tuple[float, np.ndarray]] = field(repr=False)
    first_frame_HWC: np.ndarray = field(repr=False)

    @property
    def beginning(self) -> Video:
        """The first frame as a video, for choosing a model."""
        return Video.from_frames(self.first_frame_HWC[None], self.name, self.fps, **self.tags)


def is_stream(source: str) -> bool:
    """Whether this names an address or a camera; a file or folder of that name goes before."""
    return bool(_ADDRESS.match(source) or (_CAMERA.fullmatch(source) and not Path(source).exists()))


def open_stream(source: str, allow_network: bool, max_seconds: float | None, limits: ReadLimits = ReadLimits()) -> Stream:  # noqa: B008 (frozen)
    """Open an address or a camera and decode its first frame.

    Args:
        source: see `is_stream`.
        allow_network: leave to fetch from an address.
        max_seconds: of the stream: frames that begin later are not read; None = as long as it lasts.
        limits: refuse larger frames; a stream ends at the largest number of them.

    Raises:
        ConfigError: an address without leave to use the network.
        VideoError: it cannot be opened or read, has no video, or is over a limit.
    """
    if _ADDRESS.match(source) and not allow_network:
        raise ConfigError(f"{source} is an address, and saymask opens none unasked; add --allow-network, or download it and give the file")
    container = _open(source)
    if not container.streams.video:
        container.close()
        raise VideoError(f"{source}: no video stream; give an address or a camera with pictures")
    timed_frames = _decoded(container, source, max_seconds, limits)
    first = next(timed_frames, None)
    if first is None:
        raise VideoError(f"{source}: not one frame came; check that it plays elsewhere")
    rate = container.streams.video[0].average_rate
    height, width, _ = first[1].shape
    tags = {key.lower(): value for key, value in container.metadata.items()}
    return Stream(_name(source), source, height, width, float(rate or _USUAL_RATE), tags, _chain(first, timed_frames), first[1])


def _open(source: str) -> InputContainer:
    scheme = urlsplit(source).scheme.lower()
    options: dict[str, Any] = {"format_whitelist": f"{FORMATS},rtsp,rtp,sdp", "protocol_whitelist": _PROTOCOLS.get(scheme, "file")}
    try:
        if scheme:
            return av.open(source, options=options, timeout=_WAIT_SECONDS, metadata_errors="replace")
        return av.open(f"/dev/video{source}", format="v4l2", timeout=_WAIT_SECONDS)
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "check that the address is reachable from here" if scheme else "check that a camera is there and that it may be used"
        raise VideoError(f"{source}: cannot be opened ({reason.lower()}); {remedy}") from None


def _decoded(container: InputContainer, source: str, max_seconds: float | None, limits: ReadLimits) -> Iterator[tuple[float, np.ndarray]]:
    """Frames with growing times; a time that is missing or does not grow is made up from the rate."""
    stream = container.streams.video[0]
    step = 1 / float(stream.average_rate or _USUAL_RATE)
    reformatter = VideoReformatter()
    begun, last, matrix = None, -step, None
    shape: tuple[int, ...] = ()
    try:
        with container:
            for number, frame in enumerate(container.decode(stream)):
                limits.check_size(Path(source), frame.width, frame.height)
                if number >= limits.max_frames:
                    return
                if begun is None:
                    begun, matrix = frame.time or 0.0, side_matrix(frame)
                time = last + step if frame.time is None else frame.time - begun
                last = time if time > last else last + step
                if max_seconds is not None and last >= max_seconds:
                    return
                frame_HWC = _even(_shown(frame, reformatter, matrix))
                if shape and frame_HWC.shape != shape:
                    raise VideoError(f"{source}: frame {number} is {frame_HWC.shape[1]}x{frame_HWC.shape[0]}, the first was another size")
                shape = frame_HWC.shape
                yield last, frame_HWC
    except (FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"{source}: the stream broke off after {last + step:.1f} s ({reason.lower()}); try again") from None


def _shown(frame: VideoFrame, reformatter: VideoReformatter, matrix: bytes | None) -> np.ndarray:
    frame_HWC = as_rgb(frame, reformatter)
    return frame_HWC if matrix is None else as_displayed(frame_HWC, matrix)


def _even(frame_HWC: np.ndarray) -> np.ndarray:
    height, width, _ = frame_HWC.shape
    return np.ascontiguousarray(frame_HWC[: height - height % 2, : width - width % 2])


def _name(source: str) -> str:
    """The last part of an address's path, without suffix, or its host; "camera-0"."""
    parts = urlsplit(source)
    if not parts.scheme:
        return f"camera-{source}"
    return re.sub(r"[^\w.-]+", "-", Path(parts.path).stem) or parts.hostname or "stream"


def _chain(first: tuple[float, np.ndarray], rest: Iterator[tuple[float, np.ndarray]]) -> Iterator[tuple[float, np.ndarray]]:
    yield first
    yield from rest
