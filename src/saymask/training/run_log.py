"""A run's log: JSON lines with the means since the line before, and what a stopped run must remember to write the same lines.

    {"step", "loss", "<part>_loss" ..., "grad_norm", "lr", "samples_per_s", "seconds"}    every `log_every` steps
    {"step", "validation": {...}}                                                         at every validation

Times are those of the steps alone, without validations, saves and pauses.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from saymask.config import Config
from saymask.training.parallel import Parallel


class LogState(Config):
    """What was summed up since the last line: (sum, count) by name, steps and their seconds; and the run's seconds before that line."""

    sums: dict[str, tuple[float, int]] = Field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    seconds_before: float = 0.0


class RunLog:
    """The log of one process; sums of all processes meet when a line is written, by the first one.

    Args:
        path: of the file; lines of steps after `done` are dropped, they are about to be made again.
        done: steps that lie behind.
        state: as it was then.
        parallel: who else adds to it.
        samples_per_step: of all processes together.
    """

    def __init__(self, path: Path, done: int, state: LogState, parallel: Parallel, samples_per_step: int):
        self.path = path
        self.parallel = parallel
        self.samples_per_step = samples_per_step
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._resume(state)
        if parallel.is_main and path.exists():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= done]
            draft = path.with_suffix(".partial")
            draft.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            draft.replace(path)

    def add(self, name: str, value: Tensor) -> None:
        """Count a value in the next line's mean, without waiting for the device."""
        total, count = self._sums.get(name, (torch.zeros((), device=value.device), 0))
        self._sums[name] = (total + value.detach().float(), count + 1)

    def add_step(self, seconds: float) -> None:
        """Count a step."""
        self._steps += 1
        self._seconds += seconds

    def state(self) -> LogState:
        """What to remember; all processes call this together."""
        merged: dict[str, tuple[float, int]] = {}
        for sums in self.parallel.gather({name: (total.item(), count) for name, (total, count) in self._sums.items()}):
            for name, (total, count) in sums.items():
                before, counted = merged.get(name, (0.0, 0))
                merged[name] = (before + total, counted + count)
        return LogState(sums=merged, steps=self._steps, seconds=self._seconds, seconds_before=self._seconds_before)

    def write_means(self, step: int, lr: float) -> dict[str, float]:
        """Write a line of means and begin the next one -> the line; all processes call this together."""
        state = self.state()
        line = {
            "step": step,
            **{name: total / count for name, (total, count) in state.sums.items()},
            "lr": lr,
            "samples_per_s": state.steps * self.samples_per_step / state.seconds,
            "seconds": state.seconds_before + state.seconds,
        }
        self._sums = {}
        self._resume(LogState(seconds_before=line["seconds"]))
        line = {key: value if isinstance(value, int) else float(f"{value:.8g}") for key, value in line.items()}
        self.write(line)
        return line

    def write(self, line: dict[str, Any]) -> None:
        """Write a line."""
        if self.parallel.is_main:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _resume(self, state: LogState) -> None:
        self._steps, self._seconds, self._seconds_before = state.steps, state.seconds, state.seconds_before
        if self.parallel.is_main:  # it brings what all had summed up
            self._sums = {name: (torch.tensor(total, device=self.parallel.device), count) for name, (total, count) in state.sums.items()}


def _step_of(line: str) -> float:
    """The step a line is about; never, if the run was killed while it wrote it."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return float("inf")
