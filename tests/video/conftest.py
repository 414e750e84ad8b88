"""Clips whose every frame can be told apart: the frame's number stands in it as eight black or white blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

HEIGHT, WIDTH = 48, 64


def numbered_frame(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Upper half: the bits of `number`, lowest first; lower half: a colour that changes slowly."""
    frame_HWC = np.empty((height, width, 3), dtype=np.uint8)
    frame_HWC[:] = (40 + number % 100, 90, 200 - number % 100)
    for bit in range(8):
        frame_HWC[: height // 2, bit * width // 8 : (bit + 1) * width // 8] = 255 * (number >> bit & 1)
    return frame_HWC


def number_in(frame_HWC: np.ndarray) -> int:
    height, width, _ = frame_HWC.shape
    bits = [frame_HWC[height // 4, bit * width // 8 + width // 16].mean() > 127 for bit in range(8)]
    return sum(1 << bit for bit, on in enumerate(bits) if on)


def numbers_in(frames_THWC: np.ndarray) -> list[int]:
    return [number_in(frame_HWC) for frame_HWC in frames_THWC]


def make_clip(
    path: Path,
    num_frames: int = 20,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    milliseconds: Sequence[int] | None = None,
    picture: Callable[[int], np.ndarray] = numbered_frame,
    colour: tuple[int, int] | None = (1, 1),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """Encode `picture(0)`, `picture(1)` ... at 10 frames a second, or at the given times.

    `colour` = the matrix that the tag names and the matrix that is used; None leaves both to the encoder.
    """
    height, width, _ = picture(0).shape
    time_base = Fraction(1, 10) if milliseconds is None else Fraction(1, 1000)
    with av.open(str(path), "w", options=container_options or {}) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=10, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = time_base
        stream.codec_context.gop_size = 6
        if colour is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = colour[0], 1
        container.start_encoding()  # a clip without frames gets its header too
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            if pix_fmt.startswith("yuv"):
                frame = frame.reformat(format=pix_fmt, dst_colorspace=colour[1] if colour else 5, dst_color_range="MPEG")
            frame.pts, frame.time_base = index if milliseconds is None else milliseconds[index], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patch_box(path: Path, box: bytes, offset: int, content: bytes) -> None:
    """Overwrite bytes of the first mp4 box of that type, `offset` bytes after its name."""
    data = bytearray(path.read_bytes())
    start = data.index(box) + len(box) + offset
    data[start : start + len(content)] = content
    path.write_bytes(data)


@pytest.fixture
def clips() -> SimpleNamespace:
    """The functions of this file; test modules cannot import a conftest."""
    return SimpleNamespace(
        make=make_clip, numbered_frame=numbered_frame, number_in=number_in, numbers_in=numbers_in, patch_box=patch_box, size=(HEIGHT, WIDTH)
    )
