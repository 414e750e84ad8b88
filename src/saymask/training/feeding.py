"""Micro-batches on their way from a task to the network: who computes which, in which order, and what happens to them on the way.

Of a run with m micro-batches a step, step s consists of `task.batches[s * m]` ... `task.batches[(s + 1) * m - 1]`. R processes share them:
rank r computes the r-th m / R of every step, one after the other. So neither order nor contents depend on R, on workers or on a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from saymask.errors import SaymaskError
from saymask.training.config import TrainConfig
from saymask.training.task import SAMPLE_NAMES


@dataclass(frozen=True)
class MicroBatch:
    """One call of the network: what `forward` takes, and which samples it holds (empty: not said)."""

    index: int
    inputs: dict[str, Any]
    sample_names: list[str]

    def seed(self, seed: int) -> None:
        """Begin the network's random numbers (dropout), so that they depend on the run's seed and this micro-batch, and on nothing else."""
        torch.manual_seed(int(np.random.SeedSequence([seed, self.index]).generate_state(1, np.uint64)[0]))

    def to(self, device: torch.device) -> MicroBatch:
        return replace(self, inputs=_map(self.inputs, lambda tensor: tensor.to(device, non_blocking=True)))

    def samples(self) -> Iterator[MicroBatch]:
        """Micro-batches of one sample each; none, if its tensors and lists do not all have a row for every named sample."""
        rows = len(self.sample_names)
        if rows and _has_rows(self.inputs, rows):
            for row, name in enumerate(self.sample_names):
                yield MicroBatch(self.index, {key: _row(value, row) for key, value in self.inputs.items()}, [name])


def micro_batch(batches: Dataset[dict[str, Any]], index: int) -> MicroBatch:
    """Make micro-batch `index` of a run."""
    inputs = dict(batches[index])
    return MicroBatch(index, inputs, inputs.pop(SAMPLE_NAMES, []))


def feed(batches: Dataset[dict[str, Any]], config: TrainConfig, first_step: int, rank: int, world_size: int) -> Iterator[MicroBatch]:
    """Micro-batches of one process from `first_step` to the end of the run, each made shortly before it is needed.

    Raises:
        SaymaskError: a sample cannot be had; raised as it was, also where a worker process met it.
    """
    share = config.micro_batches // world_size
    starts = [step * config.micro_batches + rank * share for step in range(first_step, config.steps)]
    loader = DataLoader(
        _Guarded(batches), batch_size=None, sampler=[start + i for start in starts for i in range(share)],
        num_workers=config.workers, prefetch_factor=4 if config.workers else None,
        generator=torch.Generator(),  # else it would draw from the module's random numbers, once per start
    )  # fmt: skip
    for made in loader:
        if isinstance(made, SaymaskError):
            raise made
        yield made


class _Guarded(Dataset["MicroBatch | SaymaskError"]):
    """Hands errors over as values: one that is raised in a worker process would arrive with that process's traceback as its message."""

    def __init__(self, batches: Dataset[dict[str, Any]]):
        self.batches = batches

    def __getitem__(self, index: int) -> MicroBatch | SaymaskError:
        try:
            return micro_batch(self.batches, index)
        except SaymaskError as error:
            return error


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change a batch's tensors, also those inside lists, dictionaries and records."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _map(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map(item, change) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _map(getattr(value, field.name), change) for field in fields(value)})
    return value


def _has_rows(value: Any, rows: int) -> bool:
    """Whether all tensors and lists have one row for every sample."""
    if isinstance(value, Tensor):
        return value.ndim > 0 and len(value) == rows
    if isinstance(value, dict):
        return all(_has_rows(item, rows) for item in value.values())
    if isinstance(value, list):
        return len(value) == rows
    if is_dataclass(value) and not isinstance(value, type):
        return all(_has_rows(getattr(value, field.name), rows) for field in fields(value))
    return True


def _row(value: Any, row: int) -> Any:
    """What belongs to one sample, still with the axis of samples."""
    if isinstance(value, list):
        return value[row : row + 1]
    if isinstance(value, dict):
        return {key: _row(item, row) for key, item in value.items()}
    return _map(value, lambda tensor: tensor[row : row + 1])
