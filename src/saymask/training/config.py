"""What a training run is: frozen numbers, saved beside the weights they produced.

`TrainConfig` holds what every run has; a subclass adds one family's model and data, and builds its `Task`. `kind` stands in the saved file
and says which subclass that is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from saymask.config import Config
from saymask.errors import ConfigError

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
        kind: name of the subclass in saved files.
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
        raise NotImplementedError(f"{type(self).__name__} builds no task")


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


class VideoLisaToyConfig(TrainConfig):
    """VideoLISA on drawn clips.

    Args:
        model: keyword arguments of `VideoLisaConfig`; the tokenizer's numbers are filled in by the run.
        init_from: name or folder of a model whose weights and tokenizer the run begins with; None = random weights, a new tokenizer.
        num_supervised: frames per clip with a mask loss; None = the D dense frames, as in the paper.
    """

    kind: Literal["videolisa_toy"] = "videolisa_toy"
    model: dict[str, Any]
    data: ToyDataConfig
    init_from: str | None = None
    vocab_size: int = Field(default=640, gt=300)
    tokenizer_sentences: int = Field(default=8000, gt=0)
    num_supervised: int | None = Field(default=None, ge=1)

    def task(self) -> Task:
        from saymask.training.tasks.videolisa_toy import build

        return build(self)


class ClipConfig(Config):
    """Training clips of a tracker: a few frames of one drawn video, some of its things as objects.

    The gap between neighbouring frames is drawn anew for every batch, from 1 to a bound that grows to `max_gap` over the run's first half.

    Args:
        size: side of the drawn frames in pixels.
        crop: side of the square cut out of them, at a place drawn anew for every batch; the network sees it enlarged as it would see a
            whole frame.
        num_frames: T; the first frame's masks are given.
        max_objects: a clip follows 1 to so many things.
        min_pixels: what a thing shows on the first frame, if it is to be followed.
    """

    size: int = Field(default=128, ge=32)
    crop: int = Field(default=80, ge=32)
    num_frames: int = Field(default=4, ge=2)
    max_gap: int = Field(default=5, ge=1)
    max_objects: int = Field(default=3, ge=1)
    min_pixels: int = Field(default=40, ge=1)

    @model_validator(mode="after")
    def _crop_is_inside(self) -> Self:
        if self.crop > self.size:
            raise ValueError(f"crop = {self.crop} must not exceed size = {self.size}")
        return self


class BootstrapConfig(Config):
    """Share of the pixels that the cross-entropy counts: all at first, from `start` to `end` of the run falling to the hardest `share`."""

    start: float = Field(default=0.2, ge=0, le=1)
    end: float = Field(default=0.7, ge=0, le=1)
    share: float = Field(default=0.15, gt=0, le=1)

    @model_validator(mode="after")
    def _falls_over_a_span(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start = {self.start} must lie before end = {self.end}")
        return self

    def keep_share(self, progress: float) -> float:
        """The share in force at `progress` (0 ... 1) of the run."""
        fallen = min(max((progress - self.start) / (self.end - self.start), 0.0), 1.0)
        return 1.0 + fallen * (self.share - 1.0)


class XMemToyConfig(TrainConfig):
    """XMem on drawn clips; `model` holds keyword arguments of `XMemConfig`."""

    kind: Literal["xmem_toy"] = "xmem_toy"
    model: dict[str, Any]
    data: ClipConfig = ClipConfig()
    bootstrap: BootstrapConfig = BootstrapConfig()

    def task(self) -> Task:
        from saymask.training.tasks.xmem_toy import build

        return build(self)


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
