"""The layout in which LISA (2308.00692) and its descendants publish weights, in our words: the name of every tensor, both ways.

A LLaVA checkpoint with Segment Anything inside it (`model.visual_model`) and without its CLIP tower, which has a repository of its own.
Our models are built from transformers' parts, so only names differ, never shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOWER_PREFIX = "model.vision_tower.vision_tower."
"""In front of a tower tensor's own name (`vision_model...`) in the authors' running model."""

# A prompt encoder, a decoder and an image encoder of Segment Anything, as its ViT-H checkpoint has them. The eps of the decoder's
# two-way blocks is torch's default there; transformers' own default (1e-6) changes the masks.
SAM_VIT_H: dict[str, Any] = {
    "vision_config": {
        "hidden_size": 1280,
        "output_channels": 256,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "image_size": 1024,
        "patch_size": 16,
        "window_size": 14,
        "global_attn_indexes": [7, 15, 23, 31],
        "num_pos_feats": 128,
    },
    "prompt_encoder_config": {"hidden_size": 256, "image_size": 1024, "patch_size": 16},
    "mask_decoder_config": {
        "hidden_size": 256,
        "mlp_dim": 2048,
        "num_attention_heads": 8,
        "iou_head_hidden_dim": 256,
        "layer_norm_eps": 1e-5,
    },
}

_ENCODER_PIECES = {
    ".patch_embed.proj.": ".patch_embed.projection.",
    ".blocks.": ".layers.",
    ".neck.0.": ".neck.conv1.",
    ".neck.1.": ".neck.layer_norm1.",
    ".neck.2.": ".neck.conv2.",
    ".neck.3.": ".neck.layer_norm2.",
    ".norm1.": ".layer_norm1.",
    ".norm2.": ".layer_norm2.",
}
_PROMPT_PIECES = {
    ".point_embeddings.": ".point_embed.",
    ".mask_downscaling.0.": ".mask_embed.conv1.",
    ".mask_downscaling.1.": ".mask_embed.layer_norm1.",
    ".mask_downscaling.3.": ".mask_embed.conv2.",
    ".mask_downscaling.4.": ".mask_embed.layer_norm2.",
    ".mask_downscaling.6.": ".mask_embed.conv3.",
}
_PERCEPTRONS = (".iou_prediction_head", *(f".output_hypernetworks_mlps.{token}" for token in range(4)))
_PERCEPTRON_LAYERS = {".layers.0.": ".proj_in.", ".layers.1.": ".layers.0.", ".layers.2.": ".proj_out."}
_DECODER_PIECES = {
    **{f".norm{number}.": f".layer_norm{number}." for number in range(1, 5)},
    ".norm_final_attn.": ".layer_norm_final_attn.",
    ".output_upscaling.0.": ".upscale_conv1.",
    ".output_upscaling.1.": ".upscale_layer_norm.",
    ".output_upscaling.3.": ".upscale_conv2.",
    **{perceptron + theirs: perceptron + ours for perceptron in _PERCEPTRONS for theirs, ours in _PERCEPTRON_LAYERS.items()},
}


@dataclass(frozen=True)
class _Part:
    """A branch of the model: its path in the release and in ours, and what is called differently below it."""

    released: str
    ours: str
    pieces: Mapping[str, str] = field(default_factory=dict)


_PARTS = (
    _Part("model.mm_projector", "visual.projector"),
    _Part(f"{TOWER_PREFIX}vision_model", "visual.tower"),
    _Part("model.text_hidden_fcs.0", "prompt_projector"),
    _Part("model.visual_model.image_encoder", "mask_head.sam.vision_encoder", _ENCODER_PIECES),
    _Part(
        "model.visual_model.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "mask_head.sam.shared_image_embedding.positional_embedding",
    ),
    _Part("model.visual_model.prompt_encoder", "mask_head.sam.prompt_encoder", _PROMPT_PIECES),
    _Part("model.visual_model.mask_decoder", "mask_head.sam.mask_decoder", _DECODER_PIECES),
    _Part("lm_head", "language_model.lm_head"),
    _Part("model", "language_model.model"),
)
"""The special before the general."""


def our_name(released: str) -> str:
    """Name in a `ReasoningModel` of a tensor of the authors' running model; ValueError for a name outside its branches."""
    part = next((part for part in _PARTS if f"{released}.".startswith(f"{part.released}.")), None)
    if part is None:
        raise ValueError(f"{released!r} is no name of a released model of this layout")
    return part.ours + _substitute(released.removeprefix(part.released), part.pieces)


def released_name(ours: str) -> str:
    """Inverse of `our_name`."""
    part = next((part for part in _PARTS if f"{ours}.".startswith(f"{part.ours}.")), None)
    if part is None:
        raise ValueError(f"{ours!r} is no name of a model with a released counterpart")
    return part.released + _substitute(ours.removeprefix(part.ours), {new: old for old, new in part.pieces.items()})


def _substitute(name: str, pieces: Mapping[str, str]) -> str:
    """Replace every key by its value in one pass, so that no result is replaced again."""
    return re.sub("|".join(map(re.escape, pieces)), lambda found: pieces[found[0]], name) if pieces else name
