"""Things and their parts, outlined in images, for training: PACO-LVIS and PASCAL-Part.

Both are files of COCO's form (`outlines`) in which a category is called "bench:arm", the part of a thing, or "bench". A sample is one
annotation; its sentence is "bench arm", and in training half of the time "the arm of the bench". An annotation without an outline is
nothing to ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from saymask.datasets.annotation_files import need_int
from saymask.datasets.layout import Layout
from saymask.datasets.outlines import OutlineReader, read_outlines
from saymask.datasets.stored import VideoFirst
from saymask.errors import DataError
from saymask.samples import Expression, Item

PACO_LVIS = Layout(
    dataset="paco-lvis",
    splits=("train",),
    tree="{vlpart/paco/annotations/paco_lvis_v1_train.json, coco/train2017/<image>.jpg}",
    folders=(".", "..", "../.."),
)
PASCAL_PART = Layout(
    dataset="pascal-part",
    splits=("train",),
    tree="vlpart/pascal_part/{train.json, VOCdevkit/VOC2010/JPEGImages/<image>.jpg}",
    folders=(".", "..", "../.."),
)


def load_paco_lvis(root: Path | None, split: str) -> VideoFirst:
    """PACO-LVIS, for training: things of everyday life and their parts in images of COCO.

    Raises:
        DataError: no such split, or a file that is missing or damaged.
    """
    path = PACO_LVIS.find(root, split, "vlpart/paco/annotations/paco_lvis_v1_train.json")
    return _load(PACO_LVIS, path, PACO_LVIS.require(path.parents[3] / "coco"))


def load_pascal_part(root: Path | None, split: str) -> VideoFirst:
    """PASCAL-Part, for training: parts of the things of PASCAL VOC 2010, in the form VLPart gave them.

    Raises:
        DataError: as `load_paco_lvis`.
    """
    path = PASCAL_PART.find(root, split, "vlpart/pascal_part/train.json")
    return _load(PASCAL_PART, path, PASCAL_PART.require(path.parent / "VOCdevkit" / "VOC2010" / "JPEGImages"))


def _load(layout: Layout, path: Path, images: Path) -> VideoFirst:
    """Index an annotation file; its file names are relative to `images`."""
    file = read_outlines(path)
    items, outlines = [], {}
    for anno_id, annotation in file.annotations.items():
        where = f"{path}: annotation {anno_id}"
        image_id, category_id = need_int(annotation, "image_id", where), need_int(annotation, "category_id", where)
        if image_id not in file.file_names or category_id not in file.categories:
            raise DataError(f"{where}: the file has no image {image_id} or no category {category_id}; download it again")
        if not annotation["segmentation"]:
            continue
        obj_id = need_int(annotation, "id", where)
        outlines[obj_id] = annotation["segmentation"]
        tags = _thing_and_part(file.categories[category_id])
        items.append(Item(Path(file.file_names[image_id]).stem, Expression(str(obj_id), " ".join(tags.values()), (obj_id,), tags=tags)))
    files = {Path(name).stem: images / name for name in file.file_names.values()}
    outlined = {item.video_name for item in items}
    left_out = [f"{files[video_name]}: nothing in it is outlined" for video_name in files if video_name not in outlined]
    return VideoFirst(path, items, OutlineReader(layout, path, files, outlines), layout.benchmark, left_out, reword=_reword)


def _thing_and_part(category: str) -> dict[str, str]:
    """ "trash_can:lid" or "bow_(weapon)" -> tags `thing` and, of a part, `part`, without underscores and what stands in brackets."""
    names = (name.split("_(")[0].replace("_", " ").strip() for name in category.split(":", 1))
    return dict(zip(("thing", "part"), names, strict=False))


def _reword(item: Item, rng: np.random.Generator) -> Item:
    """Half of the time, "the arm of the bench" for "bench arm"."""
    tags: Mapping[str, Any] = item.expression.tags
    if "part" not in tags or rng.random() < 0.5:
        return item
    return replace(item, expression=replace(item.expression, text=f"the {tags['part']} of the {tags['thing']}"))
