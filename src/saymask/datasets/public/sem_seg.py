"""Images with one label map each, for training: ADE20K and COCO-Stuff.

Every pixel has the number of a class, and a class that is somewhere in the image can be asked for: all its pixels are the target. Which
classes an image has only its map knows, so nothing is read before an image is asked for, and a sample is an image, not a sentence:
in its place in the set, with the class that covers most of it; drawn for training, with any of its classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.layout import Layout
from saymask.datasets.mask_images import read_label_map
from saymask.datasets.public.class_names import ADE20K_CLASSES, COCO_STUFF_CLASSES
from saymask.datasets.stored import StoredSamples
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Expression, Item, LazyItems, Sample, in_memory, masks_by_id
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

_MAX_DRAWS = 100  # an image without any class to ask for is rare; so many in a row mean that something is wrong


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


def load_ade20k(root: Path | None, split: str) -> LabelledImages:
    """ADE20K scene parsing, for training: images with 150 classes, one of them asked for.

    Numbers are those of the maps, 1 to 150. Pixels with 0 are something else and do not count.

    Raises:
        DataError: no such split, or an image without a label map or the reverse.
    """
    label_maps = ADE20K.find(root, split, "annotations/training")
    images = ADE20K.require(label_maps.parents[1] / "images" / "training")
    classes = Classes(dict(enumerate(ADE20K_CLASSES, start=1)), void=0)
    return LabelledImages(ADE20K, images, label_maps, classes)


def load_coco_stuff(root: Path | None, split: str) -> LabelledImages:
    """COCO-Stuff, for training: images of COCO with things and stuff, one class asked for.

    Numbers are those of the maps, 0 to 181; 255 is unlabelled and does not count. Classes with a hyphen in their name are background.

    Raises:
        DataError: as `load_ade20k`.
    """
    label_maps = COCO_STUFF.find(root, split, "cocostuff/train2017")
    images = COCO_STUFF.require(label_maps.parents[1] / "coco" / "train2017")
    return LabelledImages(COCO_STUFF, images, label_maps, Classes(dict(enumerate(COCO_STUFF_CLASSES)), void=255))


@dataclass(frozen=True)
class LabelledImage:
    """An image that has been opened: labels_HW, and the numbers of the classes in it that can be asked for, the largest first."""

    video: Video
    labels_HW: np.ndarray
    present: tuple[int, ...]


class LabelledImages(StoredSamples):
    """The images of a split, sorted by name.

    Args:
        layout: of the dataset.
        images, label_maps: folders with a JPEG and a PNG of each image.
        classes: what the numbers in the maps mean.

    Raises:
        DataError: there is no image, or one lacks its JPEG or its label map.
    """

    def __init__(self, layout: Layout, images: Path, label_maps: Path, classes: Classes) -> None:
        super().__init__(label_maps, layout.benchmark)
        stems = {path.stem for path in images.glob("*.jpg")}
        labelled = {path.stem for path in label_maps.glob("*.png")}
        if unpaired := sorted(stems ^ labelled):
            stem = unpaired[0]
            raise layout.missing(label_maps / f"{stem}.png" if stem in stems else images / f"{stem}.jpg")
        if not stems:
            raise layout.missing(label_maps / "<image>.png")
        self.images, self.classes = images, classes
        self._names = tuple(sorted(stems))
        self._items = LazyItems(len(self._names), self._item)

    @property
    def items(self) -> Sequence[Item]:
        """Each image with the class that covers most of it, for which its label map is read.

        Raises:
            DataError: a file is damaged, or nothing in the image can be asked for.
        """
        return self._items

    def read(self, item: Item) -> Sample:
        """An image with the class whose number is the expression's id."""
        return self._sample(self.open(item.video_name), int(item.expression.exp_id))

    def draw(self, rng: np.random.Generator) -> Sample:
        """Choose an image and one of its classes; images in which nothing can be asked for are passed over.

        Raises:
            DataError: a file is damaged, or hardly any image has a class.
        """
        for _ in range(_MAX_DRAWS):
            image = self.open(self._names[rng.integers(len(self._names))])
            if image.present:
                return self._sample(image, image.present[rng.integers(len(image.present))])
        raise DataError(f"{self.source}: nothing can be asked for in {_MAX_DRAWS} images in a row; download the label maps again")

    def texts(self) -> Iterable[str]:
        return (name for number, name in self.classes.names.items() if self.classes.askable(number))

    def sentences(self, video_name: str) -> set[str]:
        """Names of all classes in an image."""
        return {self.classes.names[number] for number in self.open(video_name).present}

    def any_expression(self, rng: np.random.Generator) -> Expression:
        """A class of some image."""
        return self.draw(rng).expression

    @property
    def video_names(self) -> Sequence[str]:
        return self._names

    @property
    def num_expressions(self) -> None:
        return None

    def open_video(self, video_name: str) -> Video:
        return open_image(self.images / f"{video_name}.jpg", ReadLimits())

    def targets(self, video_name: str) -> Iterator[Sample]:
        """One sample for each class in an image; its label map is read once."""
        image = self.open(video_name)
        return (self._sample(image, number) for number in image.present)

    def open(self, name: str) -> LabelledImage:
        """Open an image and read its label map.

        Raises:
            DataError, VideoError: one of them is damaged, they differ in size, or a number stands for nothing.
        """
        video = self.open_video(name)
        labels_HW = read_label_map(self._label_map(name), video)
        numbers, areas = np.unique(labels_HW, return_counts=True)
        known = self.classes.names
        if unknown := sorted(set(numbers.tolist()) - known.keys() - {self.classes.void}):
            raise DataError(
                f"{self._label_map(name)}: a pixel has the number {unknown[0]}, but classes go from {min(known)} to {max(known)}; it was "
                "compressed, resized or converted: unpack or download the label maps again"
            )
        by_area = numbers[np.argsort(-areas, kind="stable")].tolist()
        return LabelledImage(video, labels_HW, tuple(number for number in by_area if self.classes.askable(number)))

    def _item(self, index: int) -> Item:
        """The image in this place with its largest class."""
        name = self._names[index]
        image = self.open(name)
        if not image.present:
            raise DataError(f"{self._label_map(name)}: nothing in it can be asked for; training passes over it, do so as well")
        return Item(name, self._expression(image.present[0]))

    def _label_map(self, name: str) -> Path:
        return self.source / f"{name}.png"

    def _expression(self, number: int) -> Expression:
        return Expression(str(number), self.classes.names[number], (number,))

    def _sample(self, image: LabelledImage, number: int) -> Sample:
        """An image asked for one of its classes."""
        labels_THW = image.labels_HW[None]
        void_THW = labels_THW == self.classes.void
        load_ignore = in_memory(void_THW) if void_THW.any() else None
        return Sample(image.video, self._expression(number), masks_by_id(labels_THW, (number,)), load_ignore)
