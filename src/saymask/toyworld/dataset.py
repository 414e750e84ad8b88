"""The toy world: endless videos of drawn things with questions about them and exact masks, from a seed.

Four splits. `train` is endless in practice; `val` (200 videos, made as those of `train`) is for choosing; `test` (400) and `test-novel`
(200: colour-kind pairs and wordings that training never sees) are the exam and fixed by WORLD_VERSION: a visible change is a new version.
Beside it stands `toyworld-multi`, whose questions mean two things or more (`several.py`), with a version of its own.
A sample is a pure function of its split and index, a training batch of `draw_batch`'s arguments. Nothing is on disk; a video of 24 frames
of 128 x 128 is drawn when its sample is indexed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Benchmark, Expression, Item, LazyItems, Phrase, Sample, SampleSet, in_memory, masks_by_id
from saymask.toyworld.motion import CANVAS, TIMELINE, Dice
from saymask.toyworld.queries import FAMILIES
from saymask.toyworld.render import render
from saymask.toyworld.scene import Scene, draw_scene
from saymask.toyworld.sentences import lexicon as single_lexicon
from saymask.toyworld.several import PAIR_FAMILIES, draw_pair_scene, pair_words
from saymask.toyworld.shapes import COLOURS, KINDS
from saymask.toyworld.things import Thing

__all__ = [
    "COLOURS",
    "FAMILIES",
    "KINDS",
    "MULTI_FAMILIES",
    "MULTI_VERSION",
    "TIMELINE",
    "WORLD_VERSION",
    "Scene",
    "Thing",
    "ToySample",
    "corpus",
    "draw_batch",
    "draw_scenes",
    "lexicon",
    "load_toyworld",
    "load_toyworld_multi",
    "render",
    "to_samples",
]

WORLD_VERSION = 1
MULTI_VERSION = 1
MULTI_FAMILIES = (*PAIR_FAMILIES, "plural")
SPLITS: dict[str, int] = {"train": 1_000_000_000, "val": 200, "test": 400, "test-novel": 200}
MULTI_SPLITS: dict[str, int] = {"train": 1_000_000_000, "val": 80, "test": 200}
FPS = 12.0


@dataclass(frozen=True)
class ToySample(Sample):
    """A sample that also knows its scene.

    Args:
        things: in stacking order; `expression.obj_ids` and the ids of its regions are 1 + an index of it.
    """

    things: tuple[Thing, ...] = field(kw_only=True)


class ToyWorld(SampleSet):
    """One split, drawn on demand; sample i asks a question of family i % 8. Its index draws scenes, but no pixels."""

    splits: ClassVar[Mapping[str, int]] = SPLITS
    how_scored: ClassVar[Benchmark] = Benchmark(groups=("family",), outlines_everything=True)

    def __init__(self, split: str) -> None:
        super().__init__(self.how_scored)
        self.split = split
        self._items = LazyItems(self.splits[split], self._item)

    def scene(self, index: int) -> Scene:
        """The scene behind a sample, not rendered."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of toyworld {self.split}: it has {len(self)}")
        dice = Dice(WORLD_VERSION, zlib.crc32(self.split.encode()), index)
        return draw_scene(dice, FAMILIES[index % len(FAMILIES)], novel=self.split == "test-novel")

    @property
    def items(self) -> Sequence[Item]:
        return self._items

    def __getitem__(self, index: int) -> ToySample:
        (sample,) = to_samples([self.scene(index)], [self._name(index)], np.arange(TIMELINE), CANVAS)
        return sample

    def read(self, item: Item) -> ToySample:
        return self[int(item.video_name.removeprefix(f"{self.split}-"))]

    def texts(self) -> Iterable[str]:
        return lexicon()

    @property
    def version(self) -> dict[str, int | str]:
        return {"world": WORLD_VERSION}

    def _item(self, index: int) -> Item:
        return Item(self._name(index), _expression(self.scene(index)))

    def _name(self, index: int) -> str:
        return f"{self.split}-{index:05d}"


