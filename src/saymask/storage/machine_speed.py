"""How fast this machine is, measured in a few milliseconds: products of matrices, reading and writing of memory, calls of an operation.

Everything in the package that asks for a matrix product's speed asks here: `saymask doctor`, `bench`, `plan`, and the choice of a dtype.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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


def product_side(device: torch.device) -> int:
    """Side of square matrices whose product keeps a device busy."""
    return 1024 if device.type == "cpu" else 8192


def product_flops(
    device: torch.device, dtypes: Sequence[torch.dtype], side: int | None = None, tries: int = _TRIES
) -> dict[torch.dtype, float]:
    """Operations per second of a square matrix product, the practical peak of the device: the best of some tries, which take turns.

    Args:
        device: where.
        dtypes: each is measured.
        side: of the matrices; None = large enough to keep the device busy.
        tries: how often.
    """
    side = side or product_side(device)
    squares = {dtype: torch.full((side, side), 1 / side, device=device, dtype=dtype) for dtype in dtypes}
    fewest = dict.fromkeys(dtypes, float("inf"))
    for _ in range(tries):
        for dtype, square in squares.items():
            fewest[dtype] = min(fewest[dtype], _seconds(lambda square=square: torch.mm(square, square)))
    return {dtype: 2 * side**3 / seconds for dtype, seconds in fewest.items()}


def _bytes_per_second(device: torch.device) -> float:
    first = torch.ones(_COPIED_BYTES // 4, device=device)
    second, total = torch.ones_like(first), torch.empty_like(first)
    return 3 * _COPIED_BYTES / min(_seconds(lambda: torch.add(first, second, out=total)) for _ in range(_TRIES))


@torch.inference_mode()
def _call_seconds(device: torch.device) -> float:
    layer, row = nn.Linear(8, 8, device=device), torch.ones(1, 8, device=device)

    def call_often() -> Tensor:
        for _ in range(_CALLS):
            made = layer(row)
        return made

    return min(_seconds(call_often) for _ in range(_TRIES)) / _CALLS


def _seconds(work: Callable[[], Tensor]) -> float:
    """Until the result is there."""
    start = time.perf_counter()
    float(work().flatten()[0])  # reading a value waits for the device
    return time.perf_counter() - start
