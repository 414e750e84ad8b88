"""A split of a dataset on disk: an index of its expressions, and a function that opens one of them when it is asked for.

The index comes from annotation files alone. No frame and no mask is read before a sample is indexed, and pixels not before
`video.frames` or `masks_THW` is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from saymask.errors import DataError
from saymask.records import Expression, Sample


@dataclass(frozen=True)
class Item:
    """One line of an index: enough to count, group and share out samples without opening any of them.

    Args:
        video_name: relative path that names the video within the dataset, such as "UVO/all/x"; becomes `Video.name`.
        expression: the sentence; `exp_id` is unique within the video.
    """

    video_name: str
    expression: Expression


class LazySamples(Sequence[Sample]):
    """The samples of one split, in the order of the annotation file.

    Args:
        source: the annotation file or folder of the index, for messages.
        items: the index.
        read: opens one item.
        left_out: what the annotations list but cannot be a sample, each with its reason; so that a count can be explained.

    Raises:
        DataError: there is no item, two have the same video and expression id, or an id is not a plain relative path.
    """

    def __init__(self, source: Path, items: Sequence[Item], read: Callable[[Item], Sample], left_out: Sequence[str] = ()) -> None:
        if not items:
            raise DataError(f"{source}: lists no expressions; download it again")
        seen = set()
        for item in items:
            name = f"{item.video_name}/{item.expression.exp_id}"
            if not _is_plain(name):
                raise DataError(f"{source}: {name!r} cannot name a sample: ids become folder names; correct it in the file")
            if name in seen:
                raise DataError(f"{source}: two expressions are called {name}; remove one of them, or download the file again")
            seen.add(name)
        self.source = source
        self.items = tuple(items)
        self.left_out = tuple(left_out)
        self.read = read

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index}: there are {len(self)}")
        return self.read(self.items[index])


def _is_plain(name: str) -> bool:
    """Whether a name stays inside the folder it is appended to, on every system."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts and "\\" not in name
