"""What a run says that goes on with a model: which one, what is trained of it, and on what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from saymask.config import Config
from saymask.datasets.mixture import MixtureConfig
from saymask.models.adapters import LoraConfig
from saymask.training.config import TrainConfig


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


class TuningConfig(TrainConfig):
    """A model, trained further in some of its parts; what the run writes is an adapter of the model it began with.

    Args:
        base: the model, as `-m` takes it. Its configuration decides the numbers of frames and the weights of the losses.
        train_parts: what is trained, "lora" and the family's `train_parts`; everything else stays as it is.
        lora: numbers of the LoRA matrices, if "lora" is among the parts.
        data: what it is trained on, one dataset or several at certain rates.
        processor: keyword arguments of the family's processor that are for training alone: how clips are chosen and
            worded, and what is supervised.
        frozen_dtype: of the parts that are not trained; those that are trained are float32. bfloat16 needs `autocast`.
    """

    kind: Literal["tuning"] = "tuning"
    base: str = Field(min_length=1)
    train_parts: tuple[str, ...] = Field(min_length=1)
    lora: LoraConfig = LoraConfig()
    data: Annotated[Annotated[DatasetConfig, Tag("one")] | Annotated[MixtureConfig, Tag("mixture")], Discriminator(_how_many)] = (
        DatasetConfig()
    )
    processor: dict[str, Any] = Field(default_factory=dict)
    frozen_dtype: Literal["float32", "bfloat16"] = "float32"

    @field_validator("frozen_dtype")
    @classmethod
    def _dtypes_go_together(cls, frozen_dtype: str, info: ValidationInfo) -> str:
        if frozen_dtype != "float32" and not info.data.get("autocast"):
            raise ValueError("needs autocast=true")
        return frozen_dtype
