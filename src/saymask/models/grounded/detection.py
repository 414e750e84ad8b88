"""What a detector is to this family: phrases and one frame in, boxes with scores out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.parts.own_tracks import box_iou

SAME_OBJECT = 0.8
"""Boxes of one phrase that overlap (IoU) more than this are one object."""


@dataclass(frozen=True)
class Detections:
    """Boxes on one frame: float boxes_N4 x0 y0 x1 y1 in pixels, scores_N (0 ... 1), and which phrase each one shows."""

    boxes_N4: Tensor
    scores_N: Tensor
    phrase_idx_N: Tensor

    def __post_init__(self) -> None:
        if not len(self.boxes_N4) == len(self.scores_N) == len(self.phrase_idx_N):
            raise ValueError(f"{len(self.boxes_N4)} boxes, {len(self.scores_N)} scores, {len(self.phrase_idx_N)} phrases")

    def __len__(self) -> int:
        return len(self.scores_N)

    def __getitem__(self, rows: Tensor) -> Detections:
        return Detections(self.boxes_N4[rows], self.scores_N[rows], self.phrase_idx_N[rows])


class Detector(Protocol):
    """A loaded detector."""

    name: str
    default_threshold: float
    """The score its authors cut at."""
    weights_files: tuple[Path, ...]

    def detect(self, frame_HWC: np.ndarray, phrases: Sequence[str], threshold: float) -> Detections:
        """All boxes whose score exceeds the threshold, in one pass for all phrases.

        Args:
            frame_HWC: uint8 RGB.
            phrases: noun phrases.
            threshold: 0 ... 1.

        Raises:
            ConfigError: phrases that are too long for the detector.
        """
        ...


def split_phrases(query: str) -> list[str]:
    """The noun phrases of a query, which are separated by ";", "," or "." and may each stand once.

    Raises:
        ConfigError: there are none, or the query is a question, which a detector cannot answer.
    """
    if query.strip().endswith("?"):
        raise ConfigError(
            f'query {query!r} is a question; this model finds noun phrases, such as "the brown dog". '
            "Name what you look for, or ask a model that reasons (`saymask list`)"
        )
    phrases = list(dict.fromkeys(part.strip() for part in re.split(r"[;,.]", query) if part.strip()))
    if not phrases:
        raise ConfigError(f'query {query!r} names nothing; give noun phrases, such as "the brown dog; a ball"')
    return phrases


def without_doubles(found: Detections) -> Detections:
    """Highest scores first; of boxes of one phrase that show one object, the best."""
    kept: list[int] = []
    for row in found.scores_N.argsort(descending=True, stable=True).tolist():
        same_phrase = [k for k in kept if found.phrase_idx_N[k] == found.phrase_idx_N[row]]
        if all(box_iou(found.boxes_N4[row].tolist(), found.boxes_N4[k].tolist()) <= SAME_OBJECT for k in same_phrase):
            kept.append(row)
    return found[torch.tensor(kept, dtype=torch.long)]


def first_of_each_phrase(found: Detections) -> Tensor:
    """Bool first_N: the first box of each phrase."""
    phrases = found.phrase_idx_N.tolist()
    return torch.tensor([phrases.index(phrase) == row for row, phrase in enumerate(phrases)], dtype=torch.bool)
