"""What the language model has read before it meets a query: opening words and visual tokens, as keys and values.

A chat puts the video first, so this part is the same for every query about a video. It is read once (`VisualPrefix`), and what follows is
read on top of copies of it, several queries at a time, right-padded: attention is causal, so padding influences nothing that is read.

    ids_BI = opening_P | <image> | suffix_BJ      opening + V visual tokens = the prefix of M tokens
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor
from transformers.cache_utils import DynamicCache

from saymask.models.parts.chat import IMAGE_TOKEN_ID


@dataclass(frozen=True)
class VisualPrefix:
    """Keys and values of the M tokens in front of a query (batch of one)."""

    cache: DynamicCache
    num_tokens: int

    @property
    def nbytes(self) -> int:
        """Memory that the keys and values take."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in _attention_layers(self.cache))

    def copies(self, num_rows: int) -> DynamicCache:
        """A cache that starts as this prefix in every row and may be extended; memory is taken when it is."""
        rows = copy.copy(self.cache)
        rows.layers = [copy.copy(layer) for layer in self.cache.layers]
        for layer in _attention_layers(rows):
            layer.keys = layer.keys.expand(num_rows, -1, -1, -1)
            layer.values = layer.values.expand(num_rows, -1, -1, -1)
        return rows

    def rows_within(self, budget_bytes: int, num_more: int) -> int:
        """How many copies, each extended by `num_more` tokens, fit in a budget; one always does."""
        return max(1, int(budget_bytes / (self.nbytes * (1 + num_more / self.num_tokens))))


def split_at_video(input_ids_BI: Tensor) -> tuple[Tensor, Tensor]:
    """Opening ids_P before the placeholder, which must be the same in every row, and suffix_ids_BJ after it.

    Raises:
        ValueError: a row without a placeholder, or rows that begin differently.
    """
    at = (input_ids_BI == IMAGE_TOKEN_ID).int().argmax(1)[0]
    head_BI = input_ids_BI[:, : at + 1]
    if not (head_BI == head_BI[:1]).all() or head_BI[0, -1] != IMAGE_TOKEN_ID:
        raise ValueError("the rows differ before the video's placeholder; what stands before it cannot be shared")
    return head_BI[0, :-1], input_ids_BI[:, at + 1 :]


def _attention_layers(cache: DynamicCache) -> list[Any]:
    """The layers of a cache that has been filled: they have `keys` and `values`, which their common base class does not state."""
    return cast(list[Any], cache.layers)
