"""What a dataset gives: samples whose frames and masks are decoded when they are asked for, and the set that they belong to.

A `Sample` is one video with one sentence. Its masks are loaded for the frames that are named and for no others, each distinct frame once
for all objects of the sentence. A `SampleSet` is one split of a dataset. It states what evaluation, training and reports need to know about
the dataset, so none of them looks at its type, its name or its tags.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from saymask.errors import DataError
from saymask.records import Video

FrameLoader = Callable[[Sequence[int]], Iterable[np.ndarray]]
"""Distinct frame indices in ascending order -> one array for each of them, in that order."""


@dataclass(frozen=True)
class Phrase:
    """A noun phrase of an answer and the objects it names; where it names several, their order means nothing."""

    text: str
    obj_ids: tuple[int, ...]


@dataclass(frozen=True)
class MultipleChoice:
    """A multiple choice question: `correct` is the place of the right option."""

    question: str
    options: tuple[str, ...]
    correct: int

    def text(self) -> str:
        """The question with its lettered options and what to do."""
        lettered = " ".join(self.answer(place) for place in range(len(self.options)))
        return f"{self.question.strip()} {lettered} Answer with the letter of the right option."

    def answer(self, place: int) -> str:
        """An option as it is listed and answered: "(B) the dog"."""
        return f"({chr(ord('A') + place)}) {self.options[place]}"


@dataclass(frozen=True)
class Expression:
    """A dataset's sentence. `obj_ids` empty = nothing in the video matches. Tags: family, type, source, length, annotator, obj.

    `answer`, where a dataset knows it, is the answer in words: beside the mask or, with `obj_ids` empty, instead of one. It holds no
    `[SEG]`; the processor adds its template.

    `phrases`, where a dataset knows them, name the objects one by one, in the order an answer does; together they name all of `obj_ids`.
    `multiple_choice` is a question with options about the same.
    """

    exp_id: str
    text: str
    obj_ids: tuple[int, ...]
    is_sentence: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    answer: str | None = None
    phrases: tuple[Phrase, ...] = ()
    multiple_choice: MultipleChoice | None = None

    def __post_init__(self) -> None:
        named = sorted(obj_id for phrase in self.phrases for obj_id in phrase.obj_ids)
        if self.phrases and named != sorted(self.obj_ids):
            raise ValueError(f"expression {self.exp_id!r}: its phrases name the objects {named}, its objects are {sorted(self.obj_ids)}")


@dataclass(frozen=True)
class Sample:
    """One video with one expression and its true masks.

    Args:
        video: opened, not decoded.
        expression: the sentence and its objects.
        load_masks: gives a frame's bool masks_NHW, one mask for each of the expression's N `obj_ids`, in their order.
        load_ignore: gives a frame's bool ignore_HW, the pixels that do not count in a score; None if all count.
        load_regions: gives a frame's uint8 ids_HW, 0 = background; None if the dataset does not outline everything in its videos.
        region_words: words (colour, kind) that name region i + 1.
    """

    video: Video
    expression: Expression
    load_masks: FrameLoader = field(repr=False)
    load_ignore: FrameLoader | None = field(default=None, repr=False)
    load_regions: FrameLoader | None = field(default=None, repr=False)
    region_words: tuple[tuple[str, ...], ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Unique in its set: video and expression."""
        return f"{self.video.name}/{self.expression.exp_id}"

    def masks(self, frame_idx: Iterable[int]) -> np.ndarray:
        """Union of the expression's objects on the frames at `frame_idx` (any order, repeats allowed) -> bool masks_KHW.

        Raises:
            IndexError: an index outside the video.
            DataError: the masks are missing, damaged or not public.
        """
        return self._gather(frame_idx, self._load_checked, np.logical_or.reduce)

    def instances(self, frame_idx: Iterable[int]) -> np.ndarray:
        """The expression's objects one by one, in the order of `obj_ids` -> bool masks_NKHW; otherwise as `masks`."""
        return np.moveaxis(self._gather(frame_idx, self._load_checked, depth=(len(self.expression.obj_ids),)), 0, 1)

    def ignore(self, frame_idx: Iterable[int]) -> np.ndarray | None:
        """Pixels that do not count -> bool ignore_KHW; None if all count."""
        return self._gather(frame_idx, self.load_ignore) if self.load_ignore else None

    def regions(self, frame_idx: Iterable[int]) -> np.ndarray:
        """Everything that is outlined -> uint8 ids_KHW, 0 = background, i + 1 = the region named by `region_words[i]`.

        Raises:
            DataError: the dataset does not outline everything in its videos.
        """
        if self.load_regions is None:
            raise DataError(f"{self.name}: the dataset does not outline everything in its videos; use one that does, such as toyworld")
        return self._gather(frame_idx, self.load_regions, dtype=np.uint8)

    @property
    def masks_THW(self) -> np.ndarray:
        """`masks` of all frames."""
        return self.masks(range(self.video.num_frames))

    @property
    def instances_NTHW(self) -> np.ndarray:
        """`instances` of all frames."""
        return self.instances(range(self.video.num_frames))

    @property
    def ignore_THW(self) -> np.ndarray | None:
        """`ignore` of all frames."""
        return self.ignore(range(self.video.num_frames))

    def _load_checked(self, frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        expected = (len(self.expression.obj_ids), self.video.height, self.video.width)
        for masks_NHW in self.load_masks(frame_idx):
            if masks_NHW.shape != expected or masks_NHW.dtype != bool:
                raise ValueError(f"{self.name}: masks {masks_NHW.dtype} {masks_NHW.shape}, expected bool {expected}")
            yield masks_NHW

    def _gather(
        self,
        frame_idx: Iterable[int],
        load: FrameLoader,
        reduce: Callable[[np.ndarray], np.ndarray] = np.asarray,
        depth: tuple[int, ...] = (),
        dtype: type = bool,
    ) -> np.ndarray:
        """Load each distinct frame once and put it wherever it is asked for -> (K, *depth, H, W)."""
        wanted_K = np.fromiter(frame_idx, dtype=np.int64)
        outside = wanted_K[(wanted_K < 0) | (wanted_K >= self.video.num_frames)]
        if len(outside):
            raise IndexError(f"frame {outside[0]} of {self.name}: it has frames 0 to {self.video.num_frames - 1}")
        distinct, places_K = np.unique(wanted_K, return_inverse=True)
        gathered = np.empty((len(wanted_K), *depth, self.video.height, self.video.width), dtype=dtype)
        for number, loaded in zip(range(len(distinct)), load(distinct.tolist()), strict=True):
            gathered[places_K == number] = reduce(loaded)
        return gathered


def in_memory(arrays_T: np.ndarray) -> FrameLoader:
    """Loader of arrays that are there already, one per frame along the first axis."""
    return lambda frame_idx: (arrays_T[index] for index in frame_idx)


def masks_by_id(ids_THW: np.ndarray, obj_ids: Sequence[int]) -> FrameLoader:
    """Loader of the masks_NHW of the objects that are painted with their ids."""
    obj_ids_N11 = np.array(obj_ids, dtype=np.int64).reshape(-1, 1, 1)
    return lambda frame_idx: (ids_THW[index] == obj_ids_N11 for index in frame_idx)


def no_objects(video: Video) -> FrameLoader:
    """Loader of the masks_NHW of an expression without objects, N = 0."""
    return in_memory(np.zeros((video.num_frames, 0, video.height, video.width), dtype=bool))


@dataclass(frozen=True)
class Item:
    """One line of an index: enough to count, group and share out samples without opening any of them.

    Args:
        video_name: relative path that names the video within the dataset, such as "UVO/all/x"; becomes `Video.name`.
        expression: the sentence; `exp_id` is unique within the video.
    """

    video_name: str
    expression: Expression


class LazyItems(Sequence[Item]):
    """An index whose lines are made when they are asked for, each of them once.

    Args:
        length: number of lines.
        make: line number -> line.
    """

    def __init__(self, length: int, make: Callable[[int], Item]) -> None:
        self.length = length
        self.make = make
        self._made: dict[int, Item] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self.length:
            raise IndexError(f"item {index}: there are {self.length}")
        if index not in self._made:
            self._made[index] = self.make(index)
        return self._made[index]


@dataclass(frozen=True)
class Server:
    """Where a split is scored whose true masks are not public.

    Args:
        split: the split it scores.
        prefix: what stands before `<video>/` in the zip it takes.
        url: where to send it.
    """

    split: str
    prefix: str
    url: str


@dataclass(frozen=True)
class Benchmark:
    """How results on a dataset are computed and published; by default as plain means over all expressions.

    Args:
        groups: tags whose values divide the expressions into groups, whose means are reported beside the whole.
        table: published table that is computed beside plain means. "revos": accuracy and R, and means by the tag `type`; "ref-davis": means
            over annotators of whole videos, from the tags `annotator` and `obj`.
        templates: by protocol: the template in which its script asks this dataset's questions.
        server: of the split whose masks are not public.
        outlines_everything: every sample has regions, so baselines that need no model can stand beside one.
        in_words: questions are answered in words; there are no masks to score.
    """

    groups: tuple[str, ...] = ()
    table: Literal["revos", "ref-davis"] | None = None
    templates: Mapping[str, str] = field(default_factory=dict)
    server: Server | None = None
    outlines_everything: bool = False
    in_words: bool = False

    def keeps_masks_of(self, split: str) -> bool:
        """Whether the true masks of a split are not public, so that only the benchmark's server can score it."""
        return self.server is not None and self.server.split == split


PLAIN = Benchmark()
"""Nothing particular: plain means, public masks."""


class SampleSet(Sequence[Sample], ABC):
    """One split of a dataset. A sample has a fixed place in it and is the same each time; training may `draw` instead.

    Args:
        benchmark: of the dataset.
        left_out: what the annotations list but cannot be a sample, each with its reason, so that a count can be explained.
    """

    knows_sentences: ClassVar[bool] = False
    """Whether `sentences` says what is asked about a video, so that a sentence it does not list may be taken for absent."""

    def __init__(self, benchmark: Benchmark, left_out: Sequence[str] = ()) -> None:
        self.benchmark = benchmark
        self.left_out = tuple(left_out)

    @property
    @abstractmethod
    def items(self) -> Sequence[Item]:
        """The index: one line per sample, in their order. No frame is decoded for it."""

    @abstractmethod
    def read(self, item: Item) -> Sample:
        """Open what a line of the index names, perhaps in other words."""

    @abstractmethod
    def texts(self) -> Iterable[str]:
        """Texts that hold every word of the expressions; no video is opened for them."""

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index}: there are {len(self)}")
        return self.read(self.items[index])

    def draw(self, rng: np.random.Generator) -> Sample:
        """Choose a sample for training, each as likely as the next; equal states of `rng` choose the same one."""
        return self[int(rng.integers(len(self)))]

    def about(self, video_name: str) -> Sequence[Item]:
        """Lines of the index about one video, where they are kept by video; otherwise none."""
        return ()

    def any_expression(self, rng: np.random.Generator) -> Expression:
        """An expression about some video."""
        return self.items[int(rng.integers(len(self)))].expression

    def sentences(self, video_name: str) -> set[str]:
        """Every sentence that the annotations have about a video; only of a set that `knows_sentences`."""
        raise NotImplementedError(f"{type(self).__name__} does not know what is said about a video")

    @property
    def version(self) -> dict[str, int | str]:
        """What tells two editions of the same split apart: counts, and a hash of all that is asked."""
        asked = [[item.video_name, item.expression.exp_id, item.expression.text, item.expression.obj_ids] for item in self.items]
        return {
            "videos": len({item.video_name for item in self.items}),
            "expressions": len(asked),
            "left_out": len(self.left_out),
            "sha256": hashlib.sha256(json.dumps(asked).encode()).hexdigest(),
        }
