"""What a run says that trains a family's model on drawn clips with questions."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from saymask.config import Config
from saymask.training.config import TrainConfig

IMAGE_FAMILIES = ("attribute", "spatial", "knowledge", "plural", "absent")
"""Families that can be asked about a still."""


class Phase(Config):
    """A share of the run with its own mix of query families (relative weights)."""

    until: float = Field(gt=0, le=1)
    mix: dict[str, float]


class ToyDataConfig(Config):
    """Drawn clips: `size` pixels square, mixed as the phase of the step says.

    `image_share` of the batches are stills: one frame of each video, and of the questions those that one frame can answer.
    """

    size: int = Field(default=128, ge=32)
    phases: tuple[Phase, ...]
    image_share: float = Field(default=0.0, ge=0, le=1)

    @field_validator("phases")
    @classmethod
    def _phases_cover_the_run(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        ends = [phase.until for phase in phases]
        if not ends or ends != sorted(ends) or ends[-1] != 1:
            raise ValueError(f"phases must end in rising order, the last at 1.0, got {ends}")
        return phases

    @model_validator(mode="after")
    def _stills_have_questions(self) -> Self:
        for phase in self.phases:
            if self.image_share and not any(phase.mix.get(family) for family in IMAGE_FAMILIES):
                families = ", ".join(IMAGE_FAMILIES)
                raise ValueError(
                    f"image_share = {self.image_share}: no family of the mix can be asked about a still; add one of {families}"
                )
        return self

    def mix(self, step: int, steps: int) -> dict[str, float]:
        """The mix in force at `step` of `steps`."""
        return next(phase.mix for phase in self.phases if step < phase.until * steps)


class QuestionsConfig(TrainConfig):
    """A family's model on drawn clips with questions.

    Args:
        family: a name of `lookup.FAMILIES`.
        model: keyword arguments of the family's configuration; the tokenizer's numbers are filled in by the run.
        processor: keyword arguments of the family's processor that are for training alone, such as `num_supervised`.
        init_from: name or folder of a model whose weights and tokenizer the run begins with; of another family's, what both have. None =
            random weights, a new tokenizer.
    """

    kind: Literal["questions"] = "questions"
    family: str
    model: dict[str, Any]
    processor: dict[str, Any] = Field(default_factory=dict)
    data: ToyDataConfig
    init_from: str | None = None
    vocab_size: int = Field(default=640, gt=300)
    tokenizer_sentences: int = Field(default=8000, gt=0)
