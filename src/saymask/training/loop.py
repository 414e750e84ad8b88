"""The training loop: any module whose `forward(**batch)` returns a loss, on one device or several; exact resume.

A run lives in one folder: `train.json` (the resolved configuration), `log.jsonl`, `checkpoints/`, `model/` (what the trained thing's loader
reads, as of the last checkpoint) and, with a validation, `best/` (as of the best one) and `pictures/`. Interrupted runs go on with
`resume=True` and give the same curve. What a step does depends on the configuration and the step alone: not on restarts, workers or the
number of processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from saymask.errors import ConfigError
from saymask.evaluation.exam import Exam
from saymask.runtime import Runtime
from saymask.storage.atomic import replaced_file
from saymask.storage.lock import LOCK, lock_folder
from saymask.training.blocks import checkpoint_blocks
from saymask.training.checkpoint import RunState, collect, frozen_digest, load_checkpoint, newest_checkpoint, save_checkpoint
from saymask.training.config import TrainConfig, require_same_run
from saymask.training.feeding import feed
from saymask.training.optim import build_optimizer
from saymask.training.parallel import Parallel, start
from saymask.training.run_log import LogState, RunLog
from saymask.training.step import Stepper
from saymask.training.task import Task
from saymask.training.validation import ask_in_mixed_precision, open_validation, validate

CONFIG = "train.json"
Progress = Callable[[int, int, str], None]


def train(
    config: TrainConfig, out_dir: Path, resume: bool = False, runtime: Runtime | None = None, progress: Progress | None = None
) -> Path:
    """Run (or continue) a training and return the folder of the finished model.

    Args:
        config: the run.
        out_dir: its folder; must be empty or new unless `resume`. Of several processes, all must be able to read what the first one names.
        resume: continue from the folder's last checkpoint.
        runtime: device; the best one present by default.
        progress: called with (steps done, steps, what to tell) at the start, at every line of the log and during validations.

    Raises:
        ConfigError: the folder is in use, the saved run has another configuration, or this one cannot be run.
        CheckpointError: the last checkpoint cannot be read.
        DataError: a loss or gradient is not finite; names step and samples. The weights stay those of the last checkpoint.
    """
    if resume:
        require_resumable(out_dir)
    parallel = start(config, runtime or Runtime.choose())
    folder = parallel.from_main(out_dir)
    with lock_folder(folder, "training") if parallel.is_main else nullcontext():
        if parallel.is_main:
            _require_usable(folder, config, resume)
        parallel.wait()
        tell = progress if progress and parallel.is_main else lambda done, steps, label: None
        run = _begin(config, folder, resume, parallel, tell)
        run.train()
        parallel.finish()
    return folder / "model"


def require_resumable(out_dir: Path) -> None:
    """Raise ConfigError unless a run has begun in the folder; one that was killed before its first checkpoint begins again."""
    if not (out_dir / CONFIG).is_file() and not newest_checkpoint(out_dir) and not (out_dir / LOCK).is_file():
        raise ConfigError(f"{out_dir}: nothing to resume, there is no checkpoint; start without --resume")


def _require_usable(folder: Path, config: TrainConfig, resume: bool) -> None:
    if resume:
        if (folder / CONFIG).is_file():
            require_same_run(folder / CONFIG, config)
    elif (folder / CONFIG).exists():
        raise ConfigError(f"{folder} already holds a run; continue it with --resume or choose another folder")


@dataclass
class _Run:
    """A run under way; `done` steps lie behind it, `best` is the highest score of a validation so far."""

    config: TrainConfig
    folder: Path
    parallel: Parallel
    task: Task
    step: Stepper
    exam: Exam | None
    frozen_sha256: str | None
    progress: Progress
    done: int = 0
    best: float | None = None

    def train(self) -> None:
        """All steps that are left."""
        config, log = self.config, self.step.log
        source = feed(self.task.batches, config, self.done, self.parallel.rank, self.parallel.world_size)
        self.progress(self.done, config.steps, "starting")
        for step in range(self.done, config.steps):
            started = time.perf_counter()
            lr = self.step(step, source)
            log.add_step(time.perf_counter() - started)
            self.done = step + 1
            if self._is_due(config.log_every):
                line = log.write_means(self.done, lr)
                self.progress(self.done, config.steps, f"loss {line['loss']:.3f}, {line['samples_per_s']:.1f} samples/s")
            if config.validation and self._is_due(config.validation.every):
                self._validate()
            if self._is_due(config.save_every):
                whole = self.parallel.whole(self.task, config)
                if self.parallel.is_main:
                    whole.save(self.folder / "model")
                self.save()  # last: a run whose last checkpoint is there is finished

    def save(self) -> None:
        """Write a checkpoint of what is done."""
        tensors = collect(self.task.module, self.step.optimizer, keep=self.parallel.is_main)
        state = RunState(step=self.done, frozen_sha256=self.frozen_sha256, log=self.step.log.state(), best=self.best)
        if self.parallel.is_main:
            save_checkpoint(self.folder, state, tensors, self.config.shard_mb, self.config.keep_last)
        self.parallel.wait()

    def _is_due(self, every: int) -> bool:
        return self.done % every == 0 or self.done == self.config.steps

    def _validate(self) -> None:
        """Measure the model as it is; the best one so far is kept."""
        whole = self.parallel.whole(self.task, self.config)
        if self.exam and whole.segmenter and self.config.validation:
            picture = self.folder / "pictures" / f"step-{self.done:06d}.png"

            def tell(done: int, total: int) -> None:
                self.progress(self.done, self.config.steps, f"validating {done}/{total}")

            with ask_in_mixed_precision(whole.module):
                scores = validate(whole.segmenter(), self.exam, picture, self.config.validation.pictures, tell)
            self.step.log.write({"step": self.done, "validation": scores.to_log()})
            if self.best is None or scores.j_and_f > self.best:
                self.best = scores.j_and_f
                whole.save(self.folder / "best")
            self.task.module.train()
        self.parallel.wait()


def _begin(config: TrainConfig, folder: Path, resume: bool, parallel: Parallel, progress: Progress) -> _Run:
    """Build what is trained, or restore it."""
    task = config.task()
    if config.validation and not task.segmenter:
        raise ConfigError(f"validation: what {config.kind} trains cannot be asked questions; set validation=null")
    exam = open_validation(config.validation) if config.validation and parallel.is_main else None
    parallel.wait()
    if config.gradient_checkpointing:
        checkpoint_blocks(task.module)
    frozen_sha256 = frozen_digest(task.module)
    model = parallel.wrap(task.module.train(), config)
    optimizer = build_optimizer(task.module, config.optim)
    checkpoint = newest_checkpoint(folder) if resume else None
    state = RunState(step=0, frozen_sha256=frozen_sha256, log=LogState())
    if checkpoint:
        state = load_checkpoint(checkpoint, task.module, optimizer, frozen_sha256)
        if state.step > config.steps:
            raise ConfigError(f"{folder} has done {state.step} steps already, and steps = {config.steps}; ask for more, or begin a new run")
    log = RunLog(folder / "log.jsonl", state.step, state.log, parallel, config.micro_batches * config.batch_size)
    step = Stepper(config, task, parallel, model, optimizer, log)
    run = _Run(config, folder, parallel, task, step, exam, frozen_sha256, progress, state.step, state.best)
    if parallel.is_main:
        with replaced_file(folder / CONFIG) as draft:
            config.save(draft)
    if not checkpoint:
        run.save()  # so that a run can be continued from its first second
    return run
