"""Vision tower and projector: frames -> tokens in the language model's width, and the sparse-dense layout of a video (paper 3.2).

pixels_TChw -> tower's chosen layer without the class token -> two linear layers -> tokens_TPE.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel


class VisualTokens(nn.Module):
    """CLIP tower up to layer `select_layer` (counted as in `hidden_states`, so -2 is the layer before the last) and a GELU projector."""

    def __init__(self, config: CLIPVisionConfig, select_layer: int, width: int):
        super().__init__()
        self.tower = CLIPVisionModel(config)
        self.projector = nn.Sequential(nn.Linear(config.hidden_size, width), nn.GELU(), nn.Linear(width, width))
        self.num_layers_used = config.num_hidden_layers + 1 + select_layer

    def forward(self, pixels_TChw: Tensor) -> Tensor:
        """Normalised pixels -> tokens_TPE. Layers after the chosen one are not run."""
        hidden_TPC = self.tower.pre_layrnorm(self.tower.embeddings(pixels_TChw))
        for layer in self.tower.encoder.layers[: self.num_layers_used]:
            hidden_TPC = layer(hidden_TPC, None)
        return self.projector(hidden_TPC[:, 1:])


def sparse_dense_tokens(tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
    """All S frames pooled to one token each, then every token of the D dense frames, in this order -> visual_BVE, V = S + D * P."""
    pooled_BSE = tokens_BSPE.mean(dim=2)
    index_BDPE = dense_slots_BD[:, :, None, None].expand(-1, -1, *tokens_BSPE.shape[2:])
    dense_BDPE = tokens_BSPE.gather(1, index_BDPE)
    return torch.cat([pooled_BSE, rearrange(dense_BDPE, "b d p e -> b (d p) e")], dim=1)
