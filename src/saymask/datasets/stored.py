"""A split of a dataset on disk: an index of its expressions, and a function that opens one of them when it is asked for.

The index comes from annotation files alone. No frame and no mask is read before a sample is indexed, and pixels not before
`video.frames` or a sample's `masks` is used. `saymask data check` goes through such a set video by video.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Benchmark, Item, Sample, SampleSet


class MaskFiles(Protocol):
    """The files in which the masks of a set lie, for whoever checks them."""

    def place(self, item: Item) -> Path:
        """File or folder of an expression's masks."""
        ...

    def impossible_values(self, items: Sequence[Item], video: Video) -> Iterator[str]:
        """Problems with values in the mask files of a video that cannot be meant.

        Loaders take a pixel for an object if it has the object's number, or is not black; an image that was compressed, resized or
        converted to grey still loads, with wrong masks. Its values give it away. Files that cannot be read are left to the loader.

        Args:
            items: one expression about each target of the video.
            video: its frames.
        """
        ...


class StoredSamples(SampleSet):
    """A set on disk, which can be looked at video by video.

    Args:
        source: the annotation file or folder, for messages.
        benchmark, left_out: as of `SampleSet`.
        mask_files: the files of the masks; None if they stand in `source`.
    """

    knows_sentences = True

    def __init__(self, source: Path, benchmark: Benchmark, left_out: Sequence[str] = (), mask_files: MaskFiles | None = None) -> None:
        super().__init__(benchmark, left_out)
        self.source = source
        self.mask_files = mask_files

    @property
    @abstractmethod
    def video_names(self) -> Sequence[str]:
        """Every video that has a sample, in the order of the first one."""

    @property
    @abstractmethod
    def num_expressions(self) -> int | None:
        """Number of expressions; None if only the masks know what can be asked."""

    @abstractmethod
    def open_video(self, video_name: str) -> Video:
        """Open a video without reading masks.

        Raises:
            DataError, VideoError: it is missing or damaged.
        """

    @abstractmethod
    def targets(self, video_name: str) -> Iterator[Sample]:
        """One sample for each different target of a video.

        Raises:
            DataError, VideoError: the video, or a file that says what its targets are, is missing or damaged.
        """


class LazySamples(StoredSamples):
    """The samples of one split, in the order of the annotation file.

    Args:
        source: the annotation file or folder of the index.
        items: the index.
        read: opens one item.
        benchmark, left_out, mask_files: as of `StoredSamples`.

    Raises:
        DataError: there is no item, two have the same video and expression id, or an id is not a plain relative path.
    """

    def __init__(
        self,
        source: Path,
        items: Sequence[Item],
        read: Callable[[Item], Sample],
        benchmark: Benchmark,
        left_out: Sequence[str] = (),
        mask_files: MaskFiles | None = None,
    ) -> None:
        super().__init__(source, benchmark, left_out, mask_files)
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
        self._items = tuple(items)
        self._read = read

    @property
    def items(self) -> Sequence[Item]:
        return self._items

    def read(self, item: Item) -> Sample:
        return self._read(item)

    def texts(self) -> Iterable[str]:
        return (item.expression.text for item in self._items)

    def about(self, video_name: str) -> Sequence[Item]:
        return self._by_video.get(video_name, ())

    def sentences(self, video_name: str) -> set[str]:
        """Every sentence about a video; none if there is no such video."""
        return {item.expression.text for item in self.about(video_name)}

    @property
    def video_names(self) -> Sequence[str]:
        return self._video_names

    @property
    def num_expressions(self) -> int:
        return len(self._items)

    def open_video(self, video_name: str) -> Video:
        return self.read(self._by_video[video_name][0]).video

    def targets(self, video_name: str) -> Iterator[Sample]:
        first_of_target: dict[tuple[int, ...], Item] = {}
        for item in self._by_video[video_name]:
            first_of_target.setdefault(item.expression.obj_ids, item)
        return map(self.read, first_of_target.values())

    @cached_property
    def _by_video(self) -> dict[str, list[Item]]:
        """The items of each video."""
        by_video: dict[str, list[Item]] = {}
        for item in self._items:
            by_video.setdefault(item.video_name, []).append(item)
        return by_video

    @cached_property
    def _video_names(self) -> list[str]:
        return list(self._by_video)


Rewording = Callable[[Item, np.random.Generator], Item]
"""Another way to ask for the same thing, or the same item."""


class VideoFirst(LazySamples):
    """Samples of which training draws a video first, then one of its expressions: each video counts the same, however much is said of it.

    Args:
        source, items, read, benchmark, left_out, mask_files: as of `LazySamples`.
        reword: changes the words of the drawn item, where a dataset leaves that open.
    """

    def __init__(
        self,
        source: Path,
        items: Sequence[Item],
        read: Callable[[Item], Sample],
        benchmark: Benchmark,
        left_out: Sequence[str] = (),
        mask_files: MaskFiles | None = None,
        reword: Rewording | None = None,
    ) -> None:
        super().__init__(source, items, read, benchmark, left_out, mask_files)
        self.reword = reword

    def draw(self, rng: np.random.Generator) -> Sample:
        """Choose a video, one of its expressions, and its wording."""
        items = self._by_video[self._video_names[rng.integers(len(self._video_names))]]
        item = items[rng.integers(len(items))]
        return self.read(self.reword(item, rng) if self.reword else item)


def _is_plain(name: str) -> bool:
    """Whether a name stays inside the folder it is appended to, on every system."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts and "\\" not in name
