"""What a method family is to the rest of the package: three protocols and the records that pass between them.

A family is an `XModel(PreTrainedModel)` whose `forward(**batch)` is the only way to a loss, an `XProcessor` that owns tokenizer,
templates and both `to_batch` (training) and `to_inputs` (inference), and a thin `XSegmenter(model, processor)` that fulfils `Segmenter`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from torch import Tensor

from saymask.records import Video
from saymask.video.transforms import Geometry


class Recallable(Protocol):
    """Something a session can keep: it knows its size."""

    @property
    def nbytes(self) -> int: ...


Made = TypeVar("Made", bound=Recallable)


@dataclass(frozen=True)
class MaskLogits:
    """Mask logits of a chunk at the decoder's own resolution, enlarged frame by frame: those of many queries at video size are big."""

    lowres_TNhw: Tensor
    geometry: Geometry

    def full_size(self, row: int) -> Tensor:
        """Logits of the chunk's frame `row` at video size -> float32 NHW; a pixel belongs to the mask where its logit is > 0."""
        return self.geometry.undo(self.lowres_TNhw[row])


@dataclass(frozen=True)
class Answer:
    """What the language side of a family says to one query.

    Args:
        text: the answer as text.
        phrases: the noun phrases masks belong to, one per object.
        prompts_NKC: N objects, K prompt tokens each, valid on every frame.
        frame_prompts: prompts_NKC made for one frame each; any other frame is steered by those of the nearest. Empty = none are.
        own_frames: frames the family can segment itself; None = every frame.
        reference_frames: frames whose masks a tracker may trust.
        notes: chosen frames, votes, scores: shown in the result.
    """

    text: str
    phrases: tuple[str, ...]
    prompts_NKC: Tensor
    reference_frames: tuple[int, ...]
    own_frames: tuple[int, ...] | None = None
    frame_prompts: Mapping[int, Tensor] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def prompts_on(self, frame_idx: int) -> Tensor:
        """The prompts that steer the mask decoder on a frame, prompts_NKC."""
        if not self.frame_prompts:
            return self.prompts_NKC
        return self.frame_prompts[min(self.frame_prompts, key=lambda i: abs(i - frame_idx))]

    def of_objects(self, rows: Sequence[int]) -> Answer:
        """The same answer with these of its objects alone."""
        frame_prompts = {i: prompts_NKC[rows] for i, prompts_NKC in self.frame_prompts.items()}
        return replace(self, prompts_NKC=self.prompts_NKC[rows], frame_prompts=frame_prompts)


class VideoView(Protocol):
    """A video as a family sees it; the session implements it and owns every cache."""

    video: Video
    budget_bytes: int
    """How much memory copies made for the sake of speed may take, such as several queries at once."""

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC."""
        ...

    def vision_tokens(self, frame_idx: Sequence[int]) -> Tensor:
        """Projected tokens of the vision tower, tokens_TPE, cached per frame."""
        ...

    def image_features(self, frame_idx: Sequence[int]) -> Tensor:
        """Mask encoder's features_TChw, cached per frame within the session's budget."""
        ...

    def recall(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made for this key before, if it was kept, else make it: something about this video that no query changes."""
        ...


class Segmenter(Protocol):
    """A loaded family, ready to answer."""

    name: str
    weights_files: tuple[Path, ...]
    """Where the weights were read from, for reports; empty for a model that was built in memory."""

    def encode_vision(self, frames_THWC: np.ndarray) -> Tensor:
        """uint8 frames -> tokens_TPE; what `VideoView.vision_tokens` caches."""
        ...

    def encode_image(self, frames_THWC: np.ndarray) -> Tensor:
        """uint8 frames -> features_TChw; what `VideoView.image_features` caches."""
        ...

    def reason(self, view: VideoView, queries: Sequence[str], template: str = "auto", answer: str = "forced") -> list[Answer]:
        """Answer every query, with the answer given ("forced") or in the model's own words ("generate"); may look at any frame.

        Raises:
            ConfigError: an unknown template or answer mode.
        """
        ...

    def decode(self, features_TChw: Tensor, frame_idx: Sequence[int], video: Video, answers: Sequence[Answer]) -> MaskLogits:
        """Masks of all answers' objects (in order) on the frames `frame_idx`, whose features are given; never looks at other frames."""
        ...

    def notice(self, video: Video) -> str | None:
        """One line a user should read before trusting this model on this video, if any."""
        ...

    def unknown_words(self, query: str) -> list[str]:
        """Words of the query that the model has never seen in training, where it knows its lexicon."""
        ...
