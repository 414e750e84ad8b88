"""In which dtype weights compute that are stored in one: the fastest on this processor that fits into memory.

Most processors multiply matrices of 16-bit numbers several times slower than those of float32, because they emulate them. Everything in the
package that asks how fast a matrix product is (`saymask doctor`, `bench`, `plan`) asks `product_flops`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import psutil
import torch
from torch import Tensor

from saymask.runtime import AS_STORED, Runtime, dtype_name
from saymask.storage.weight_files import mapped_tensors

log = logging.getLogger(__name__)

_SIDE = 256  # a product of such matrices takes about a millisecond
_TRIES = 2


def computing_dtype(runtime: Runtime, files: Iterable[Path], published: torch.dtype | None = None) -> torch.dtype:
    """The dtype to load weights in.

    Args:
        runtime: a dtype that it names is taken as it is; "checkpoint" is that of the files; None = the fastest that fits, and a line on
            the log says so where that is too large.
        files: the weights.
        published: what counts as theirs, where a model was trained in another dtype than its files have; None = what most values have.

    Raises:
        CheckpointError: a file cannot be read as weights.
    """
    if runtime.torch_dtype:
        return runtime.torch_dtype
    num_values = Counter[torch.dtype]()
    for file in files:
        for _, tensor in mapped_tensors(file):
            if tensor.is_floating_point():
                num_values[tensor.dtype] += tensor.numel()
    stored = published or (num_values.most_common(1)[0][0] if num_values else torch.float32)
    return quickest_that_fits(runtime, stored, num_values.total())


def quickest_that_fits(runtime: Runtime, stored: torch.dtype, num_values: int) -> torch.dtype:
    """The dtype to compute in with so many values of weights that are stored in another, where none is asked for by name."""
    if runtime.dtype == AS_STORED or runtime.torch_device.type != "cpu" or is_quick(stored):
        return stored
    needed, free = 4 * num_values, psutil.virtual_memory().available
    if needed > free:
        log.warning(
            f"computing in {dtype_name(stored)}, which this processor emulates slowly: float32 would need {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free"
        )
        return stored
    return torch.float32


@cache
def is_quick(dtype: torch.dtype) -> bool:
    """Whether this processor multiplies matrices of a dtype at least as fast as those of float32: measured once, in a few milliseconds."""
    if dtype == torch.float32:
        return True
    flops = product_flops(torch.device("cpu"), [torch.float32, dtype], _SIDE, _TRIES)
    return flops[dtype] >= flops[torch.float32]


def product_side(device: torch.device) -> int:
    """Side of square matrices whose product keeps a device busy."""
    return 1024 if device.type == "cpu" else 8192


def product_flops(device: torch.device, dtypes: Sequence[torch.dtype], side: int | None = None, tries: int = 4) -> dict[torch.dtype, float]:
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
            fewest[dtype] = min(fewest[dtype], seconds_of(lambda square=square: torch.mm(square, square)))
    return {dtype: 2 * side**3 / seconds for dtype, seconds in fewest.items()}


def seconds_of(work: Callable[[], Tensor]) -> float:
    """Until the result is there."""
    start = time.perf_counter()
    float(work().flatten()[0])  # reading a value waits for the device
    return time.perf_counter() - start