class MultiToyWorld(ToyWorld):
    """One split of the questions about several things; sample i is of family i % 4."""

    splits = MULTI_SPLITS
    # Other videos' questions ("which two things cross?") have an answer here too, so a swapped question would measure nothing.
    how_scored = Benchmark(groups=("family",))

    def texts(self) -> Iterable[str]:
        return lexicon(MULTI_FAMILIES)

    @property
    def version(self) -> dict[str, int | str]:
        return {"world": MULTI_VERSION}

    def scene(self, index: int) -> Scene:
        """The scene behind a sample, not rendered."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of toyworld-multi {self.split}: it has {len(self)}")
        dice = Dice(MULTI_VERSION, zlib.crc32(f"multi {self.split}".encode()), index)
        return _draw(dice, MULTI_FAMILIES[index % len(MULTI_FAMILIES)])


def load_toyworld(root: Path | None, split: str) -> ToyWorld:
    """Drawn videos with questions about their things; nothing is on disk, so `root` is not used.

    Raises:
        DataError: no such split.
    """
    if split not in SPLITS:
        raise DataError(f"toyworld has no split {split!r}; use one of: {', '.join(SPLITS)}")
    return ToyWorld(split)


def load_toyworld_multi(root: Path | None, split: str) -> MultiToyWorld:
    """Drawn videos with questions about several things; nothing is on disk, so `root` is not used.

    Raises:
        DataError: no such split.
    """
    if split not in MULTI_SPLITS:
        raise DataError(f"toyworld-multi has no split {split!r}; use one of: {', '.join(MULTI_SPLITS)}")
    return MultiToyWorld(split)


def lexicon(families: Iterable[str] = FAMILIES) -> tuple[str, ...]:
    """All words that training on these families can say, in alphabetical order."""
    return tuple(sorted({*single_lexicon(), *(pair_words() if {*families} & {*PAIR_FAMILIES} else ())}))


def _draw(dice: Dice, family: str) -> Scene:
    return draw_pair_scene(dice, family) if family in PAIR_FAMILIES else draw_scene(dice, family)


def draw_scenes(seed: int, step: int, rank: int, batch_size: int, mix: Mapping[str, float]) -> list[Scene]:
    """Scenes of one training batch: a pure function of its arguments.

    Args:
        mix: how often each family is asked; weights, families left out do not occur.

    Raises:
        DataError: a family that does not exist, or weights that do not add up to more than 0.
    """
    known = (*FAMILIES, *PAIR_FAMILIES)
    unknown = [family for family in mix if family not in known]
    if unknown:
        raise DataError(f"toyworld has no family {unknown[0]!r}; use: {', '.join(known)}")
    if not sum(mix.values()) > 0 or min(mix.values()) < 0:
        raise DataError(f"family weights must be 0 or more and not all 0, got {dict(mix)}")
    dice = Dice(WORLD_VERSION, zlib.crc32(b"train batches"), seed, step, rank)
    asked = {family: weight for family, weight in mix.items() if weight > 0}
    return [_draw(dice, dice.weighted(asked)) for _ in range(batch_size)]


def draw_batch(
    seed: int, step: int, rank: int, batch_size: int, mix: Mapping[str, float], size: int = CANVAS, frame_idx: np.ndarray | None = None
) -> list[ToySample]:
    """Training samples, a pure function of the arguments; the videos hold only the frames `frame_idx` of the timeline (None: all 24)."""
    scenes = draw_scenes(seed, step, rank, batch_size, mix)
    names = [f"train-{seed}-{step}-{rank}-{i}" for i in range(batch_size)]
    return to_samples(scenes, names, np.arange(TIMELINE) if frame_idx is None else frame_idx, size)


def to_samples(scenes: Sequence[Scene], names: Sequence[str], frame_idx: np.ndarray, size: int) -> list[ToySample]:
    """Render scenes on the CPU and wrap them as samples."""
    frames_BTHWC, ids_BTHW = (tensor.numpy() for tensor in render(scenes, frame_idx, size))
    return [_to_sample(*row, frame_idx) for row in zip(scenes, names, frames_BTHWC, ids_BTHW, strict=True)]


def _to_sample(scene: Scene, name: str, frames_THWC: np.ndarray, ids_THW: np.ndarray, frame_idx: np.ndarray) -> ToySample:
    expression = _expression(scene)
    video = Video.from_frames(frames_THWC, name, FPS, comment="saymask-toyworld")
    if (np.diff(frame_idx) > 0).all():  # some frames of the timeline keep their times; the same one over and over has none
        video = replace(video, timestamps_T=frame_idx / FPS, duration=TIMELINE / FPS)
    return ToySample(
        video=video,
        expression=expression,
        load_masks=masks_by_id(ids_THW, expression.obj_ids),
        load_regions=in_memory(ids_THW),
        region_words=tuple((thing.colour, thing.kind) for thing in scene.things),
        things=scene.things,
    )


def _expression(scene: Scene) -> Expression:
    """The question about a scene; object ids are those of its rendered `ids_THW`."""
    obj_ids = tuple(i + 1 for i in scene.meant)
    return Expression("0", scene.text, obj_ids, scene.is_sentence, {"family": scene.query.family}, phrases=_phrases(scene))


def _phrases(scene: Scene) -> tuple[Phrase, ...]:
    """Colour and kind of each thing that is meant; where the question sets no order, from left to right as they come into view."""
    things = scene.things

    def entrance(i: int) -> tuple[int, float]:
        first = int(things[i].seen_T.argmax())
        return first, float(things[i].xy_T2[first, 0])

    meant = sorted(scene.meant, key=entrance) if scene.query.family == "plural" else scene.meant
    return tuple(Phrase(f"the {things[i].colour} {things[i].kind}", (i + 1,)) for i in meant)


def corpus(num_sentences: int, seed: int = 0) -> Iterator[str]:
    """Sentences of the train split, all families alike, for training a tokenizer."""
    for i in range(num_sentences):
        dice = Dice(WORLD_VERSION, zlib.crc32(b"corpus"), seed, i)
        yield draw_scene(dice, FAMILIES[i % len(FAMILIES)]).text
