"""Tensors of single frames kept within a byte budget."""

from __future__ import annotations

from torch import Tensor


class FeatureCache:
    """Features per frame within a byte budget; the first frames that fit stay (a scan from start to end would defeat LRU)."""

    def __init__(self, budget_bytes: int):
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self._features: dict[int, Tensor] = {}

    def __contains__(self, frame_idx: int) -> bool:
        return frame_idx in self._features

    def get(self, frame_idx: int) -> Tensor:
        return self._features[frame_idx]

    def offer(self, frame_idx: int, features: Tensor) -> None:
        """Keep a copy (a slice would pin its whole chunk) if the budget allows it."""
        size = features.nbytes
        if frame_idx not in self._features and self.used_bytes + size <= self.budget_bytes:
            self._features[frame_idx] = features.clone()
            self.used_bytes += size

    def clear(self) -> None:
        self._features.clear()
        self.used_bytes = 0
