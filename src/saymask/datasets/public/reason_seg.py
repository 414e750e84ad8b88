"""ReasonSeg: questions about images, with polygons around the answer and around what shall not be counted.

Every image `<split>/<name>.jpg` has its annotations in `<name>.json`: {"text": [question ...], "is_sentence": bool, "shapes": [{"label":
"target" | "ignore", "points": [[x, y] ...]}]}. All questions of an image have the same answer; a sample is one question about one image.
For some images of train `explanatory/train.json` has the answer in words: [{"image": file name, "query": question, "outputs": answer} ...].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from saymask.datasets.annotation_files import need, read_json
from saymask.datasets.layout import Layout
from saymask.datasets.stored import VideoFirst
from saymask.errors import DataError
from saymask.samples import Benchmark, Expression, Item, Sample, in_memory, masks_by_id
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_image

REASON_SEG = Layout(
    dataset="reasonseg",
    splits=("train", "val", "test"),
    tree="{{train,val,test}/<image>.{jpg,json}, explanatory/train.json}",
    folders=(".", "ReasonSeg", "reason_seg/ReasonSeg", "reason_seg"),
    benchmark=Benchmark(groups=("length",), templates={"videolisa-release": "videolisa-image-val"}),
)

_TARGET, _IGNORE = 1, 2
_WORDS_ALONE, _WORDS_AS_WELL = 0.1, 0.5  # of the questions whose answer is known in words, and of the rest of these


def load_reasonseg(root: Path | None, split: str) -> VideoFirst:
    """ReasonSeg: questions about images that take reasoning; regions marked as ignored do not count.

    Tags: `length`, "long" for whole sentences and "short" for phrases: the two groups of the published test results.
    Images without a polygon around the answer (two of the published test split) cannot be scored; `left_out` names them.
    In training, an image of train whose answer is known in words has it as `answer`, alone or beside the mask, as often as LISA and
    VideoLISA draw it.

    Raises:
        DataError: no such split, an image or annotation that is missing, or an annotation that is damaged.
    """
    folder = REASON_SEG.find(root, split, split)
    paths = {path.stem: path for path in sorted(folder.glob("*.json"))}
    images = {path.stem for path in folder.glob("*.jpg")}
    unpaired = sorted(images ^ paths.keys())
    if unpaired:
        raise REASON_SEG.missing(folder / f"{unpaired[0]}.{'json' if unpaired[0] in images else 'jpg'}")
    items, left_out = [], []
    for stem, path in paths.items():
        entry = _read(path)
        if not any(_value(label) == _TARGET for label, _ in _polygons(entry, path)):
            left_out.append(f"{path}: no polygon around the answer")
            continue
        is_sentence = bool(need(entry, "is_sentence", int, str(path)))
        tags = {"length": "long" if is_sentence else "short"}
        for place, text in enumerate(need(entry, "text", list, str(path))):
            items.append(Item(stem, Expression(str(place), str(text), (_TARGET,), is_sentence, tags)))
    reword = _Explanations.read(folder) if split == "train" else None
    return VideoFirst(folder, items, _ImageReader(folder), REASON_SEG.benchmark, left_out, reword=reword)


@dataclass(frozen=True)
class _Explanations:
    """Answers in words, by image: a tenth of the questions gets only these, half of the others mask and words."""

    of_image: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> _Explanations:
        path = REASON_SEG.require(folder.parent / "explanatory" / "train.json")
        entries = read_json(path)
        if not isinstance(entries, list):
            raise DataError(f"{path}: holds a {type(entries).__name__}, expected a list of explanations; download it again")
        where = f"{path}: an entry"
        return cls({Path(need(entry, "image", str, where)).stem: need(entry, "outputs", str, where) for entry in entries})

    def __call__(self, item: Item, rng: np.random.Generator) -> Item:
        if item.video_name not in self.of_image:
            return item
        answer = self.of_image[item.video_name]
        if rng.random() < _WORDS_ALONE:
            return replace(item, expression=replace(item.expression, answer=answer, obj_ids=()))
        if rng.random() < _WORDS_AS_WELL:
            return replace(item, expression=replace(item.expression, answer=answer))
        return item


@dataclass(frozen=True)
class _ImageReader:
    """Opens a question's image, with the regions that its polygons enclose."""

    folder: Path

    def __call__(self, item: Item) -> Sample:
        video = open_image(REASON_SEG.require(self.folder / f"{item.video_name}.jpg"), ReadLimits())
        path = self.folder / f"{item.video_name}.json"
        regions_THW = _draw(_polygons(_read(path), path), video.height, video.width)[None]
        ignored_THW = regions_THW == _IGNORE
        load_ignore = in_memory(ignored_THW) if ignored_THW.any() else None
        return Sample(video, item.expression, masks_by_id(regions_THW, item.expression.obj_ids), load_ignore)


def _read(path: Path) -> Any:
    # Some of the released files were written on Windows.
    return read_json(path, fallback_encoding="cp1252")


def _polygons(entry: Any, path: Path) -> list[tuple[str, list[tuple[int, int]]]]:
    """Label and corners (x, y) of each shape, whole pixels as the benchmark's own scripts take them; "flag" shapes have no meaning."""
    found = []
    for shape in need(entry, "shapes", list, str(path)):
        label = need(shape, "label", str, f"{path}: a shape").lower()
        points = need(shape, "points", list, f"{path}: a shape")
        try:
            corners = [(int(x), int(y)) for x, y in points]
        except (TypeError, ValueError):
            raise DataError(f"{path}: points of a shape are {str(points)[:60]}, expected [[x, y], ...]; download the file again") from None
        if label != "flag" and corners:
            found.append((label, corners))
    return found


def _value(label: str) -> int:
    """What a shape stands for; the benchmark takes every label without "ignore" in it for a target."""
    return _IGNORE if "ignore" in label else _TARGET


def _draw(polygons: list[tuple[str, list[tuple[int, int]]]], height: int, width: int) -> np.ndarray:
    """Fill polygons, the largest first, so that a small one inside a large one stays -> uint8 regions_HW."""
    filled = [(_value(label), _fill(corners, height, width)) for label, corners in polygons]
    regions_HW = np.zeros((height, width), dtype=np.uint8)
    for value, inside_HW in sorted(filled, key=lambda pair: -int(pair[1].sum())):
        regions_HW[inside_HW] = value
    return regions_HW


def _fill(corners: list[tuple[int, int]], height: int, width: int) -> np.ndarray:
    """Inside and outline of a polygon -> bool inside_HW."""
    canvas = Image.new("L", (width, height))
    ImageDraw.Draw(canvas).polygon(corners if len(corners) > 1 else corners * 2, fill=1, outline=1)
    return np.asarray(canvas) > 0
