"""What a training run is: frozen numbers, saved beside the weights they produced."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from saymask.config import Config
from saymask.errors import ConfigError


class OptimConfig(Config):
    """AdamW with linear warm-up and cosine decay to `final_lr_share` of the peak."""

    lr: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.02, ge=0)
    warmup_steps: int = Field(default=200, ge=0)
    final_lr_share: float = Field(default=0.01, ge=0, le=1)
    clip_norm: float = Field(default=1.0, gt=0)


class Phase(Config):
    """A share of the run with its own mix of query families (relative weights)."""

    until: float = Field(gt=0, le=1)
    mix: dict[str, float]


class ToyDataConfig(Config):
    """Drawn clips: `size` pixels square, mixed as the phase of the step says."""

    size: int = Field(default=128, ge=32)
    phases: tuple[Phase, ...]

    @field_validator("phases")
    @classmethod
    def _phases_cover_the_run(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        ends = [phase.until for phase in phases]
        if not ends or ends != sorted(ends) or ends[-1] != 1:
            raise ValueError(f"phases must end in rising order, the last at 1.0, got {ends}")
        return phases

    def mix(self, step: int, steps: int) -> dict[str, float]:
        """The mix in force at `step` of `steps`."""
        return next(phase.mix for phase in self.phases if step < phase.until * steps)


class TrainConfig(Config):
    """One training run.

    Args:
        model: keyword arguments of `VideoLisaConfig`; the tokenizer's numbers are filled in by the run.
        num_supervised: frames per clip with a mask loss; None = the D dense frames, as in the paper.
        autocast: run the forward pass under bf16 autocast.
        workers: processes that prepare batches; 0 = in the training process.
    """

    model: dict[str, Any]
    data: ToyDataConfig
    optim: OptimConfig = OptimConfig()
    vocab_size: int = Field(default=640, gt=300)
    tokenizer_sentences: int = Field(default=8000, gt=0)
    steps: int = Field(gt=0)
    batch_size: int = Field(default=64, gt=0)
    num_supervised: int | None = Field(default=None, ge=1)
    seed: int = 0
    autocast: bool = True
    workers: int = Field(default=0, ge=0)
    log_every: int = Field(default=50, gt=0)
    save_every: int = Field(default=500, gt=0)


def require_equal(saved: TrainConfig, asked: TrainConfig) -> None:
    """Refuse to resume a run under another configuration; only its length and its cadence of logs and saves may change.

    Raises:
        ConfigError: names the first key that differs.
    """
    free = {"steps", "workers", "log_every", "save_every"}
    old, new = saved.model_dump(exclude=free), asked.model_dump(exclude=free)
    for key in old:
        if old[key] != new[key]:
            raise ConfigError(f"cannot resume: {key} was {old[key]} in the saved run, now {new[key]}; use a new output folder")
