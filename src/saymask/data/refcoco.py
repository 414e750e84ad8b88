"""refCOCO, refCOCO+ and refCOCOg: phrases for one thing in a photograph of COCO.

A dataset's folder holds the phrases as a pickle, `refs(unc).p` or `refs(umd).p`, and the outlines as `instances.json`; the photographs
are shared. Loading a pickle can run any program hidden in it, so these are read by an unpickler that makes plain lists, dicts, texts
and numbers, which is all that phrases need, and refuses everything else.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from saymask.data.annotation_files import need, need_int, read_json
from saymask.data.coco_rle import read_rle
from saymask.data.layout import Layout
from saymask.data.samples import Item, LazySamples
from saymask.errors import DataError
from saymask.records import Expression, Sample, Video
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_image

_PHOTOGRAPHS = ("images/mscoco/images/train2014", "images/train2014", "train2014", "../coco/train2014", "../coco/images/train2014")


def _layout(dataset: str, refs: str, *splits: str) -> Layout:
    tree = f"{{{dataset}/{{{refs}, instances.json}}, {_PHOTOGRAPHS[0]}/<image>.jpg}}"
    return Layout(dataset, splits, tree, folders=(".", "refer_seg", ".."))


_UNC, _UMD = "refs(unc).p", "refs(umd).p"  # who divided the phrases into splits
REFCOCO = _layout("refcoco", _UNC, "train", "val", "testA", "testB")
REFCOCO_PLUS = _layout("refcoco+", _UNC, "train", "val", "testA", "testB")
REFCOCOG = _layout("refcocog", _UMD, "train", "val", "test")


def load_refcoco(root: Path | None, split: str) -> LazySamples:
    """RefCOCO: short phrases for a thing in a photograph, in the authors' UNC split.

    Raises:
        DataError: no such split, or a file that is missing, damaged or not what it claims to be.
    """
    return _load(REFCOCO, _UNC, root, split)


def load_refcoco_plus(root: Path | None, split: str) -> LazySamples:
    """RefCOCO+: phrases that may not use places ("left"), in the authors' UNC split.

    Raises:
        DataError: as `load_refcoco`.
    """
    return _load(REFCOCO_PLUS, _UNC, root, split)


def load_refcocog(root: Path | None, split: str) -> LazySamples:
    """RefCOCOg: longer phrases, in the UMD split, which publications call val-U and test-U.

    Raises:
        DataError: as `load_refcoco`.
    """
    return _load(REFCOCOG, _UMD, root, split)


def _load(layout: Layout, refs: str, root: Path | None, split: str) -> LazySamples:
    """One of the three; they differ in their folder, their splits and who made these."""
    path = layout.find(root, split, f"{layout.dataset}/{refs}")
    instances = _read_instances(layout.require(path.parent / "instances.json"))
    items, outlines = [], {}
    for ref in _read_refs(path):
        where = f"{path}: ref {need(ref, 'ref_id', int, str(path))}"
        if need(ref, "split", str, where) != split:
            continue
        anno_id, image_id = need_int(ref, "ann_id", where), need_int(ref, "image_id", where)
        if anno_id not in instances.outlines or image_id not in instances.file_names:
            raise DataError(f"{where}: {instances.path} has no annotation {anno_id} of image {image_id}; download both files again")
        outlines[anno_id] = instances.outlines[anno_id]
        video_name = Path(instances.file_names[image_id]).stem
        for sentence in need(ref, "sentences", list, where):
            exp_id, text = str(need_int(sentence, "sent_id", where)), need(sentence, "sent", str, where)
            items.append(Item(video_name, Expression(exp_id, text, (anno_id,))))
    directory = _photographs(layout, path.parents[1])
    files = {Path(name).stem: directory / name for name in instances.file_names.values()}
    return LazySamples(path, items, _PhotographReader(layout, instances.path, files, outlines))


def _photographs(layout: Layout, root: Path) -> Path:
    """The directory of the photographs, wherever this copy has it."""
    found = (root / place for place in _PHOTOGRAPHS if (root / place).is_dir())
    return next(found, None) or layout.require(root / _PHOTOGRAPHS[0])


@dataclass(frozen=True)
class _Instances:
    """What `instances.json` says: file names by image id, outlines (COCO polygons or RLE) by annotation id."""

    path: Path
    file_names: dict[int, str]
    outlines: dict[int, Any]


def _read_instances(path: Path) -> _Instances:
    content = read_json(path)
    where = f"{path}: an image"
    file_names = {need_int(image, "id", where): need(image, "file_name", str, where) for image in need(content, "images", list, str(path))}
    where = f"{path}: an annotation"
    outlines = {}
    for annotation in need(content, "annotations", list, str(path)):
        outlines[need_int(annotation, "id", where)] = need(annotation, "segmentation", object, where)
    return _Instances(path, file_names, outlines)


@dataclass(frozen=True)
class _PhotographReader:
    """Opens a phrase's photograph; the outline is filled when the mask is asked for."""

    layout: Layout
    instances: Path
    files: dict[str, Path]
    outlines: dict[int, Any]

    def __call__(self, item: Item) -> Sample:
        video = open_image(self.layout.require(self.files[item.video_name]), ReadLimits())
        (anno_id,) = item.expression.obj_ids
        return Sample(video, item.expression, masks=partial(self._masks, anno_id, video))

    def _masks(self, anno_id: int, video: Video) -> np.ndarray:
        try:
            mask_HW = _fill(self.outlines[anno_id], video.height, video.width)
        except ValueError as error:
            raise DataError(f"{self.instances}: annotation {anno_id}: {error}; download it again") from None
        if mask_HW.shape != (video.height, video.width):
            raise DataError(
                f"{self.instances}: annotation {anno_id}: the mask is {mask_HW.shape[1]}x{mask_HW.shape[0]}, but {video.source} is "
                f"{video.width}x{video.height}; photographs and outlines are of different releases, download both again"
            )
        return mask_HW[None]


def _fill(outline: Any, height: int, width: int) -> np.ndarray:
    """Polygons, filled as COCO does, or an RLE -> bool mask_HW."""
    if not isinstance(outline, list):
        return read_rle(outline).decode()
    if not outline or not all(isinstance(polygon, list) and len(polygon) >= 6 for polygon in outline):
        raise ValueError("its polygons need three corners or more")
    # Here and not above: everything else about data works without the library.
    from pycocotools import mask as coco_mask

    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outline, height, width))).astype(bool)


# What the unpickler raises for bytes that are no pickle depends on what they happen to mean.
_DAMAGE = (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError)


class _PlainUnpickler(pickle.Unpickler):
    """Makes only what pickle needs no name for: None, numbers, text, lists, tuples, dicts and sets."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it wants to load {module}.{name}, which a list of phrases has no need of")


def _read_refs(path: Path) -> list[dict[str, Any]]:
    """The list of phrases in a pickle."""
    try:
        with path.open("rb") as file:
            refs = _PlainUnpickler(file).load()
    except _DAMAGE as error:
        raise DataError(f"{path}: not a list of phrases ({error}); download it again from a source you trust") from None
    if not isinstance(refs, list):
        raise DataError(f"{path}: holds a {type(refs).__name__}, expected a list of phrases; download it again")
    return refs
