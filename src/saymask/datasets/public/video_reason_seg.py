"""VideoReasonSeg-like data: questions about videos whose answers name several objects, some with options to choose from.

The files of VideoReasonSeg itself are not public. The schema is ours, with its masks as in MeViS and ReVOS:

    meta_<split>.json   {"long": {"seconds": number, "frames": int}, "videos": {<video>: {"frames": [stem ...], "split": "short" | "long",
                          "samples": {<id>: {"query": str, "type": str, "answer": str with {0}, {1} ... behind the words that name objects,
                              "instances": [{"slot": int, "phrase": str, "anno_id": [int ...]} ...],
                              "mc": {"question": str, "options": [4 strings], "correct": 0 ... 3} | null}}}}}
    mask_dict.json      {"<anno_id>": [COCO RLE or null per frame]}

The header `long` records from where on a video was called long when the data were made; a video's `split` says which it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saymask.datasets.annotation_files import ClipEntry, need, need_int, need_ints, read_clips, read_json
from saymask.datasets.clips import ClipReader
from saymask.datasets.layout import Layout
from saymask.datasets.mask_dict import MaskDict
from saymask.datasets.stored import LazySamples
from saymask.errors import DataError
from saymask.samples import Benchmark, Expression, Item, MultipleChoice, Phrase

VIDEO_REASON_SEG = Layout(
    dataset="video-reason-seg",
    splits=("train", "test"),
    tree="{JPEGImages/<video>/<frame>.jpg, meta_{train,test}.json, mask_dict.json}",
    folders=(".", "video-reason-seg", "VideoReasonSeg"),
    benchmark=Benchmark(groups=("length", "type")),
)
LENGTHS = ("short", "long")
NUM_OPTIONS = 4
_SLOT = re.compile(r"\s*\{(\d+)\}")
_REMEDY = "correct it in the file"


def load_video_reason_seg(root: Path | None, split: str) -> LazySamples:
    """Questions whose answers name objects; those with options carry them as `Expression.multiple_choice`.

    Tags: `length` ("short" or "long") and `type` of the question. In `train` every choice is a sample of its own too, answered in words.

    Raises:
        DataError: no such split, a file that is missing or damaged, or an answer whose slots are not those of its instances.
    """
    meta = VIDEO_REASON_SEG.find(root, split, f"meta_{split}.json")
    header = need(read_json(meta), "long", dict, str(meta))
    for key in ("seconds", "frames"):
        if not isinstance(header.get(key), int | float):
            raise DataError(f"{meta}: 'long' has no number {key!r}, so nobody knows which videos are long; {_REMEDY}")
    clips = read_clips(meta)
    items = [item for clip in clips for item in _items(clip, with_choices=split == "train")]
    mask_dict = MaskDict(VIDEO_REASON_SEG.require(meta.parent / "mask_dict.json"))
    frame_names = {clip.name: clip.frame_names for clip in clips}
    reader = ClipReader(VIDEO_REASON_SEG, VIDEO_REASON_SEG.require(meta.parent / "JPEGImages"), frame_names, mask_dict)
    return LazySamples(meta, items, reader, VIDEO_REASON_SEG.benchmark, mask_files=mask_dict)


def _items(clip: ClipEntry, with_choices: bool) -> Iterator[Item]:
    length = need(clip.fields, "split", str, clip.where)
    if length not in LENGTHS:
        raise DataError(f"{clip.where}: 'split' is {length!r}, expected one of {LENGTHS}; {_REMEDY}")
    for exp_id, entry, where in clip.expressions("samples"):
        tags = {"length": length, "type": need(entry, "type", str, where)}
        phrases = _phrases(entry, where)
        obj_ids = tuple(obj_id for phrase in phrases for obj_id in phrase.obj_ids)
        # Without objects the family says in its own words that there are none.
        answer = _SLOT.sub("", need(entry, "answer", str, where)).strip() if obj_ids else None
        choice = _choice(entry["mc"], where) if entry.get("mc") else None
        query = need(entry, "query", str, where)
        yield Item(clip.name, Expression(exp_id, query, obj_ids, True, tags, answer or None, phrases, choice))
        if with_choices and choice:
            yield Item(clip.name, Expression(f"{exp_id}-mc", choice.text(), (), True, tags, choice.answer(choice.correct)))


def _phrases(entry: Mapping[str, Any], where: str) -> tuple[Phrase, ...]:
    """Instances in the order of their slots in the answer."""
    by_slot: dict[int, Phrase] = {}
    for instance in need(entry, "instances", list, where):
        slot = need_int(instance, "slot", where)
        if slot in by_slot:
            raise DataError(f"{where}: two instances have the slot {slot}; {_REMEDY}")
        by_slot[slot] = Phrase(need(instance, "phrase", str, where), need_ints(instance, "anno_id", where))
    slots = [int(slot) for slot in _SLOT.findall(need(entry, "answer", str, where))]
    if sorted(slots) != sorted(by_slot):
        raise DataError(f"{where}: the answer has the slots {slots}, the instances {sorted(by_slot)}; {_REMEDY}")
    return tuple(by_slot[slot] for slot in slots)


def _choice(entry: Any, where: str) -> MultipleChoice:
    options = need(entry, "options", list, where)
    correct = need_int(entry, "correct", where)
    if len(options) != NUM_OPTIONS or not all(isinstance(option, str) for option in options) or correct >= NUM_OPTIONS:
        raise DataError(f"{where}: 'mc' needs {NUM_OPTIONS} texts and a number below {NUM_OPTIONS} as 'correct'; {_REMEDY}")
    return MultipleChoice(need(entry, "question", str, where), tuple(options), correct)
