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
    """AdamW with linear warm-up and cosine decay to `final_lr_share` of the peak."""

    lr: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.02, ge=0)
    warmup_steps: int = Field(default=200, ge=0)
    final_lr_share: float = Field(default=0.01, ge=0, le=1)
    clip_norm: float = Field(default=1.0, gt=0)


class TrainConfig(Config):
    """One training run: what the loop needs, whatever it trains.

    Args:
        kind: name of the subclass in saved files.
        autocast: run the forward pass under bf16 autocast.
        workers: processes that prepare batches; 0 = in the training process.
        log_every, save_every: in steps; the last step is always logged and saved.
    """

    kind: str
    optim: OptimConfig = OptimConfig()
    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    seed: int = 0
    autocast: bool = True
    workers: int = Field(default=0, ge=0)
    log_every: int = Field(default=50, gt=0)
    save_every: int = Field(default=500, gt=0)

    def task(self) -> Task:
        """Build what this run trains, and on what; equal configurations give equal weights and batches.

        Raises:
            ConfigError: numbers nothing can be built from.
        """
        raise NotImplementedError(f"{type(self).__name__} builds no task")


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
        from saymask.training.videolisa_toy import build

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
        from saymask.training.xmem_toy import build

        return build(self)


class _Kind(Config, extra="ignore"):
    """The one key of a saved run that says how to read the others; the first runs were of one kind and did not write it."""

    kind: str = "videolisa_toy"


def require_same_run(file: Path, asked: TrainConfig) -> None:
    """Refuse to resume the run saved in `file` under another configuration; only its length and its cadence of logs and saves may change.

    Raises:
        ConfigError: names the first key that differs.
    """
    _require_equal("kind", _Kind.load(file).kind, asked.kind)
    free = {"steps", "workers", "log_every", "save_every"}
    saved, now = type(asked).load(file).model_dump(exclude=free), asked.model_dump(exclude=free)
    for key in saved:
        _require_equal(key, saved[key], now[key])


def _require_equal(key: str, saved: Any, now: Any) -> None:
    if saved != now:
        raise ConfigError(f"cannot resume: {key} was {saved} in the saved run, now {now}; use a new output folder")
