"""Tensors kept within one byte budget: rows of single frames, which stay once they are in, and things recalled by key, oldest out first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

BLOCK_BYTES = 32 * 2**20
"""Frames are kept in blocks that the allocator maps for themselves: thousands of small tensors would pin the heap between them."""

MAX_FRAMES = 1024
"""Of a longer video the first frames are kept; encoding the others again costs less than holding them."""


@dataclass
class ByteBudget:
    """How many bytes several caches may hold together, and how many they do."""

    limit: int
    used: int = 0

    def has_room(self, num_bytes: int) -> bool:
        return self.used + num_bytes <= self.limit


class FeatureCache:
    """One tensor, or several, per frame within a byte budget; the first frames that fit stay (a scan from start to end defeats LRU)."""

    def __init__(self, budget: ByteBudget):
        self.budget = budget
        self._rows: dict[int, tuple[Tensor, ...]] = {}
        self._blocks: dict[Any, tuple[Tensor, int]] = {}  # and how many of its rows are taken
        self._used_bytes = 0

    def __contains__(self, frame_idx: int) -> bool:
        return frame_idx in self._rows

    def get(self, frame_idx: int) -> tuple[Tensor, ...]:
        """What was offered for a frame; it must not be written to."""
        return self._rows[frame_idx]

    def offer(self, frame_idx: int, *features: Tensor) -> None:
        """Keep a copy if the budget allows it."""
        size = sum(tensor.nbytes for tensor in features)
        if frame_idx in self._rows or len(self._rows) >= MAX_FRAMES or not self.budget.has_room(size):
            return
        self._rows[frame_idx] = tuple(self._keep(place, tensor) for place, tensor in enumerate(features))
        self.budget.used += size
        self._used_bytes += size

    def clear(self) -> None:
        self._rows.clear()
        self._blocks.clear()
        self.budget.used -= self._used_bytes
        self._used_bytes = 0

    def _keep(self, place: int, tensor: Tensor) -> Tensor:
        """Copy a tensor into the next free row of its block, in its own memory layout: a hit must equal a miss bit for bit."""
        strides = torch.empty_like(tensor, device="meta").stride()
        block_of = (place, tensor.shape, strides, tensor.dtype, tensor.device)
        block, row = self._blocks.get(block_of, (tensor.new_empty(0), 0))
        if row == len(block):
            num_rows = max(1, min(BLOCK_BYTES, self.budget.limit) // max(1, tensor.nbytes))
            block, row = torch.empty(num_rows, tensor.numel(), dtype=tensor.dtype, device=tensor.device), 0
        self._blocks[block_of] = block, row + 1
        with torch.inference_mode():  # the block may have been made in it
            return block[row].as_strided(tensor.shape, strides).copy_(tensor)


class Recallable(Protocol):
    """Something that can be kept: it knows its size."""

    @property
    def nbytes(self) -> int: ...


class RecalledCache:
    """Things by key within a byte budget; what was asked for longest ago makes room."""

    def __init__(self, budget: ByteBudget):
        self.budget = budget
        self._kept: OrderedDict[Hashable, Recallable] = OrderedDict()

    def recall(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made for this key before, if it was kept, else make it."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = make()
        while self._kept and not self.budget.has_room(made.nbytes):
            _, oldest = self._kept.popitem(last=False)
            self.budget.used -= oldest.nbytes
        if self.budget.has_room(made.nbytes):
            self._kept[key] = made
            self.budget.used += made.nbytes
        return made

    def clear(self) -> None:
        self.budget.used -= sum(made.nbytes for made in self._kept.values())
        self._kept.clear()


def chunks(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    """Consecutive parts of at most `size` indices."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]
