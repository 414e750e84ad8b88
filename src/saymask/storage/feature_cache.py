"""Tensors of single frames kept within a byte budget."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from torch import Tensor

Features = TypeVar("Features", Tensor, tuple[Tensor, ...])


class FeatureCache(Generic[Features]):
    """One tensor, or several, per frame within a byte budget; the first frames that fit stay (a scan from start to end defeats LRU)."""

    def __init__(self, budget_bytes: int):
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self._features: dict[int, Features] = {}

    def __contains__(self, frame_idx: int) -> bool:
        return frame_idx in self._features

    def get(self, frame_idx: int) -> Features:
        return self._features[frame_idx]

    def offer(self, frame_idx: int, features: Features) -> None:
        """Keep a copy (a slice would pin its whole chunk) if the budget allows it."""
        size = features.nbytes if isinstance(features, Tensor) else sum(tensor.nbytes for tensor in features)
        if frame_idx in self._features or self.used_bytes + size > self.budget_bytes:
            return
        kept: Any = features.clone() if isinstance(features, Tensor) else tuple(tensor.clone() for tensor in features)
        self._features[frame_idx] = kept
        self.used_bytes += size

    def clear(self) -> None:
        self._features.clear()
        self.used_bytes = 0
