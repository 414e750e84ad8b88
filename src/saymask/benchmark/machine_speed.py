"""How fast this machine is, measured in a few milliseconds: products of matrices, reading and writing of memory, calls of an operation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saymask.storage.computing_dtype import product_flops, seconds_of

_TRIES = 4
_COPIED_BYTES = 64 * 2**20
"""More than a processor's caches hold."""
_CALLS = 200


@dataclass(frozen=True)
class MachineSpeed:
    """What bounds an operation on this machine.

    Args:
        product_flops: operations per second of a large square matrix product.
        bytes_per_second: that an addition of two large tensors reads and writes.
        call_seconds: from one small operation to the next.
    """

    product_flops: float
    bytes_per_second: float
    call_seconds: float

    @classmethod
    def measure(cls, device: torch.device, dtype: torch.dtype) -> MachineSpeed:
        """Measure a device in a dtype."""
        return cls(product_flops(device, [dtype], tries=10)[dtype], _bytes_per_second(device), _call_seconds(device))


def _bytes_per_second(device: torch.device) -> float:
    first = torch.ones(_COPIED_BYTES // 4, device=device)
    second, total = torch.ones_like(first), torch.empty_like(first)
    return 3 * _COPIED_BYTES / min(seconds_of(lambda: torch.add(first, second, out=total)) for _ in range(_TRIES))


@torch.inference_mode()
def _call_seconds(device: torch.device) -> float:
    layer, row = nn.Linear(8, 8, device=device), torch.ones(1, 8, device=device)

    def call_often() -> Tensor:
        for _ in range(_CALLS - 1):
            layer(row)
        return layer(row)

    return min(seconds_of(call_often) for _ in range(_TRIES)) / _CALLS
