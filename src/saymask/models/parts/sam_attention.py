"""Global attention of SAM's image encoder, a few rows of queries at a time.

The relative position of query and key is a bias for every pair of tokens: for 64 x 64 tokens, sixteen heads and eight frames that is 4 GiB
in bfloat16. A fused kernel needs the bias only for the queries it works on, so this makes it for BLOCK_ROWS rows of the grid at a time:
the same numbers with a sixteenth of the bias in memory at once (`bench/rel_pos.py` compares the forms).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.sam.modeling_sam import SamVisionAttention, SamVisionEncoder

BLOCK_ROWS = 4


class BlockedAttention(SamVisionAttention):
    """Attention with decomposed relative position over a grid of tokens; parameters are those of its base class."""

    def forward(self, hidden_states: Tensor, output_attentions: bool | None = None) -> tuple[Tensor, None]:
        """Tokens of a grid (batch, h, w, channels) -> the same shape; attention weights are never made."""
        _, height, width, _ = hidden_states.shape
        qkv = self.qkv(hidden_states).flatten(1, 2).unflatten(-1, (3, self.num_attention_heads, -1))
        # (batch, heads, tokens, channels of a head), each in one piece: every block reads all keys and values.
        query, key, value = (each.transpose(1, 2).contiguous() for each in qkv.unbind(2))
        grid = query.unflatten(2, (height, width))
        by_row = torch.einsum("bnhwc,hkc->bnhwk", grid, self.get_rel_pos(height, height, self.rel_pos_h)).flatten(2, 3)
        by_column = torch.einsum("bnhwc,wkc->bnhwk", grid, self.get_rel_pos(width, width, self.rel_pos_w)).flatten(2, 3)
        blocks = []
        for start in range(0, height * width, BLOCK_ROWS * width):
            some = slice(start, start + BLOCK_ROWS * width)
            bias = (by_row[:, :, some, :, None] + by_column[:, :, some, None, :]).flatten(3)
            blocks.append(functional.scaled_dot_product_attention(query[:, :, some], key, value, attn_mask=bias))
        mixed = torch.cat(blocks, dim=2).transpose(1, 2).reshape(hidden_states.shape)
        return self.proj(mixed), None


def attend_in_blocks(encoder: SamVisionEncoder) -> None:
    """Install `BlockedAttention` in the layers that see the whole grid; windows are small enough as they are."""
    for layer in encoder.layers:
        attention = cast(SamVisionAttention, layer.attn)
        if layer.window_size == 0 and attention.use_rel_pos:
            # transformers chooses the form by class as well; the weights and their names stay.
            attention.__class__ = BlockedAttention
