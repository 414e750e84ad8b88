"""Annotation files read with suspicion: JSON with no key twice, entries with the fields a loader needs, and video indexes.

`meta_expressions.json` is the common form of this field (MeViS, ReVOS, Ref-YouTube-VOS, Ref-DAVIS17, LV-VIS, nearly ReasonVOS):
{"videos": {video: {"frames": [name ...], "expressions": {exp_id: {"exp": sentence, ...}}}}}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from saymask.errors import DataError
from saymask.storage import json_files
from saymask.video.stills import IMAGE_SUFFIXES

T = TypeVar("T")
MAX_DIGITS = 18
"""Of an id: Python refuses to read thousands of digits, and arrays hold no more than these."""


@dataclass(frozen=True)
class ClipEntry:
    """A video of a `meta_expressions.json`.

    Args:
        name: the video's id, a relative path.
        frame_names: stems of its frames, in order.
        fields: the entry as it stands in the file.
        where: what messages call it.
    """

    name: str
    frame_names: tuple[str, ...]
    fields: Mapping[str, Any]
    where: str

    def expressions(self, key: str = "expressions") -> Iterator[tuple[str, Mapping[str, Any], str]]:
        """Each expression, from the field `key`, as id, fields and what messages call it; in the order of the file."""
        entries = need(self.fields, key, dict, self.where)
        for exp_id in entries:
            yield exp_id, need(entries, exp_id, dict, self.where), f"{self.where}, expression {exp_id}"


def read_json(path: Path, fallback_encoding: str = "utf-8") -> Any:
    """Read a JSON file.

    Args:
        path: the file, which exists.
        fallback_encoding: what a file is in that is not UTF-8.

    Raises:
        DataError: it cannot be read, is not JSON, or an object in it has one key twice.
    """
    remedy = "download it again, or correct it if it is yours"
    return json_files.read_json(path, DataError, remedy, fallback_encoding=fallback_encoding)


def read_bytes(path: Path) -> bytes:
    """What is in a file.

    Raises:
        DataError: it is a folder, or nobody may read it.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise OSError(0, "a pipe or a device, not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); put a file there that you may read") from None


def need(entry: Any, key: str, kind: type[T], where: str) -> T:
    """Return `entry[key]`, which must be there and of that kind.

    Raises:
        DataError: names the place, the key, and what stands there instead.
    """
    if not isinstance(entry, Mapping) or key not in entry:
        raise DataError(f"{where}: {key!r} is missing; the file is damaged or of another dataset: correct it, or download it again")
    value = entry[key]
    if not isinstance(value, kind):
        raise DataError(f"{where}: {key!r} is {value!r}, expected {kind.__name__}; correct it, or download the file again")
    return value


def need_int(entry: Mapping[str, Any], key: str, where: str) -> int:
    """Return `entry[key]` as a number; files write 1 and "1" alike.

    Raises:
        DataError: it is missing or no whole number.
    """
    value = need(entry, key, object, where)
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, str) and value.isdecimal() and len(value) <= MAX_DIGITS)
    ):
        raise DataError(f"{where}: {key!r} is {repr(value)[:40]}, expected a whole number; correct it, or download the file again")
    return int(value)


def need_ints(entry: Mapping[str, Any], key: str, where: str) -> tuple[int, ...]:
    """Return the list `entry[key]` as numbers.

    Raises:
        DataError: it is missing, no list, or holds something else than whole numbers.
    """
    values = need(entry, key, list, where)
    return tuple(need_int({key: value}, key, where) for value in values)


def read_clips(path: Path) -> list[ClipEntry]:
    """Read the videos of a `meta_expressions.json`, in the order of the file.

    Raises:
        DataError: the file is damaged, or a video has no frames or one frame twice.
    """
    videos = need(read_json(path), "videos", dict, str(path))
    clips = []
    for name, fields in videos.items():
        where = f"{path}: video {name}"
        frame_names = tuple(map(_stem, need(fields, "frames", list, where)))
        if not frame_names or len(set(frame_names)) < len(frame_names):
            what = "has one frame twice" if frame_names else "has no frames"
            raise DataError(f"{where}: the list of frames {what}; correct it, or download the file again")
        clips.append(ClipEntry(name, frame_names, fields, where))
    return clips


def _stem(frame: Any) -> str:
    """A frame's name without the suffix of an image, which some files write and some do not."""
    path = PurePosixPath(str(frame))
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
