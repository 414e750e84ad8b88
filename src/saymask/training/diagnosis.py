"""Whose fault it is when a loss or a gradient is not finite: the step's micro-batches are made again and tried one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from saymask.training.feeding import MicroBatch
from saymask.training.parallel import Parallel

LossOf = Callable[[MicroBatch], Tensor]


def why_not_finite(parallel: Parallel, losses: Sequence[tuple[int, Tensor]], remake: Callable[[int], MicroBatch], loss_of: LossOf) -> str:
    """What to tell about a step; all processes call this together and get the same sentence.

    Args:
        losses: of this process's micro-batches, with their index.
        remake: index -> micro-batch.
        loss_of: its loss, computed as in the step.
    """
    alone = loss_of if parallel.can_run_alone else None
    found = [_blame(remake(index), loss.item(), alone) for index, loss in losses if not loss.isfinite()]
    of_all = [sentence for sentences in parallel.gather(found) for sentence in sentences]
    return of_all[0] if of_all else "the gradient is not finite, though every loss is; try a lower optim.lr"


@torch.no_grad()
def _blame(micro_batch: MicroBatch, loss: float, loss_of: LossOf | None) -> str:
    names = micro_batch.sample_names
    if loss_of:
        guilty = [name for single in micro_batch.samples() if not loss_of(single).isfinite() for name in single.sample_names]
        names = guilty or names
    whose = f"for {', '.join(names)}" if names else "(its samples have no names)"
    return f"micro-batch {micro_batch.index}: the loss is {loss} {whose}; look at the data, or try a lower optim.lr"
