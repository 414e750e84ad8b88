"""How sources are called, and what tells whether one is still what was segmented: its digest, its frames and their size."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from saymask.records import Video

_BLOCK_BYTES = 2**20
_NAME_LENGTH = 100


@dataclass(frozen=True)
class SourceFacts:
    """Of a source: SHA-256 of what it holds, number of frames, height and width."""

    sha256: str
    frames: int
    height: int
    width: int

    @classmethod
    def of(cls, video: Video) -> SourceFacts:
        """Facts of an opened source; a file or folder is read whole."""
        return cls(digest(Path(video.source)), video.num_frames, video.height, video.width)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files, as hex digits.

    Raises:
        OSError: something cannot be read.
    """
    found = hashlib.sha256()
    if not path.is_dir():
        _add(found, path)
        return found.hexdigest()
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            content = hashlib.sha256()
            _add(content, file)
            found.update(f"{file.name}\0{content.hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _add(found: Any, file: Path) -> None:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            found.update(block)


def nbytes(source: str) -> int:
    """Size on disk, by which jobs are ordered: it says how long they take, and costs nothing to know. 0 if there is no such source."""
    path = Path(source)
    try:
        return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
    except OSError:
        return 0


def source_names(paths: Sequence[Path]) -> list[str]:
    """A folder name for each source: the end of its path, as much of it as tells the sources apart, never longer than a name may be."""
    parts = [(*path.absolute().parts[1:-1], path.name if path.is_dir() else path.stem) for path in paths]
    lengths = [1] * len(paths)
    while True:
        names = ["-".join(of_path[-length:]) for of_path, length in zip(parts, lengths, strict=True)]
        count = Counter(names)
        longer = [min(length + (count[name] > 1), len(of_path)) for name, length, of_path in zip(names, lengths, parts, strict=True)]
        if longer == lengths:
            break
        lengths = longer
    # Files of one folder that differ in their suffix alone keep it.
    names = [f"{name}{path.suffix}" if count[name] > 1 else name for name, path in zip(names, paths, strict=True)]
    return [name[-_NAME_LENGTH:] for name in names]
