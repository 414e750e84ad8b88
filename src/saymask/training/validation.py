"""Validation of a run: the model, as it then is, takes an exam by the rules of `saymask eval`, and shows some of its answers.

The scores are what evaluation makes of the samples' own questions; no baselines, and no other video's questions. The picture has one
strip per sample: frames, the outline of the truth, the prediction.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from saymask.evaluation.candidates import own_answers
from saymask.evaluation.exam import Exam, open_exam
from saymask.evaluation.run import score_rows
from saymask.exports.case_images import draw_case
from saymask.models.base import Segmenter
from saymask.records import Prediction
from saymask.samples import Sample
from saymask.training.config import ValidationConfig


@dataclass(frozen=True)
class Validated:
    """Scores of one validation, shares of 1.

    Args:
        j, f, j_and_f: means over all expressions; one that could not be answered counts 0.
        families: j_and_f by family, where the dataset has families.
        failed: how many could not be answered.
    """

    j: float
    f: float
    j_and_f: float
    families: dict[str, float]
    failed: int

    def to_log(self) -> dict[str, Any]:
        """As a line of the log shows it."""
        scores = {"j": self.j, "f": self.f, "j_and_f": self.j_and_f}
        return {**_rounded(scores), "families": _rounded(self.families), "failed": self.failed}


def open_validation(config: ValidationConfig) -> Exam:
    """Find the samples; errors as for `open_exam`."""
    return open_exam(config.dataset, config.split, config.root, config.limit)


def validate(segmenter: Segmenter, exam: Exam, picture: Path, num_pictures: int, progress: Callable[[int, int], None]) -> Validated:
    """Ask a model all questions of an exam.

    Args:
        segmenter: the model.
        exam: its questions.
        picture: PNG to write, of the first `num_pictures` samples that it answered; 0 = none.
        progress: called with the numbers of expressions done and to do.
    """
    answers = own_answers(exam, segmenter)
    cases: list[tuple[Sample, Prediction]] = []

    def predictor(sample: Sample) -> Prediction:
        prediction = answers(sample)
        if len(cases) < num_pictures:
            cases.append((sample, prediction))
        return prediction

    row = score_rows(exam, {"model": predictor}, progress=progress)["model"]
    if cases:
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw_cases(cases).save(picture)
    overall = row["overall"]
    families = {family: means["j_and_f"] for family, means in row.get("families", {}).items()}
    return Validated(overall["j"], overall["f"], overall["j_and_f"], families, len(row["failed"]))


def ask_in_mixed_precision(module: nn.Module) -> AbstractContextManager[Any]:
    """What a model must be asked in: bf16 autocast if only its trained parts are float32, otherwise as it is."""
    parameters = list(module.parameters())
    if len({parameter.dtype for parameter in parameters}) == 1:
        return nullcontext()
    return torch.autocast(parameters[0].device.type, dtype=torch.bfloat16)


def draw_cases(cases: list[tuple[Sample, Prediction]]) -> Image.Image:
    """Samples with their predictions, one below the other."""
    strips = [Image.open(BytesIO(draw_case(sample, prediction))) for sample, prediction in cases]
    sheet = Image.new("RGB", (max(strip.width for strip in strips), sum(strip.height for strip in strips)))
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items()}
