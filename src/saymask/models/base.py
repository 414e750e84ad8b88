"""What a method family is to the rest of the package: the protocols it fulfils and the records that pass between them.

    queries ─ Segmenter.reason ─ Answer ─ ObjectAnswer ... ─┬─ PromptDecoder.decode, frame by frame
                                                            └─ reference masks ─ tracker

A family is described by a `Family` (`models/family.py`). One with a network has an `XModel(PreTrainedModel)` whose `forward(**batch)` is
the only way to a loss, an `XProcessor` that owns tokenizer, wording and both `to_batch` (training) and `to_inputs` (inference), and a thin
`XSegmenter(model, processor)`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor

from saymask.config import Config
from saymask.lookup import suggest
from saymask.models.family import Family
from saymask.records import Rle, Video
from saymask.runtime import Runtime
from saymask.samples import MultipleChoice
from saymask.video.transforms import Geometry


class Options(Config):
    """How queries are asked; a family derives its own with its defaults, templates and further options.

    Args:
        answer: "forced" gives the answer, so there is always an object; "generate" lets the model write it, and perhaps refuse.
        template: how a query is worded, one of `templates`.
        min_presence: objects that the model is less sure of (0 ... 1) are left out; only for models that say how sure they are.
    """

    templates: ClassVar[tuple[str, ...]] = ("auto",)

    answer: Literal["forced", "generate"] = "forced"
    template: str = "auto"
    min_presence: float = Field(default=0.0, ge=0, le=1)

    @field_validator("template")
    @classmethod
    def _template_is_known(cls, template: str) -> str:
        if template not in cls.templates:
            raise ValueError(f"unknown template; {suggest(template, list(cls.templates))}")
        return template


@dataclass(frozen=True)
class ObjectAnswer:
    """One object of an answer: what steers its masks, or the masks it has already.

    Args:
        phrase: the words this object answers to; "" = the whole query.
        presence: how sure the family is that the object is in the video, 0 ... 1, calibrated; None = the family does not say.
        prompt_KC: K prompt tokens that steer the family's own mask decoder on any frame.
        frame_prompts: prompt tokens made for one frame each; how they join the common prompt is the family's to say, in `decode`.
        frame_presence: how sure the family is that the object is to be seen on a frame it looked at, 0 ... 1, calibrated.
        reference_masks: frame index -> bool mask_HW at video size that the family has already (detectors, agents).
        reference_frames: frames whose decoded masks a tracker may trust.
        track_T: mask and score (0 ... 1) of every frame, of a family that tracks for itself; empty = it does not.
    """

    phrase: str = ""
    presence: float | None = None
    prompt_KC: Tensor | None = None
    frame_prompts: Mapping[int, Tensor] = field(default_factory=dict)
    frame_presence: Mapping[int, float] = field(default_factory=dict)
    reference_masks: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    reference_frames: tuple[int, ...] = ()
    track_T: tuple[tuple[Rle, float], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Answer:
    """What a family says to one query.

    Args:
        text: the answer as text.
        objects: one per object found; none = "not in this video".
        notes: votes, scores, chosen frames, cost: shown in the result. Plain JSON values.
        files: name -> content of what is to lie beside the saved result, such as a trace of how the answer was found.
    """

    text: str
    objects: tuple[ObjectAnswer, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class MaskLogits:
    """Mask logits of a chunk at the decoder's own resolution; full-size logits of many queries would not fit, so they are made in parts."""

    lowres_TNhw: Tensor
    geometry: Geometry

    def full_size(self, rows: slice | int) -> Tensor:
        """Logits of some of the chunk's frames at video size -> float32 TNHW, or NHW of one; a pixel is the object's where it is > 0."""
        return self.geometry.undo(self.lowres_TNhw[rows])


class Recallable(Protocol):
    """Something a session can keep: it knows its size."""

    @property
    def nbytes(self) -> int: ...


Made = TypeVar("Made", bound=Recallable)


