"""What a training run is: frozen numbers, saved beside the weights they produced.

`TrainConfig` holds what every run has; a subclass beside its task (`training/tasks/`) adds that one's model and data. `kind` stands in the
saved file and is the task's name in `lookup.TASKS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from saymask.config import Config
from saymask.errors import ConfigError
from saymask.lookup import resolve

if TYPE_CHECKING:
    from saymask.training.task import Task


class OptimConfig(Config):
    """AdamW with linear warm-up; then the rate falls, along a cosine or a straight line, to `final_lr_share` of the peak."""

    lr: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.02, ge=0)
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup_steps: int = Field(default=200, ge=0)
    final_lr_share: float = Field(default=0.01, ge=0, le=1)
    clip_norm: float = Field(default=1.0, gt=0)


class ValidationConfig(Config):
    """What a model is asked while it is trained; the weights that answer best are kept.

    Args:
        dataset, split, root: as for `saymask eval`. What is chosen by a split is no longer measured by it: never an exam's.
        limit: only the first so many samples; None = all.
        every: in steps; after the last step as well.
        pictures: of how many samples each validation draws truth and prediction.
    """

    dataset: str
    split: str
    root: Path | None = None
    limit: int | None = Field(default=None, gt=0)
    every: int = Field(default=500, gt=0)
    pictures: int = Field(default=4, ge=0)


class TrainConfig(Config):
    """One training run: what the loop needs, whatever it trains.

    Args:
        kind: the task, a name of `lookup.TASKS`; it also tells the subclasses apart in saved files.
        steps: of the optimiser.
        batch_size: samples that go through the network together, a micro-batch.
        micro_batches: of one step; their gradients are averaged. The processes of a run share them, each does its part one after the
            other. So the run, and its curve, is the same on any number of devices that divides this.
        autocast: run the forward pass under bf16 autocast.
        gradient_checkpointing: compute the transformer blocks a second time in the backward pass instead of keeping what they made.
        parallel: what several processes do (torchrun): keep the whole model each (ddp), or a share of it (fsdp).
        workers: processes that prepare batches, per process of the run; 0 = the process itself does.
        log_every, save_every: in steps; the last step is always logged and saved.
        keep_last: checkpoints that are kept.
        shard_mb: largest weight file of a checkpoint, in 10^6 bytes; None = one file. A tensor that is larger gets a file of its own.
    """

    kind: str
    optim: OptimConfig = OptimConfig()
    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    micro_batches: int = Field(default=1, gt=0)
    seed: int = Field(default=0, ge=0)
    autocast: bool = True
    gradient_checkpointing: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    workers: int = Field(default=0, ge=0)
    log_every: int = Field(default=50, gt=0)
    save_every: int = Field(default=500, gt=0)
    keep_last: int = Field(default=2, gt=0)
    shard_mb: float | None = Field(default=None, gt=0)
    validation: ValidationConfig | None = None

    @property
    def total_micro_batches(self) -> int:
        """Of the whole run: `Task.batches` is asked for 0 ... this - 1, so i / this is how much of the run lies before micro-batch i."""
        return self.steps * self.micro_batches

    def task(self) -> Task:
        """Build what this run trains, and on what; equal configurations give equal weights and batches.

        Raises:
            ConfigError: numbers nothing can be built from.
        """
        return resolve(self.kind, "task")(self)


class _Kind(Config, extra="ignore"):
    """The one key of a saved run that says how to read the others."""

    kind: str


FREE_TO_CHANGE = {
    "steps", "parallel", "gradient_checkpointing", "workers", "log_every", "save_every", "keep_last", "shard_mb",
}  # fmt: skip
"""What a resumed run may do differently: its length, its cadence, and by which means the same numbers are computed and kept."""


def require_same_run(file: Path, asked: TrainConfig) -> None:
    """Refuse to resume the run saved in `file` under another configuration, except for `FREE_TO_CHANGE`.

    Raises:
        ConfigError: names the first key that differs.
    """
    _require_equal("kind", _Kind.load(file).kind, asked.kind)
    saved, now = type(asked).load(file).model_dump(exclude=FREE_TO_CHANGE), asked.model_dump(exclude=FREE_TO_CHANGE)
    for key in saved:
        _require_equal(key, saved[key], now[key])


def _require_equal(key: str, saved: Any, now: Any) -> None:
    if saved != now:
        raise ConfigError(f"cannot resume: {key} was {saved} in the saved run, now {now}; use a new output folder")
