"""Photographs with one label map each, for training: ADE20K and COCO-Stuff.

Every pixel has the number of a class, and a class that is somewhere in the picture can be asked for: all its pixels are the target. Which
classes a picture has only its map knows, so nothing is read before a picture is asked for, and a sample is a picture, not a sentence:
in its place in the sequence, with the class that covers most of it; drawn for training, with any of its classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.clips import read_label_map
from saymask.datasets.layout import Layout
from saymask.datasets.public.class_names import ADE20K_CLASSES, COCO_STUFF_CLASSES
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Expression, Sample
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_image

ADE20K = Layout(
    dataset="ade20k",
    splits=("train",),
    tree="{images,annotations}/training/<image>.{jpg,png}",
    folders=(".", "ade20k", "ADEChallengeData2016", ".."),
)
COCO_STUFF = Layout(
    dataset="coco-stuff",
    splits=("train",),
    tree="{coco/train2017/<image>.jpg, cocostuff/train2017/<image>.png}",
    folders=(".", ".."),
)

_MAX_DRAWS = 100  # a picture without any class to ask for is rare; so many in a row mean that something is wrong


@dataclass(frozen=True)
class Classes:
    """What the numbers of a label map mean.

    Args:
        names: by number; no other number but `void` may occur.
        void: of pixels that belong to no class and do not count.
    """

    names: Mapping[int, str]
    void: int

    def askable(self, number: int) -> bool:
        """Whether one would ask for a class: COCO-Stuff's "wall-other", "floor-tile" ... are no words of anyone."""
        return number in self.names and "-" not in self.names[number]


def load_ade20k(root: Path | None, split: str) -> LabelledPictures:
    """ADE20K scene parsing, for training: pictures with 150 classes, one of them asked for.

    Numbers are those of the maps, 1 to 150. Pixels with 0 are something else and do not count.

    Raises:
        DataError: no such split, or a picture without a label map or the reverse.
    """
    label_maps = ADE20K.find(root, split, "annotations/training")
    photographs = ADE20K.require(label_maps.parents[1] / "images" / "training")
    classes = Classes(dict(enumerate(ADE20K_CLASSES, start=1)), void=0)
    return LabelledPictures(ADE20K, photographs, label_maps, classes)


def load_coco_stuff(root: Path | None, split: str) -> LabelledPictures:
    """COCO-Stuff, for training: photographs of COCO with things and stuff, one class asked for.

    Numbers are those of the maps, 0 to 181; 255 is unlabelled and does not count. Classes with a hyphen in their name are background.

    Raises:
        DataError: as `load_ade20k`.
    """
    label_maps = COCO_STUFF.find(root, split, "cocostuff/train2017")
    photographs = COCO_STUFF.require(label_maps.parents[1] / "coco" / "train2017")
    return LabelledPictures(COCO_STUFF, photographs, label_maps, Classes(dict(enumerate(COCO_STUFF_CLASSES)), void=255))


@dataclass(frozen=True)
class LabelledPicture:
    """A picture that has been opened: labels_HW, and the numbers of the classes in it that can be asked for, the largest first."""

    video: Video
    labels_HW: np.ndarray
    present: tuple[int, ...]


class LabelledPictures(Sequence[Sample]):
    """The pictures of a split, sorted by name.

    Args:
        layout: of the dataset, for messages.
        photographs, label_maps: folders with a JPEG and a PNG of each picture.
        classes: what the numbers in the maps mean.

    Raises:
        DataError: there is no picture, or one lacks its photograph or label map.
    """

    def __init__(self, layout: Layout, photographs: Path, label_maps: Path, classes: Classes) -> None:
        stems = {path.stem for path in photographs.glob("*.jpg")}
        labelled = {path.stem for path in label_maps.glob("*.png")}
        if unpaired := sorted(stems ^ labelled):
            stem = unpaired[0]
            raise layout.missing(label_maps / f"{stem}.png" if stem in stems else photographs / f"{stem}.jpg")
        if not stems:
            raise layout.missing(label_maps / "<image>.png")
        self.source, self.names = label_maps, tuple(sorted(stems))
        self.photographs, self.classes = photographs, classes

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """The picture with the class that covers most of it.

        Raises:
            DataError: a file is damaged, or nothing in the picture can be asked for.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index}: there are {len(self)}")
        picture = self.open(self.names[index])
        if not picture.present:
            raise DataError(f"{self._label_map(self.names[index])}: nothing in it can be asked for; training passes over it, do so as well")
        return self._sample(picture, picture.present[0])

    def draw(self, rng: np.random.Generator) -> Sample:
        """Choose a picture and one of its classes; pictures in which nothing can be asked for are passed over.

        Raises:
            DataError: a file is damaged, or hardly any picture has a class.
        """
        for _ in range(_MAX_DRAWS):
            picture = self.open(self.names[rng.integers(len(self))])
            if picture.present:
                return self._sample(picture, picture.present[rng.integers(len(picture.present))])
        raise DataError(f"{self.source}: nothing can be asked for in {_MAX_DRAWS} pictures in a row; download the label maps again")

    def sentences(self, video_name: str) -> set[str]:
        """Names of all classes in a picture."""
        return {self.classes.names[number] for number in self.open(video_name).present}

    def any_expression(self, rng: np.random.Generator) -> Expression:
        """A class of some picture."""
        return self.draw(rng).expression

    def open(self, name: str) -> LabelledPicture:
        """Read the label map of a picture and open its photograph.

        Raises:
            DataError, VideoError: one of them is damaged, they differ in size, or a number stands for nothing.
        """
        video = self.photograph(name)
        labels_HW = read_label_map(self._label_map(name), video)
        numbers, areas = np.unique(labels_HW, return_counts=True)
        known = self.classes.names
        if unknown := sorted(set(numbers.tolist()) - known.keys() - {self.classes.void}):
            raise DataError(
                f"{self._label_map(name)}: a pixel has the number {unknown[0]}, but classes go from {min(known)} to {max(known)}; it was "
                "compressed, resized or converted: unpack or download the label maps again"
            )
        by_area = numbers[np.argsort(-areas, kind="stable")].tolist()
        return LabelledPicture(video, labels_HW, tuple(number for number in by_area if self.classes.askable(number)))

    def photograph(self, name: str) -> Video:
        """Open a picture without its label map.

        Raises:
            VideoError: it is damaged.
        """
        return open_image(self.photographs / f"{name}.jpg", ReadLimits())

    def _label_map(self, name: str) -> Path:
        return self.source / f"{name}.png"

    def _sample(self, picture: LabelledPicture, number: int) -> Sample:
        """A picture asked for one of its classes."""
        void_THW = (picture.labels_HW == self.classes.void)[None]
        expression = Expression(str(number), self.classes.names[number], (number,))
        return Sample(picture.video, expression, (picture.labels_HW == number)[None], ignore=void_THW if void_THW.any() else None)