class VideoView(Protocol):
    """A video as a family sees it; the session implements it and owns every cache, all under one byte budget."""

    video: Video
    budget_bytes: int
    """How much memory copies made for the sake of speed may take, such as several queries at once."""

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC."""
        ...

    def image_features(self, frame_idx: Sequence[int]) -> Tensor:
        """features_TChw of the family's `encode_image`, cached per frame."""
        ...

    def recall_frames(self, key: Hashable, frame_idx: Sequence[int], encode: Callable[[np.ndarray], Tensor]) -> Tensor:
        """What `encode` makes of each frame, T...: it gets uint8 frames_THWC, a chunk at a time, of those frames that are not kept."""
        ...

    def recall(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made for this key before, if it was kept, else make it: something about this video that no query changes."""
        ...

    def tracker_features(self, tracker: Any) -> Any:
        """What a tracker keeps of this video's frames between its propagations; see `Tracker.features`."""
        ...


class Segmenter(Protocol):
    """A loaded model of a family, ready to answer."""

    family: Family
    name: str
    weights_files: tuple[Path, ...]
    """Where the weights were read from, for reports; empty for a model that was built in memory."""

    def reason(self, view: VideoView, queries: Sequence[str], options: Any) -> list[Answer]:
        """Answer every query; may look at any frame. MultipleChoice of frames and its one retry happen here.

        Args:
            view: the video.
            queries: what to find.
            options: an instance of the family's `Options`.

        Raises:
            ConfigError: a query that cannot be asked.
        """
        ...

    def notice(self, video: Video) -> str | None:
        """One line a user should read before trusting this model on this video, if any."""
        ...

    def unknown_words(self, query: str) -> list[str]:
        """Words of the query that the model has never seen in training, where it knows its lexicon."""
        ...


class PromptDecoder(Protocol):
    """What a family with a mask decoder of its own has beside `Segmenter`."""

    def encode_image(self, frames_THWC: np.ndarray) -> Tensor:
        """uint8 frames -> features_TChw; what `VideoView.image_features` caches."""
        ...

    def decode(self, features_TChw: Tensor, frame_idx: Sequence[int], video: Video, answers: Sequence[Answer]) -> MaskLogits:
        """Masks of all answers' objects (in order) on the frames `frame_idx`, whose features are given; never looks at other frames."""
        ...


class SelfTracking(Protocol):
    """What a family that tracks for itself has beside `Segmenter`."""

    tracker: Any
    """A `Tracker`; the session refines with it where the user names none."""


@runtime_checkable
class OptionScorer(Protocol):
    """What a family has beside `Segmenter` whose language model can say how likely an answer is."""

    def option_scores(self, view: VideoView, choice: MultipleChoice) -> list[float]:
        """Mean log-likelihood, per token, of each option as the answer to the question."""
        ...


TOWER_OPTION = "--vision-tower DIR (in Python: vision_tower=DIR)"
"""How a user gives the folder of a vision tower that a published layout leaves out."""


class Release(Protocol):
    """The layout in which a family's authors published their weights."""

    def recognises(self, values: Mapping[str, Any]) -> bool:
        """Whether a `config.json` with these values is one of this layout."""
        ...

    def load(self, folder: Path, runtime: Runtime, name: str, vision_tower: Path | None) -> Segmenter:
        """Load a folder.

        Raises:
            CheckpointError: a file is absent or damaged, or tensors do not fit.
        """
        ...

    def read_config(self, folder: Path, vision_tower: Path | None) -> Any:
        """The family's configuration of a folder whose weights need not be there.

        Raises:
            CheckpointError: a configuration is absent or damaged, the folder's or its vision tower's.
        """
        ...

    def load_hub(self, repo_id: str, runtime: Runtime, name: str, vision_tower: Path | None) -> Segmenter:
        """Fetch a repository `owner/name` of the hub, or find it in its cache, and load it.

        Raises:
            CheckpointError: the hub cannot be reached or refuses; says what would have been fetched, how large, from where.
        """
        ...
