"""Questions about images that are answered in words, for training: LLaVA-Instruct-150K on COCO.

The file is a list of {"id", "image", "conversations": [{"from": "human" | "gpt", "value": text} ...]}. There are no masks: `answer` is what
a model should say, `obj_ids` is empty and every mask is blank. The paper's mixture leaves this dataset out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from saymask.datasets.annotation_files import need, read_json
from saymask.datasets.layout import Layout
from saymask.datasets.stored import LazySamples
from saymask.errors import DataError
from saymask.samples import Benchmark, Expression, Item, Sample, no_objects
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_image

LLAVA_VQA = Layout(
    dataset="llava-vqa",
    splits=("train",),
    tree="{llava_dataset/llava_instruct_150k.json, coco/train2017/<image>.jpg}",
    folders=(".", ".."),
    benchmark=Benchmark(in_words=True),
)

_PLACEHOLDER = "<image>"  # where the image goes in the question; the family puts it where it wants


def load_llava_vqa(root: Path | None, split: str) -> LazySamples:
    """LLaVA-Instruct-150K, for training: questions about an image with answers in words, no masks.

    Only the first question and answer of a conversation are used: later ones lean on what was said before.

    Raises:
        DataError: no such split, or a file that is missing or damaged.
    """
    path = LLAVA_VQA.find(root, split, "llava_dataset/llava_instruct_150k.json")
    images = LLAVA_VQA.require(path.parents[1] / "coco" / "train2017")
    conversations = read_json(path)
    if not isinstance(conversations, list):
        raise DataError(f"{path}: holds a {type(conversations).__name__}, expected a list of conversations; download it again")
    items, files = [], {}
    for place, entry in enumerate(conversations):
        where = f"{path}: conversation {place}"
        image = need(entry, "image", str, where)
        question, answer = _first_exchange(entry, where)
        video_name = Path(image).stem
        files[video_name] = images / image
        items.append(Item(video_name, Expression(str(place), question, (), is_sentence=True, answer=answer)))
    return LazySamples(path, items, _QuestionReader(files), LLAVA_VQA.benchmark)


def _first_exchange(entry: Any, where: str) -> tuple[str, str]:
    """The first question and the answer to it; some conversations begin with an answer."""
    turns = [(need(turn, "from", str, where), need(turn, "value", str, where)) for turn in need(entry, "conversations", list, where)]
    for (asks, question), (says, answer) in pairwise(turns):
        if (asks, says) == ("human", "gpt"):
            return question.replace(_PLACEHOLDER, "").strip(), answer.strip()
    raise DataError(f"{where}: no question with an answer; correct it, or download the file again")


@dataclass(frozen=True)
class _QuestionReader:
    """Opens a question's image."""

    files: Mapping[str, Path]

    def __call__(self, item: Item) -> Sample:
        video = open_image(LLAVA_VQA.require(self.files[item.video_name]), ReadLimits())
        return Sample(video, item.expression, no_objects(video))
