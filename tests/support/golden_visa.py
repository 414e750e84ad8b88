"""The tiny VISA of the golden data (tests/golden/visa/README.md) in our classes, with its tokenizer."""

from __future__ import annotations

import base64
import json

from golden import GOLDEN
from safetensors.torch import load_file

from saymask.models.lisa.names import our_name
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer, TokenizerSettings
from saymask.models.visa.model import VisaConfig, VisaModel

FOLDER = GOLDEN / "visa"
NUMBERS = json.loads((FOLDER / "tiny_model.json").read_text(encoding="utf-8"))
TENSORS = load_file(FOLDER / "tiny_model.safetensors")
MASK_SIDE = NUMBERS["sam_config"]["img_size"]
TABLES = ".rotary_emb.inv_freq"
"""Tensors of the reference's older library that newer ones compute."""

_ENCODER_NAMES = {
    "hidden_size": "embed_dim",
    "output_channels": "prompt_embed_dim",
    "num_hidden_layers": "depth",
    "num_attention_heads": "num_heads",
    "image_size": "img_size",
    "patch_size": "patch_size",
    "window_size": "window_size",
    "global_attn_indexes": "global_attn_indexes",
    "qkv_bias": "qkv_bias",
    "use_rel_pos": "use_rel_pos",
    "layer_norm_eps": "layer_norm_eps_image_encoder",
}
"""Our names of the image encoder's numbers -> those of the golden file."""


def golden_model() -> VisaModel:
    """The golden weights in our model, every tensor used and every parameter filled."""
    sam, univi = NUMBERS["sam_config"], NUMBERS["univi_config"]
    text = {"model_type": "llama", **NUMBERS["llm_config"]}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": text.pop("rope_theta")}
    del text["rope_scaling"], text["pretraining_tp"]
    encoder = {ours: sam[theirs] for ours, theirs in _ENCODER_NAMES.items()} | {"num_pos_feats": sam["prompt_embed_dim"] // 2}
    encoder["mlp_ratio"] = float(sam["mlp_ratio"])
    prompt = {"hidden_size": sam["prompt_embed_dim"], "image_size": sam["img_size"], "patch_size": sam["patch_size"]}
    prompt["mask_input_channels"] = sam["mask_in_chans"]
    decoder = {"hidden_size": sam["prompt_embed_dim"], "mlp_dim": sam["dec_mlp_dim"], "num_attention_heads": sam["dec_num_heads"]}
    decoder |= {"iou_head_hidden_dim": sam["iou_head_hidden_dim"], "layer_norm_eps": sam["layer_norm_eps_two_way_transformer"]}
    decoder |= {"num_hidden_layers": sam["dec_depth"], "attention_downsample_rate": sam["attention_downsample_rate"]}
    decoder |= {"iou_head_depth": sam["iou_head_depth"], "num_multimask_outputs": sam["num_multimask_outputs"]}
    config = VisaConfig(
        text,
        NUMBERS["vision_tower_config"],
        {"vision_config": encoder, "prompt_encoder_config": prompt, "mask_decoder_config": decoder},
        merge_rates=NUMBERS["merge"]["rates"],
        merge_neighbours=NUMBERS["merge"]["k"],
        vision_select_layer=univi["mm_vision_select_layer"],
        seg_token_id=NUMBERS["seg_token_idx"],
    )
    model = VisaModel(config).eval()
    model.load_state_dict({our_name(name): tensor for name, tensor in TENSORS.items() if not name.endswith(TABLES)})
    return model


def golden_tokenizer(legacy: bool = True) -> SentencePieceTokenizer:
    """The tokenizer that the golden ids were made with, `[SEG]` added as the reference adds it."""
    content = json.loads((FOLDER / "toy_tokenizer.json").read_text(encoding="utf-8"))["base64"]
    settings = TokenizerSettings(legacy=legacy)
    return SentencePieceTokenizer(base64.b64decode(content), settings, ("[SEG]",)).dropping_blanks_around("[SEG]")
