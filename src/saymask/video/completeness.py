"""Is a video file all there? Each container says in its own way how long it must be.

A player shows what is left of a cut-off download and stops; for masks on every frame that would be a silent loss, so the reader
asks here first. Where a format says nothing (live recordings of unknown length), the file is taken as complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_SIGNATURES = {"mov": (4, b"ftyp"), "matroska": (0, b"\x1a\x45\xdf\xa3"), "avi": (0, b"RIFF"), "gif": (0, b"GIF8")}
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
_UNKNOWN_RIFF_SIZE = 0xFFFF_FFFF
_EBML_SEGMENT = b"\x18\x53\x80\x67"


def looks_like_video(path: Path) -> bool:
    """Whether the first bytes are those of a container the reader knows, however damaged the rest."""
    with path.open("rb") as file:
        head = file.read(12)
    return any(head[offset : offset + len(magic)] == magic for offset, magic in _SIGNATURES.values())


def is_cut_off(path: Path, container_format: str, stream: VideoStream) -> bool:
    """Whether the file ends before the last byte it promises; call after the packets have been read."""
    size = path.stat().st_size
    if container_format.startswith("mov"):
        return any(entry.pos + entry.size > size for entry in stream.index_entries)
    with path.open("rb") as file:
        if container_format.startswith("matroska"):
            end = _matroska_end(file)
            return end is not None and end > size
        if container_format == "avi":
            claimed = int.from_bytes(file.read(8)[4:], "little")
            return claimed != _UNKNOWN_RIFF_SIZE and claimed + 8 > size
        return container_format == "gif" and not _reaches_gif_trailer(file)


def is_still_container(path: Path) -> bool:
    """Whether an ISO file says that it holds images (HEIC, AVIF) and not a video."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS


def _reaches_gif_trailer(file: BinaryIO) -> bool:
    """Walk from block to block up to the trailer; what lies behind it is nobody's."""
    file.seek(10)
    flags = file.read(3)[:1]
    _skip_gif_colours(file, flags)
    while kind := file.read(1):
        if kind == b";":
            return True
        if kind == b"!":
            file.seek(1, 1)
        elif kind == b",":
            _skip_gif_colours(file, file.read(9)[8:])
            file.seek(1, 1)
        elif kind == b"\0":
            continue
        else:
            return False
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], 1)
    return False


def _skip_gif_colours(file: BinaryIO, flags: bytes) -> None:
    """A colour table, if the flags say that one follows."""
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, 1)


def _matroska_end(file: BinaryIO) -> int | None:
    """Offset at which the Segment ends, None where its size was left open."""
    _read_id(file)
    header_size = _read_size(file)
    if header_size is None:
        return None
    file.seek(header_size, 1)
    if _read_id(file) != _EBML_SEGMENT:
        return None
    size = _read_size(file)
    return None if size is None else file.tell() + size


def _read_id(file: BinaryIO) -> bytes:
    return _read_vint(file)[1]


def _read_size(file: BinaryIO) -> int | None:
    """An EBML length; None if all its bits are set, which means unknown."""
    length, raw = _read_vint(file)
    bits = 7 * length
    value = int.from_bytes(raw, "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value


def _read_vint(file: BinaryIO) -> tuple[int, bytes]:
    """A variable-length number: the leading zero bits of its first byte say how many bytes follow."""
    first = file.read(1)
    length = 9 - first[0].bit_length() if first and first[0] else 1
    return length, first + file.read(length - 1)
