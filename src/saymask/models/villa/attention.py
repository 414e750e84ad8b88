"""Attention with an additive bias, and a sinusoidal code of the place in the video."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn


class Attention(nn.Module):
    """Queries (..., Q, C) read a memory (..., M, C); `bias` (..., heads or 1, Q, M) is added to the scores, -inf = not seen."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, memory: Tensor, bias: Tensor | None = None) -> Tensor:
        query, key, value = (
            rearrange(part, "... l (n c) -> ... n l c", n=self.heads)
            for part in (self.query(queries), *self.key_value(memory).chunk(2, dim=-1))
        )
        scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
        if bias is not None:
            scores = scores + bias
        read = scores.softmax(-1).to(value) @ value
        return self.out(rearrange(read, "... n l c -> ... l (n c)"))


class TimeCode(nn.Module):
    """Learned code of a frame's place in the whole video, a fraction 0 ... 1 -> (..., width)."""

    OCTAVES = 8

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(2 * self.OCTAVES, width, bias=False)

    def forward(self, fraction: Tensor) -> Tensor:
        angle = 2 * math.pi * fraction[..., None].float() * 2.0 ** torch.arange(self.OCTAVES, device=fraction.device)
        return self.linear(torch.cat([angle.sin(), angle.cos()], dim=-1).to(self.linear.weight))
