"""What a part of a network costs, counted while it runs on tensors that have shapes and no values (torch's meta device).

Each operation is bound by the slowest of two things, its products or the bytes it reads and writes, and costs a call besides. Torch's own
counter says the products; bytes are those of the tensors that go in and come out, of views none.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from saymask.benchmark.machine_speed import MachineSpeed


@dataclass(frozen=True)
class Operation:
    """One operation: floating-point operations of its products, bytes that it reads and writes."""

    flops: int
    nbytes: int

    def seconds(self, speed: MachineSpeed) -> float:
        """On a machine that does what it can."""
        return speed.call_seconds + max(self.flops / speed.product_flops, self.nbytes / speed.bytes_per_second)


@dataclass(frozen=True)
class Cost:
    """Operations in order, and the most bytes that their results held at a time."""

    operations: tuple[Operation, ...]
    peak_bytes: int

    @property
    def flops(self) -> int:
        """Of all products."""
        return sum(operation.flops for operation in self.operations)

    def seconds(self, speed: MachineSpeed) -> float:
        """One operation after the other, on a machine that does what it can."""
        return sum(operation.seconds(speed) for operation in self.operations)


class _Recorder(TorchDispatchMode):
    """Notes every operation; `flops` counts beneath it."""

    def __init__(self, flops: FlopCounterMode):
        super().__init__()
        self.operations: list[Operation] = []
        self.peak_bytes = 0
        self._flops = flops
        self._held_bytes = 0
        self._holders: dict[int, int] = {}  # storage -> tensors that show it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self._flops.get_total_flops()
        made = func(*args, **(kwargs or {}))
        inputs = {id(leaf): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        given = {tensor.untyped_storage()._cdata for tensor in inputs.values()}
        results = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor) and id(leaf) not in inputs]
        fresh = [tensor for tensor in results if tensor.untyped_storage()._cdata not in given]
        for tensor in results:
            self._hold(tensor)
        changes_in_place = not results
        moved = [*inputs.values(), *fresh] if fresh or changes_in_place else []
        self.operations.append(Operation(self._flops.get_total_flops() - before, sum(tensor.nbytes for tensor in moved)))
        return made

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._holders:
            self._holders[storage._cdata] = 0
            self._held_bytes += storage.nbytes()
            self.peak_bytes = max(self.peak_bytes, self._held_bytes)
        self._holders[storage._cdata] += 1
        weakref.finalize(tensor, self._let_go, storage._cdata, storage.nbytes())

    def _let_go(self, storage: int, nbytes: int) -> None:
        self._holders[storage] -= 1
        if not self._holders[storage]:
            del self._holders[storage]
            self._held_bytes -= nbytes


class Counted:
    """Filled in when the block of `counting` ends."""

    cost = Cost((), 0)


@contextmanager
def counting() -> Iterator[Counted]:
    """Count what is done in the block.

    Inference mode, as a session's: composite operations such as attention then count as one, whose intermediate results stay in caches.
    """
    counted = Counted()
    with torch.inference_mode(), FlopCounterMode(display=False) as flops, _Recorder(flops) as recorder:
        yield counted
    counted.cost = Cost(tuple(recorder.operations), recorder.peak_bytes)
