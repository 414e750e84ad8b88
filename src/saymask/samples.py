"""A split of a dataset on disk: an index of its expressions, and a function that opens one of them when it is asked for.

The index comes from annotation files alone. No frame and no mask is read before a sample is indexed, and pixels not before
`video.frames` or `masks_THW` is used.

A sample has a fixed place in its sequence and is the same each time. Where training chooses (which of a picture's phrases, in which words),
a sequence has `draw` as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import numpy as np

from saymask.errors import DataError
from saymask.records import Video

Masks = np.ndarray | Callable[[], np.ndarray]


@dataclass(frozen=True)
class Expression:
    """A dataset's sentence. `obj_ids` empty = nothing in the video matches. Tags: family, type_id, source, short/long.

    `answer`, where a dataset knows it, is what is to be said in words: beside the mask or, with `obj_ids` empty, instead of one. It holds
    no `[SEG]` and no template: how masks are asked for and announced is the family's to word.
    """

    exp_id: str
    text: str
    obj_ids: tuple[int, ...]
    is_sentence: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    answer: str | None = None


@dataclass(frozen=True)
class Regions:
    """Who is where: `load` gives uint8 ids_THW (0 = background), `words[i]` are the words that name region i + 1 (colour, kind)."""

    load: Callable[[], np.ndarray]
    words: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Sample:
    """One video with one expression and its true masks (bool masks_THW, or a function that loads them).

    `ignore` is, in the same form, what does not count in a score. `instances`, where a dataset tells an expression's several objects
    apart, loads them one by one: bool masks_NTHW in the order of `obj_ids`. `regions`, where a dataset knows it, is the truth about
    everything else in the picture; training may use it for auxiliary losses.
    """

    video: Video
    expression: Expression
    masks: Masks = field(repr=False)
    ignore: Masks | None = field(default=None, repr=False)
    regions: Regions | None = field(default=None, repr=False)
    instances: Callable[[], np.ndarray] | None = field(default=None, repr=False)

    @property
    def masks_THW(self) -> np.ndarray:
        masks_THW = self.masks() if callable(self.masks) else self.masks
        expected = (self.video.num_frames, self.video.height, self.video.width)
        if masks_THW.shape != expected or masks_THW.dtype != bool:
            raise ValueError(
                f"{self.video.name}/{self.expression.exp_id}: masks {masks_THW.dtype} {masks_THW.shape}, expected bool {expected}"
            )
        return masks_THW

    @property
    def ignore_THW(self) -> np.ndarray | None:
        """Pixels that do not count, bool; None if all do."""
        return self.ignore() if callable(self.ignore) else self.ignore

    @property
    def instances_NTHW(self) -> np.ndarray | None:
        """True masks of each object of the expression, bool; None if there are several and the dataset does not tell them apart."""
        num_objects = len(self.expression.obj_ids)
        if num_objects > 1:
            return self.instances() if self.instances else None
        return self.masks_THW[None][:num_objects]


@dataclass(frozen=True)
class Item:
    """One line of an index: enough to count, group and share out samples without opening any of them.

    Args:
        video_name: relative path that names the video within the dataset, such as "UVO/all/x"; becomes `Video.name`.
        expression: the sentence; `exp_id` is unique within the video.
    """

    video_name: str
    expression: Expression


@runtime_checkable
class Drawable(Protocol):
    """Samples that leave a choice to training; of any other sequence, each sample is as likely as the next."""

    def draw(self, rng: np.random.Generator) -> Sample:
        """Choose a sample; equal states of `rng` choose the same one."""
        ...


@runtime_checkable
class KnowsSentences(Protocol):
    """Samples that can say what is true of a video, and what is said of any."""

    def sentences(self, video_name: str) -> set[str]:
        """Every sentence the annotations have about a video."""
        ...

    def any_expression(self, rng: np.random.Generator) -> Expression:
        """An expression about some video, worded as in `sentences`."""
        ...


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

    def sentences(self, video_name: str) -> set[str]:
        """Every sentence about a video; none if there is no such video."""
        return {self.items[index].expression.text for index in self._places.get(video_name, ())}

    def any_expression(self, rng: np.random.Generator) -> Expression:
        """One of the index; its video is not opened."""
        return self.items[rng.integers(len(self))].expression

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        """Places of the items of each video."""
        places: dict[str, list[int]] = {}
        for index, item in enumerate(self.items):
            places.setdefault(item.video_name, []).append(index)
        return places


Rewording = Callable[[Item, np.random.Generator], Item]
"""Another way to ask for the same thing, or the same item."""


class VideoFirst(LazySamples):
    """Samples of which training draws a video first, then one of its expressions: each video counts the same, however much is said of it.

    Args:
        source, items, read: as of `LazySamples`.
        left_out: as of `LazySamples`.
        reword: changes the words of the drawn item, where a dataset leaves that open.
    """

    def __init__(
        self,
        source: Path,
        items: Sequence[Item],
        read: Callable[[Item], Sample],
        left_out: Sequence[str] = (),
        reword: Rewording | None = None,
    ) -> None:
        super().__init__(source, items, read, left_out)
        self.reword = reword

    def draw(self, rng: np.random.Generator) -> Sample:
        """Choose a video, one of its expressions, and its wording."""
        names = self._video_names
        places = self._places[names[rng.integers(len(names))]]
        item = self.items[places[rng.integers(len(places))]]
        return self.read(self.reword(item, rng) if self.reword else item)

    @cached_property
    def _video_names(self) -> list[str]:
        return list(self._places)


def _is_plain(name: str) -> bool:
    """Whether a name stays inside the folder it is appended to, on every system."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts and "\\" not in name
