"""What an mp4's index promises, read from its boxes before FFmpeg builds it in memory.

A table of constant sample sizes, or a run of a fragment, names any number of samples in twenty bytes; FFmpeg makes an entry of 24 bytes and
more for each. More samples than the file has bytes are never real, nor is a video track with more than the limit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from saymask.errors import VideoError
from saymask.video.limits import ReadLimits

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"edts")
_RUNS = (b"stts", b"ctts")  # pairs of a number of samples and a value
_MAX_DEPTH = 8
_MAX_BOXES = 1_000_000  # ten for each frame of the longest video
_MAX_TABLE_BYTES = 64 * 2**20  # of run lengths: 8 million runs


def require_modest_index(path: Path, limits: ReadLimits) -> None:
    """Raises VideoError if an mp4 promises more samples than it can hold, or a video track more than `limits.max_frames`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8)[4:] not in (b"ftyp", b"moov", b"moof", b"free", b"skip", b"wide", b"mdat", b"styp"):
            return
        is_video = False
        for number, (box, start, end) in enumerate(_boxes(file, 0, size, 0)):
            if number == _MAX_BOXES:
                raise VideoError(f"{path}: its index has more than {_MAX_BOXES} boxes; it is damaged: export it again")
            if box == b"trak":
                is_video = False
            elif box == b"hdlr":
                file.seek(start + 8)
                is_video = file.read(4) == b"vide"
            elif box == b"cmov":
                raise VideoError(f"{path}: its index is compressed (cmov), which is not read; convert it, e.g. with ffmpeg -c copy")
            else:
                promised = _samples(file, box, start, end)
                if promised > size:
                    raise VideoError(f"{path}: promises {promised} samples in a file of {size} bytes; it is damaged: export it again")
                if is_video:
                    limits.check_count(path, promised)


def _boxes(file: BinaryIO, start: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    """Every box from `start` to `end` and in the parents among them: its name and where its content begins and ends."""
    while start + 8 <= end and depth < _MAX_DEPTH:
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        length, name, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if length == 1 and len(header) == 16:
            length, content = int.from_bytes(header[8:], "big"), start + 16
        stop = end if length == 0 else start + length
        if stop < content:
            return
        yield name, content, min(stop, end)
        if name in _PARENTS:
            yield from _boxes(file, content, min(stop, end), depth + 1)
        start = stop


def _samples(file: BinaryIO, box: bytes, start: int, end: int) -> int:
    """How many samples a box says there are; 0 for boxes that do not."""
    if box not in (b"stsz", b"stz2", b"trun", *_RUNS):
        return 0
    file.seek(start + 4)
    if box in (b"stsz", b"stz2"):
        return int.from_bytes(file.read(8)[4:], "big")
    count = int.from_bytes(file.read(4), "big")
    if box == b"trun":
        return count
    runs = file.read(max(0, min(8 * count, end - start - 8, _MAX_TABLE_BYTES)))
    return sum(number for number, _ in struct.iter_unpack(">II", runs[: len(runs) // 8 * 8]))
