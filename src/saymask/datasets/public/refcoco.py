"""refCOCO, refCOCO+, refCOCOg and refCLEF: phrases for one thing in an image, of COCO or, for refCLEF, of SAIAPR TC-12.

A dataset's folder holds the phrases as a pickle, `refs(unc).p` or `refs(umd).p`, and the outlines as `instances.json`; the images
are shared. Loading a pickle can run any program hidden in it, so these are read by an unpickler that makes plain lists, dicts, texts
and numbers, which is all that phrases need, and refuses everything else.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from saymask.datasets.annotation_files import need, need_int
from saymask.datasets.layout import Layout
from saymask.datasets.outlines import OutlineReader, annotation_id, read_outlines
from saymask.datasets.stored import VideoFirst
from saymask.errors import DataError
from saymask.samples import PLAIN, Benchmark, Expression, Item

_COCO = ("images/mscoco/images/train2014", "images/train2014", "train2014", "../coco/train2014", "../coco/images/train2014")
_SAIAPR = ("images/saiapr_tc-12", "saiapr_tc-12")


def _layout(dataset: str, refs: str, *splits: str, images: str = _COCO[0], benchmark: Benchmark = PLAIN) -> Layout:
    tree = f"{{{dataset}/{{{refs}, instances.json}}, {images}/<image>.jpg}}"
    return Layout(dataset, splits, tree, folders=(".", "refer_seg", ".."), benchmark=benchmark)


_UNC, _UMD = "refs(unc).p", "refs(umd).p"  # who divided the phrases into splits
_ASKED = Benchmark(templates={"videolisa-release": "videolisa-image-val"})
REFCOCO = _layout("refcoco", _UNC, "train", "val", "testA", "testB", benchmark=_ASKED)
REFCOCO_PLUS = _layout("refcoco+", _UNC, "train", "val", "testA", "testB", benchmark=_ASKED)
REFCOCOG = _layout("refcocog", _UMD, "train", "val", "test", benchmark=_ASKED)
REFCLEF = _layout("refclef", _UNC, "train", "val", "testA", "testB", "testC", images=_SAIAPR[0])


def load_refcoco(root: Path | None, split: str) -> VideoFirst:
    """RefCOCO: short phrases for a thing in an image, in the authors' UNC split.

    Raises:
        DataError: no such split, or a file that is missing, damaged or not what it claims to be.
    """
    return _load(REFCOCO, _UNC, _COCO, root, split)


def load_refcoco_plus(root: Path | None, split: str) -> VideoFirst:
    """RefCOCO+: phrases that may not use places ("left"), in the authors' UNC split.

    Raises:
        DataError: as `load_refcoco`.
    """
    return _load(REFCOCO_PLUS, _UNC, _COCO, root, split)


def load_refcocog(root: Path | None, split: str) -> VideoFirst:
    """RefCOCOg: longer phrases, in the UMD split, which publications call val-U and test-U.

    Raises:
        DataError: as `load_refcoco`.
    """
    return _load(REFCOCOG, _UMD, _COCO, root, split)


def load_refclef(root: Path | None, split: str) -> VideoFirst:
    """RefCLEF: phrases for a thing or a region in images of SAIAPR TC-12, in the UNC split.

    A phrase may belong to several tests; its split is then written as one word, such as "testAB".

    Raises:
        DataError: as `load_refcoco`.
    """
    return _load(REFCLEF, _UNC, _SAIAPR, root, split)


def _load(layout: Layout, refs: str, images: tuple[str, ...], root: Path | None, split: str) -> VideoFirst:
    """One of them; they differ in their folder, their images, their splits and who made these."""
    path = layout.find(root, split, f"{layout.dataset}/{refs}")
    file = read_outlines(layout.require(path.parent / "instances.json"))
    number_of = _numbers(file.annotations)
    items, outlines = [], {}
    for ref in _read_refs(path):
        where = f"{path}: ref {need(ref, 'ref_id', int, str(path))}"
        if not _is_of(need(ref, "split", str, where), split):
            continue
        anno_id, image_id = annotation_id(ref, "ann_id", where), need_int(ref, "image_id", where)
        if anno_id not in file.annotations or image_id not in file.file_names:
            raise DataError(f"{where}: {file.path} has no annotation {anno_id} of image {image_id}; download both files again")
        obj_id = number_of[anno_id]
        outlines[obj_id] = file.annotations[anno_id]["segmentation"]
        video_name = Path(file.file_names[image_id]).stem
        for sentence in need(ref, "sentences", list, where):
            exp_id, text = str(need_int(sentence, "sent_id", where)), need(sentence, "sent", str, where)
            items.append(Item(video_name, Expression(exp_id, text, (obj_id,))))
    directory = layout.either(path.parents[1], *images)
    files = {Path(name).stem: directory / name for name in file.file_names.values()}
    return VideoFirst(path, items, OutlineReader(layout, file.path, files, outlines), layout.benchmark)


def _is_of(ref_split: str, split: str) -> bool:
    """Whether a phrase belongs to a split; "testAB" belongs to testA and to testB."""
    if split.startswith("test") and len(split) > len("test"):
        return ref_split.startswith("test") and split[-1] in ref_split.removeprefix("test")
    return ref_split == split


def _numbers(anno_ids: Collection[int | str]) -> dict[int | str, int]:
    """A number for each annotation: its id, or its place in the file where ids are texts."""
    has_texts = any(isinstance(anno_id, str) for anno_id in anno_ids)
    return {anno_id: place if has_texts else int(anno_id) for place, anno_id in enumerate(anno_ids, start=1)}


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
