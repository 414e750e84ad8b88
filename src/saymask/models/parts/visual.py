"""Vision tower and projector: frames -> tokens in the language model's width, and the layouts of a video's tokens.

pixels_TChw -> tower's chosen layer without the class token -> two linear layers -> tokens_TPE. A layout makes the visual_BVE that the
language model reads from tokens_BSPE of the S sparse frames, of which D are dense; sparse-dense is the paper's (3.2), the others are what
its Table 5 compares it with.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModel


class VisionTower(nn.Module):
    """CLIP tower up to layer `select_layer` (counted as in `hidden_states`, so -2 is the layer before the last)."""

    def __init__(self, config: CLIPVisionConfig, select_layer: int):
        super().__init__()
        self.tower = CLIPVisionModel(config)
        self.num_layers_used = config.num_hidden_layers + 1 + select_layer

    def patches(self, pixels_TChw: Tensor) -> Tensor:
        """Normalised pixels -> patches_TPC. Layers after the chosen one are not run."""
        hidden_TPC = self.tower.pre_layrnorm(self.tower.embeddings(pixels_TChw))
        for layer in self.tower.encoder.layers[: self.num_layers_used]:
            hidden_TPC = layer(hidden_TPC, None)
        return hidden_TPC[:, 1:]


class VisualTokens(VisionTower):
    """A token for each patch: the tower and a GELU projector."""

    def __init__(self, config: CLIPVisionConfig, select_layer: int, width: int):
        super().__init__(config, select_layer)
        self.projector = nn.Sequential(nn.Linear(config.hidden_size, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, pixels_TChw: Tensor) -> Tensor:
        """Normalised pixels -> tokens_TPE."""
        return self.projector(self.patches(pixels_TChw))


def sparse_dense_tokens(tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
    """All S frames pooled to one token each, then every token of the D dense frames, in this order -> visual_BVE, V = S + D * P."""
    return torch.cat([tokens_BSPE.mean(dim=2), n_frame_tokens(tokens_BSPE, dense_slots_BD)], dim=1)


def n_frame_tokens(tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
    """Every token of the D dense frames and nothing of the others; V = D * P."""
    return rearrange(_dense(tokens_BSPE, dense_slots_BD), "b d p e -> b (d p) e")


def spatial_temporal_tokens(tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
    """Frames pooled to one token each, then patches pooled over the frames (Video-ChatGPT, 2306.05424); V = S + P."""
    return torch.cat([tokens_BSPE.mean(dim=2), tokens_BSPE.mean(dim=1)], dim=1)


def slow_fast_tokens(tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
    """All frames on a coarse grid of FAST_SIDE squared tokens, then the dense ones with each 2 x 2 tokens pooled; V = 4 S + D * P / 4."""
    side = math.isqrt(tokens_BSPE.shape[2])
    fast_BVE = reduce(tokens_BSPE, "b s (h i w j) e -> b (s h w) e", "mean", h=FAST_SIDE, w=FAST_SIDE, i=side // FAST_SIDE)
    slow_BVE = reduce(_dense(tokens_BSPE, dense_slots_BD), "b d (h i w j) e -> b (d h w) e", "mean", h=side // 2, w=side // 2, i=2)
    return torch.cat([fast_BVE, slow_BVE], dim=1)


FAST_SIDE = 2

TOKEN_LAYOUTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sparse_dense": sparse_dense_tokens,
    "n_frame": n_frame_tokens,
    "spatial_temporal": spatial_temporal_tokens,
    "slow_fast": slow_fast_tokens,
}


def _dense(tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
    """The dense frames' tokens -> BDPE."""
    return tokens_BSPE.gather(1, dense_slots_BD[:, :, None, None].expand(-1, -1, *tokens_BSPE.shape[2:]))
