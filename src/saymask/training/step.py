"""One step of a run: every micro-batch forwards and backwards, the mean gradient clipped, the weights changed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from saymask.errors import DataError
from saymask.storage.computing_dtype import is_quick
from saymask.training.config import TrainConfig
from saymask.training.diagnosis import why_not_finite
from saymask.training.feeding import MicroBatch, micro_batch
from saymask.training.optim import clip_gradients, lr_at, set_lr
from saymask.training.parallel import Parallel
from saymask.training.run_log import RunLog
from saymask.training.task import Task


@dataclass(frozen=True)
class Stepper:
    """Changes the weights.

    Args:
        task, config: what is trained, and how.
        parallel: who else computes the step's micro-batches.
        model: what `parallel` made of the task's module.
        optimizer: over its parameters.
        log: takes losses and the gradient's length.
    """

    config: TrainConfig
    task: Task
    parallel: Parallel
    model: nn.Module
    optimizer: torch.optim.Optimizer
    log: RunLog

    def __call__(self, step: int, source: Iterator[MicroBatch]) -> float:
        """Do `step` (counted from 0) with the next micro-batches of this process -> its learning rate.

        Raises:
            DataError: a loss or the gradient is not finite, in any process; the weights are as before.
        """
        lr = lr_at(step, self.config.steps, self.config.optim)
        set_lr(self.optimizer, lr)
        self.optimizer.zero_grad(set_to_none=True)
        share = self.config.micro_batches // self.parallel.world_size
        losses = []
        for number, one in enumerate(islice(source, share), start=1):
            with self.parallel.gradients_of(self.model, is_last=number == share):
                output = self._forward(self.model, one)
                (output["loss"] / share).backward()
            losses.append((one.index, output["loss"].detach().float()))
            for name, value in _losses(output).items():
                self.log.add(name, value)
        norm = clip_gradients(self.model.parameters(), self.config.optim.clip_norm)
        if not self.parallel.all_finite(torch.stack([norm.float(), *(loss for _, loss in losses)])):
            remake, loss_of = partial(micro_batch, self.task.batches), lambda one: self._forward(self.task.module, one)["loss"]
            reason = why_not_finite(self.parallel, losses, remake, loss_of)
            raise DataError(f"step {step + 1}: {reason}; the weights stay as of the last checkpoint")
        if self.parallel.is_main:  # all know the same one
            self.log.add("grad_norm", norm)
        self.optimizer.step()
        return lr

    def _autocasts(self, module: nn.Module) -> bool:
        """As configured, but not where a processor emulates bf16 and nothing else needs it: the run would be several times slower."""
        if not self.config.autocast or self.parallel.device.type != "cpu":
            return self.config.autocast
        return is_quick(torch.bfloat16) or any(parameter.dtype != torch.float32 for parameter in module.parameters())

    def _forward(self, module: nn.Module, one: MicroBatch) -> ModelOutput:
        one.seed(self.config.seed)
        with torch.autocast(self.parallel.device.type, dtype=torch.bfloat16, enabled=self._autocasts(module)):
            return module(**one.to(self.parallel.device).inputs)


def _losses(output: ModelOutput) -> dict[str, Tensor]:
    """What an output holds of `loss` and its parts, `*_loss`."""
    return {name: value for name, value in output.items() if name == "loss" or name.endswith("_loss")}
