"""One process or several: who computes what, how gradients meet, and what only the first process does.

Several processes are started by torchrun. With `ddp` each has the whole model and its own micro-batches; with `fsdp` (`fully_shard`, FSDP2)
parameters, gradients and optimiser state are spread over them, and a transformer block is complete only while it is computed. Either way
the gradient of a step is the mean over all its micro-batches, so the run is that of one process.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from saymask.errors import ConfigError
from saymask.runtime import Runtime
from saymask.training.blocks import transformer_blocks
from saymask.training.config import TrainConfig
from saymask.training.sharded import gather_trained
from saymask.training.task import Task

PATIENCE = timedelta(hours=6)
"""How long processes wait for the first one, which validates and writes alone; within a step torch's own limits hold."""

Value = TypeVar("Value")


class Parallel:
    """A run of one process, and what runs of several have in common with it."""

    rank, world_size = 0, 1
    can_run_alone = True
    """Whether one process can call the network without the others."""

    def __init__(self, device: torch.device):
        self.device = device

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def wrap(self, module: nn.Module, config: TrainConfig) -> nn.Module:
        """Place a module -> what training calls; the module's parameters stay the ones to optimise and to save."""
        return nn.Module.to(module, self.device)

    def gradients_of(self, model: nn.Module, is_last: bool) -> AbstractContextManager[None]:
        """Around forward and backward of a micro-batch: gradients of all processes meet in the last one of a step."""
        return nullcontext()

    def whole(self, task: Task, config: TrainConfig) -> Task:
        """A task whose module is complete in the first process and has the present weights; all processes call this together."""
        return task

    def all_finite(self, values: Tensor) -> bool:
        """Whether no process has a value that is infinite or not a number."""
        return bool(values.isfinite().all())

    def gather(self, value: Value) -> list[Value]:
        """What each process says, by rank."""
        return [value]

    def from_main(self, value: Value) -> Value:
        """What the first process says."""
        return value

    def wait(self) -> None:
        """Go on when all processes are here."""

    def finish(self) -> None:
        """Leave the others; the last thing a process does."""


class Ddp(Parallel):
    """Every process has the whole model."""

    def __init__(self, device: torch.device, rank: int, world_size: int):
        super().__init__(device)
        self.rank, self.world_size = rank, world_size
        self._patient = cast(dist.ProcessGroup, dist.new_group(timeout=PATIENCE, backend="gloo"))

    def wrap(self, module: nn.Module, config: TrainConfig) -> nn.Module:
        # Which parts a micro-batch uses depends on its samples: without a target there is no mask.
        return DistributedDataParallel(super().wrap(module, config), find_unused_parameters=True)

    def gradients_of(self, model: nn.Module, is_last: bool) -> AbstractContextManager[None]:
        return nullcontext() if is_last else cast(DistributedDataParallel, model).no_sync()

    def all_finite(self, values: Tensor) -> bool:
        finite = values.isfinite().all().float()
        dist.all_reduce(finite, dist.ReduceOp.MIN)
        return bool(finite)

    def gather(self, value: Value) -> list[Value]:
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, self._patient)
        return values

    def from_main(self, value: Value) -> Value:
        values: list[Any] = [value]
        dist.broadcast_object_list(values, group=self._patient)
        return values[0]

    def wait(self) -> None:
        dist.barrier(self._patient)

    def finish(self) -> None:
        dist.destroy_process_group()


class Fsdp(Ddp):
    """Every process has a share of each parameter."""

    can_run_alone = False

    def wrap(self, module: nn.Module, config: TrainConfig) -> nn.Module:
        Parallel.wrap(self, module, config)
        mesh = init_device_mesh(self.device.type, (self.world_size,))
        for part in (*transformer_blocks(module), module):
            fully_shard(part, mesh=mesh)  # precision is autocast's business, as it is elsewhere
        return module

    def gradients_of(self, model: nn.Module, is_last: bool) -> AbstractContextManager[None]:
        cast(FSDPModule, model).set_requires_gradient_sync(is_last)
        return nullcontext()

    def whole(self, task: Task, config: TrainConfig) -> Task:
        # A second module, built as the first one was, beside the shares: what a loader will read, without hooks or spread tensors.
        weights = gather_trained(task.module)
        if not self.is_main:
            return task
        copy = config.task()
        nn.Module.to(copy.module, self.device)
        copy.module.load_state_dict(copy.module.state_dict() | weights)
        return copy


def start(config: TrainConfig, runtime: Runtime) -> Parallel:
    """Join the other processes that torchrun has started, if there are any.

    Raises:
        ConfigError: the run cannot be shared by so many processes, or not on this device.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Parallel(runtime.torch_device)
    if config.micro_batches % world_size:
        raise ConfigError(
            f"micro_batches = {config.micro_batches} cannot be shared by {world_size} processes; start as many as divide it, "
            f"or set e.g. micro_batches={world_size}"
        )
    if runtime.torch_device.type not in ("cpu", "cuda"):
        raise ConfigError(f"several processes cannot share {runtime.device!r}; train on cuda or cpu, or without torchrun")
    rank, device = int(os.environ["RANK"]), torch.device("cpu")
    if runtime.torch_device.type == "cuda":
        if int(os.environ["LOCAL_RANK"]) >= torch.cuda.device_count():
            raise ConfigError(f"more processes than CUDA devices on this machine ({torch.cuda.device_count()}); start one for each")
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    mode = {"ddp": Ddp, "fsdp": Fsdp}[config.parallel]
    return mode(device, rank, world_size)
