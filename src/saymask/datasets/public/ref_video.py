"""Sentences about videos whose masks stand in a `mask_dict.json`: MeViS and ReVOS.

An expression names its targets by `anno_id`, the keys of that file; they become its `obj_ids`. A list that is empty says that nothing in
the video matches, and the true masks are empty. All targets of an expression count as one mask, their union.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from saymask.datasets.annotation_files import ClipEntry, need, need_int, need_ints, read_clips
from saymask.datasets.clips import ClipReader
from saymask.datasets.layout import Layout
from saymask.datasets.mask_dict import MaskDict
from saymask.datasets.mask_files import NoPublicMasks
from saymask.datasets.stored import LazySamples
from saymask.errors import DataError
from saymask.samples import Benchmark, Expression, Item, Server

_TEMPLATES = {"videolisa-release": "videolisa-mevis"}

MEVIS = Layout(
    dataset="mevis",
    splits=("train", "valid_u", "valid"),
    tree="{train,valid_u,valid}/{JPEGImages/<video>/<frame>.jpg, meta_expressions.json, mask_dict.json (not in valid)}",
    folders=(".", "mevis", "MeViS", "MeViS_release", "RefVOS/mevis"),
    benchmark=Benchmark(templates=_TEMPLATES, server=Server("valid", prefix="", url="https://codalab.lisn.upsaclay.fr/competitions/15094")),
)
MEVIS_V2 = Layout(
    dataset="mevis-v2",
    splits=MEVIS.splits,
    tree="{train,valid_u,valid}/{JPEGImages/<video>/<frame>.jpg, meta_expressions_v2.json, mask_dict.json (not in valid)}",
    folders=(".", "mevis-v2", "MeViSv2", "MeViS_v2", "mevis", "MeViS"),
    benchmark=Benchmark(templates=_TEMPLATES, server=Server("valid", prefix="", url="https://www.codabench.org/competitions/11420/")),
)
REVOS = Layout(
    dataset="revos",
    splits=("train", "train_sub", "valid"),
    tree="{JPEGImages/<source>/<video>/<frame>.jpg, meta_expressions_{train,train_sub,valid}_.json, mask_dict.json}",
    folders=(".", "revos", "ReVOS"),
    benchmark=Benchmark(groups=("type", "source"), table="revos"),
)
_TYPES = ("referring", "reasoning", "hallucination")  # by `type_id`; a hallucination asks for what is not there


def load_mevis(root: Path | None, split: str) -> LazySamples:
    """MeViS: sentences about motion; `valid_u` is the part with public masks that is not for training.

    The masks of `valid` are not public: its expressions have no `obj_ids`, and asking for masks is an error.

    Raises:
        DataError: no such split, a file that is missing or damaged, or a duplicate id.
    """
    return _load_mevis(MEVIS, root, split, "meta_expressions.json")


def load_mevis_v2(root: Path | None, split: str) -> LazySamples:
    """MeViS version 2, with sentences that nothing matches; not verified on the real files.

    The tree is that of version 1, but for the name of the sentences' file, which is met both with and without `_v2`.

    Raises:
        DataError: as `load_mevis`.
    """
    return _load_mevis(MEVIS_V2, root, split, "meta_expressions_v2.json", "meta_expressions.json")


def load_revos(root: Path | None, split: str) -> LazySamples:
    """ReVOS: referring and reasoning sentences, and some that nothing matches.

    Tags: `type` ("referring", "reasoning", or "hallucination" if nothing matches) and `source`, the dataset the video comes from.

    Raises:
        DataError: no such split, a file that is missing or damaged, or a duplicate id.
    """
    meta = REVOS.find(root, split, f"meta_expressions_{split}_.json")
    return index_expressions(REVOS, split, meta, tags=_tags)


def _tags(clip: ClipEntry, entry: Mapping[str, Any], where: str) -> dict[str, str]:
    """Tags of an expression of ReVOS."""
    type_id = need_int(entry, "type_id", where)
    if type_id >= len(_TYPES):
        raise DataError(f"{where}: 'type_id' is {type_id}, expected 0 to {len(_TYPES) - 1}; correct it, or download the file again")
    return {"type": _TYPES[type_id], "source": PurePosixPath(clip.name).parts[0]}


def index_expressions(
    layout: Layout,
    split: str,
    meta: Path,
    tags: Callable[[ClipEntry, Mapping[str, Any], str], dict[str, str]] | None = None,
    reword: Callable[[str], str] = str,
) -> LazySamples:
    """Index a `meta_expressions.json` whose expressions name their targets by `anno_id`; frames and masks lie beside it.

    Where the masks are not public, there is no `mask_dict.json` and expressions have no targets.

    Args:
        layout: of the dataset.
        split: which part of it.
        meta: the file, which exists.
        tags: (video, fields of an expression, what messages call it) -> tags of the expression.
        reword: makes the sentence from what stands in the file.

    Raises:
        DataError: a file is missing or damaged, or an id occurs twice.
    """
    public = not layout.benchmark.keeps_masks_of(split)
    mask_dict = MaskDict(layout.require(meta.parent / "mask_dict.json")) if public else None
    clips = read_clips(meta)
    items = []
    for clip in clips:
        for exp_id, entry, where in clip.expressions():
            obj_ids = need_ints(entry, "anno_id", where) if public else ()
            text = reword(need(entry, "exp", str, where))
            items.append(Item(clip.name, Expression(exp_id, text, obj_ids, tags=tags(clip, entry, where) if tags else {})))
    frame_names = {clip.name: clip.frame_names for clip in clips}
    images = layout.require(meta.parent / "JPEGImages")
    reader = ClipReader(layout, images, frame_names, mask_dict or NoPublicMasks(layout.dataset, split))
    return LazySamples(meta, items, reader, layout.benchmark, mask_files=mask_dict)


def _load_mevis(layout: Layout, root: Path | None, split: str, *names_of_meta: str) -> LazySamples:
    """Either version; they differ in what the file of the sentences is called."""
    return index_expressions(layout, split, layout.find(root, split, *(f"{split}/{name}" for name in names_of_meta)))
