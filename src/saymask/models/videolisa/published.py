"""The numbers of the published VideoLISA-3.8B and of its vision tower, which are known without a download."""

from __future__ import annotations

from typing import Any

from transformers.models.clip.configuration_clip import CLIPVisionConfig

from saymask.models.videolisa.model import VideoLisaConfig
from saymask.models.videolisa.released import MODEL_TYPE, config_from_release

CONFIG: dict[str, Any] = {
    "architectures": ["VideoLISAForCausalLM"],
    "model_type": MODEL_TYPE,
    "vocab_size": 32039,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "sliding_window": 2047,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 32000,
    "pad_token_id": 0,
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "mm_vision_select_layer": -2,
    "mm_vision_select_feature": "patch",
    "mm_projector_type": "mlp2x_gelu",
    "mm_hidden_size": 1024,
    "out_dim": 256,
    "train_mask_decoder": True,
    "torch_dtype": "bfloat16",
}
TOWER_CONFIG: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
}


def videolisa_3_8b() -> VideoLisaConfig:
    """Our configuration of it; `[SEG]` is the last of its tokens."""
    return config_from_release(CONFIG, CLIPVisionConfig(**TOWER_CONFIG), CONFIG["vocab_size"] - 1, "the published configuration")
