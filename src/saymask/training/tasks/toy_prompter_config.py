"""What a run says that trains a prompter on drawn frames."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from saymask.config import Config
from saymask.training.config import TrainConfig


class PromptConfig(Config):
    """Training prompts of drawn frames; every batch is of one kind: clicks, boxes, or both.

    Args:
        num_things: things that are pointed at on a frame.
        min_pixels: what a thing shows, if it is to be pointed at.
        box_share, both_share: how often a batch has boxes alone, or a box and a click; the others have a click alone.
        box_jitter: how far each side of a box may be off, as a share of the box's size.
        drift: how far the mask that a second click corrects may have been moved, in pixels, where it is not the network's own.
        drift_share: how often it is such a moved one.
    """

    num_things: int = Field(default=3, ge=1)
    min_pixels: int = Field(default=24, ge=1)
    box_share: float = Field(default=0.2, ge=0, le=1)
    both_share: float = Field(default=0.1, ge=0, le=1)
    box_jitter: float = Field(default=0.1, ge=0, le=0.5)
    drift: int = Field(default=12, ge=0)
    drift_share: float = Field(default=0.3, ge=0, le=1)


class ToyPrompterConfig(TrainConfig):
    """A narrow SAM, trained to turn clicks and boxes into masks.

    Args:
        start_from: a model folder whose mask head is the start; its numbers are the prompter's.
        bce_weight, dice_weight, iou_weight: of the losses.
    """

    kind: Literal["toy_prompter"] = "toy_prompter"
    start_from: Path
    data: PromptConfig = PromptConfig()
    bce_weight: float = Field(default=2.0, ge=0)
    dice_weight: float = Field(default=1.0, ge=0)
    iou_weight: float = Field(default=0.1, ge=0)
