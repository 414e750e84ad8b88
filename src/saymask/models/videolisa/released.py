"""The configuration of a released VideoLISA in our words; names of tensors: `lisa.names`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers.models.clip.configuration_clip import CLIPVisionConfig

from saymask.errors import CheckpointError
from saymask.models.lisa.names import SAM_VIT_H
from saymask.models.videolisa.model import VideoLisaConfig

MODEL_TYPE = "llava_phi"
_TEXT_KEYS = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("hidden_act", "max_position_embeddings", "original_max_position_embeddings", "rms_norm_eps"),
)
_OPTIONAL_TEXT_KEYS = ("attention_dropout", "embd_pdrop", "resid_pdrop", "initializer_range", "bos_token_id", "eos_token_id")
_FIXED = {"mm_projector_type": "mlp2x_gelu", "mm_vision_select_feature": "patch", "rope_scaling": None, "tie_word_embeddings": False}
"""Settings that the code of the release could read in other ways, and that ours knows in one."""


def config_from_release(values: Mapping[str, Any], vision_config: CLIPVisionConfig, seg_token_id: int, source: str) -> VideoLisaConfig:
    """Our configuration of a released model.

    Args:
        values: the release's `config.json`. What it leaves to the authors' code (frame counts, Segment Anything's numbers) is ViT-H's and
            the paper's, unless it says `num_frames_sparse`, `num_frames_dense` or `mask_config` (smaller releases for tests do).
        vision_config: the vision tower's own configuration.
        seg_token_id: id of `[SEG]` in the release's tokenizer.
        source: the file, for messages.

    Raises:
        CheckpointError: a number is missing, or a setting is one that this package does not know.
    """
    needed = (*_TEXT_KEYS, "rope_theta", "sliding_window", "mm_vision_select_layer", *_FIXED)
    if absent := [key for key in needed if key not in values]:
        raise CheckpointError(f"{source}: no {', '.join(absent)}; a released VideoLISA model has them in its config.json")
    for key, known in _FIXED.items():
        if values[key] != known:
            raise CheckpointError(f"{source}: {key} is {values[key]!r}; only {known!r} can be loaded")
    text = {key: values[key] for key in (*_TEXT_KEYS, *_OPTIONAL_TEXT_KEYS) if key in values}
    window = values["sliding_window"]
    text |= {
        "model_type": "phi3",
        "rope_parameters": {"rope_type": "default", "rope_theta": values["rope_theta"]},
        # The reference's window lets a query see itself and W keys before it; transformers counts the query among its W.
        "sliding_window": None if window is None else window + 1,
        # transformers' default, 32000, lies outside a smaller vocabulary; the release pads with <unk>.
        "pad_token_id": values.get("pad_token_id", 0),
        "tie_word_embeddings": False,
    }
    return VideoLisaConfig(
        text,
        vision_config,
        values.get("mask_config", SAM_VIT_H),
        num_sparse=values.get("num_frames_sparse", 32),
        num_dense=values.get("num_frames_dense", 4),
        vision_select_layer=values["mm_vision_select_layer"],
        seg_token_id=seg_token_id,
    )
