"""What a run says that goes on with a VideoLISA model: which one, what is trained of it, and on what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from saymask.config import Config
from saymask.datasets.mixture import MixtureConfig
from saymask.models.adapters import LoraConfig, Part
from saymask.training.config import TrainConfig

if TYPE_CHECKING:
    from saymask.training.task import Task


class DatasetConfig(Config):
    """One split of one dataset.

    Args:
        name: a dataset of `saymask list`; "folder" is a folder of one's own.
        root: where it lies; None = where the settings say.
    """

    name: str = "folder"
    split: str = "train"
    root: Path | None = None


def _how_many(data: Any) -> str:
    """Which of the two a value is meant to be, so that an error is about that one."""
    return "mixture" if isinstance(data, MixtureConfig) or (isinstance(data, dict) and "groups" in data) else "one"


class VideoLisaTuningConfig(TrainConfig):
    """A VideoLISA model, trained further in some of its parts; what the run writes is an adapter of the model it began with.

    Args:
        base: the model, as `-m` takes it. Its configuration decides the numbers of frames and the weights of the losses.
        train_parts: what is trained; everything else stays as it is.
        lora: numbers of the LoRA matrices, if "lora" is among the parts.
        data: what it is trained on, one dataset or several at certain rates.
        clips: how frames are chosen: "jittered", one from each of S equal parts of the video, or "refer", around a start frame, as
            VideoLISA's authors do.
        num_supervised: frames per clip with a mask loss; None = the D dense frames, as in the paper.
        frozen_dtype: of the parts that are not trained; those that are trained are float32. bfloat16 needs `autocast`.
    """

    kind: Literal["videolisa"] = "videolisa"
    base: str = Field(min_length=1)
    train_parts: tuple[Part, ...] = Field(min_length=1)
    lora: LoraConfig = LoraConfig()
    data: Annotated[Annotated[DatasetConfig, Tag("one")] | Annotated[MixtureConfig, Tag("mixture")], Discriminator(_how_many)] = (
        DatasetConfig()
    )
    clips: Literal["jittered", "refer"] = "jittered"
    num_supervised: int | None = Field(default=None, ge=1)
    frozen_dtype: Literal["float32", "bfloat16"] = "float32"

    @field_validator("frozen_dtype")
    @classmethod
    def _dtypes_go_together(cls, frozen_dtype: str, info: ValidationInfo) -> str:
        if frozen_dtype != "float32" and not info.data.get("autocast"):
            raise ValueError("needs autocast=true")
        return frozen_dtype

    def task(self) -> Task:
        from saymask.training.tasks.videolisa import build

        return build(self)
