"""Sentences about videos whose masks are label maps: Ref-YouTube-VOS, and Ref-DAVIS17 converted to its tree.

The sentences of a split lie in `meta_expressions/<split>/meta_expressions.json`, frames and label maps in `<split>/JPEGImages` and
`<split>/Annotations`. An expression has exactly one target, `obj_id`: the number of its pixels in the label maps.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from saymask.datasets.annotation_files import ClipEntry, need, need_int, read_clips
from saymask.datasets.clips import ClipReader
from saymask.datasets.layout import Layout
from saymask.datasets.mask_files import LabelMaps, NoPublicMasks
from saymask.datasets.stored import LazySamples
from saymask.errors import DataError
from saymask.samples import Benchmark, Expression, Item, Server

_TREE = (
    "{meta_expressions/{train,valid}/meta_expressions.json, {train,valid}/JPEGImages/<video>/<frame>.jpg, "
    "%s/Annotations/<video>/<frame>.png}"
)
REF_YOUTUBE_VOS = Layout(
    dataset="ref-youtube-vos",
    splits=("train", "valid"),
    tree=_TREE % "train",
    folders=(".", "refer_youtube_vos", "Ref-Youtube-VOS", "ref-youtube-vos", "RefVOS/refer_youtube_vos"),
    benchmark=Benchmark(
        templates={"videolisa-release": "videolisa-ref-ytvos"},
        server=Server("valid", prefix="Annotations/", url="https://codalab.lisn.upsaclay.fr/competitions/3282"),
    ),
)
REF_DAVIS17 = Layout(
    dataset="ref-davis17",
    splits=("train", "valid"),
    tree=_TREE % "{train,valid}",
    folders=(".", "ref-davis", "davis17", "ref-davis17", "RefVOS/ref-davis"),
    benchmark=Benchmark(table="ref-davis", templates={"videolisa-release": "videolisa-ref-davis"}),
)
NUM_ANNOTATORS = 4
"""Every object of Ref-DAVIS17 is described by so many people; the published protocol scores each alone and averages."""

_DAVIS_VOID = 255
_NUM_YOUTUBE_VALID = 202  # videos of the public valid split; the released file lists those of test as well


def load_ref_youtube_vos(root: Path | None, split: str) -> LazySamples:
    """Ref-YouTube-VOS: sentences about one object each; the masks of `valid` are kept by the server.

    The released sentences of `valid` are those of valid and test together. Videos that
    `meta_expressions/test/meta_expressions.json` lists are taken out, which leaves the 202 of valid.

    Raises:
        DataError: no such split, a file that is missing or damaged, or a `valid` that cannot be told from test.
    """
    meta = REF_YOUTUBE_VOS.find(root, split, f"meta_expressions/{split}/meta_expressions.json")
    folder = meta.parents[2] / split
    public = not REF_YOUTUBE_VOS.benchmark.keeps_masks_of(split)
    clips = read_clips(meta) if public else _without_test(read_clips(meta), meta)
    label_maps = LabelMaps(REF_YOUTUBE_VOS, REF_YOUTUBE_VOS.require(folder / "Annotations")) if public else None
    items = []
    for clip in clips:
        for exp_id, entry, where in clip.expressions():
            obj_ids = (need_int(entry, "obj_id", where),) if public else ()
            items.append(Item(clip.name, Expression(exp_id, need(entry, "exp", str, where), obj_ids)))
    masks = label_maps or NoPublicMasks(REF_YOUTUBE_VOS.dataset, split)
    reader = ClipReader(REF_YOUTUBE_VOS, REF_YOUTUBE_VOS.require(folder / "JPEGImages"), _frame_names(clips), masks)
    return LazySamples(meta, items, reader, REF_YOUTUBE_VOS.benchmark, mask_files=label_maps)


def load_ref_davis17(root: Path | None, split: str) -> LazySamples:
    """Ref-DAVIS17: four people's sentences about each object, to be scored one by one or merged per person.

    Tags: `annotator` ("0" to "3": the place among the sentences about that object) and `obj`. All expressions of a video with one
    annotator are one row of the merged protocol, in which every pixel goes to at most one object.
    An entry without `obj_id` gets it from its place: sentences are listed object by object, four at a time. Pixels with the number 255
    are void in DAVIS and do not count.

    Raises:
        DataError: no such split, a file that is missing or damaged, or an object of `valid` without exactly four sentences.
    """
    meta = REF_DAVIS17.find(root, split, f"meta_expressions/{split}/meta_expressions.json")
    clips = read_clips(meta)
    items = []
    for clip in clips:
        described: Counter[int] = Counter()
        for place, (exp_id, entry, where) in enumerate(clip.expressions()):
            obj_id = need_int(entry, "obj_id", where) if "obj_id" in entry else 1 + place // NUM_ANNOTATORS
            tags = {"annotator": str(described[obj_id]), "obj": str(obj_id)}
            described[obj_id] += 1
            items.append(Item(clip.name, Expression(exp_id, need(entry, "exp", str, where), (obj_id,), tags=tags)))
        odd = [obj_id for obj_id, count in described.items() if count != NUM_ANNOTATORS]
        if split == "valid" and odd:
            raise DataError(
                f"{clip.where}: object {odd[0]} has {described[odd[0]]} expressions, but each of {NUM_ANNOTATORS} annotators "
                "describes every object once; convert or download the expressions again"
            )
    folder = meta.parents[2] / split
    masks = LabelMaps(REF_DAVIS17, REF_DAVIS17.require(folder / "Annotations"), void=(_DAVIS_VOID,))
    images = REF_DAVIS17.require(folder / "JPEGImages")
    reader = ClipReader(REF_DAVIS17, images, _frame_names(clips), masks, masks.load_void)
    return LazySamples(meta, items, reader, REF_DAVIS17.benchmark, mask_files=masks)


def _frame_names(clips: list[ClipEntry]) -> dict[str, tuple[str, ...]]:
    return {clip.name: clip.frame_names for clip in clips}


def _without_test(clips: list[ClipEntry], meta: Path) -> list[ClipEntry]:
    """The videos of valid among those of valid and test."""
    test = meta.parents[1] / "test" / "meta_expressions.json"
    if test.exists():
        of_test = {clip.name for clip in read_clips(test)}
        return [clip for clip in clips if clip.name not in of_test]
    if len(clips) > _NUM_YOUTUBE_VALID:
        raise DataError(
            f"{test}: not found, but {meta} lists {len(clips)} videos, those of test among them; "
            f"put the expressions of test there, so that the {_NUM_YOUTUBE_VALID} videos of valid can be told apart"
        )
    return clips
