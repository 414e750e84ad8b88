"""The tiny VideoLISA of the golden data (tests/golden/videolisa/README.md) in our classes, and its inputs as our transforms make them."""

from __future__ import annotations

import json

import numpy as np
import torch
from golden import GOLDEN
from safetensors.torch import load_file

from saymask.models.lisa.names import our_name
from saymask.models.parts.pixels import MASK_MEAN, MASK_STD, TOWER_MEAN, TOWER_STD
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.video.transforms import Geometry, for_mask_encoder, for_vision_tower

FOLDER = GOLDEN / "videolisa"
NUMBERS = json.loads((FOLDER / "tiny_model.json").read_text(encoding="utf-8"))
TENSORS = load_file(FOLDER / "tiny_model.safetensors")
TOWER_SIDE, MASK_SIDE = NUMBERS["vision_tower_config"]["image_size"], NUMBERS["sam_config"]["img_size"]

_ENCODER_NAMES = {
    "hidden_size": "embed_dim",
    "output_channels": "prompt_embed_dim",
    "num_hidden_layers": "depth",
    "num_attention_heads": "num_heads",
    "image_size": "img_size",
    "patch_size": "patch_size",
    "window_size": "window_size",
    "global_attn_indexes": "global_attn_indexes",
}
"""Our names of the image encoder's numbers -> those of the golden file."""


def golden_model(**text_changes) -> VideoLisaModel:
    """The golden weights in our model, every tensor used and every parameter filled."""
    sam = NUMBERS["sam_config"]
    text = {"model_type": "phi3", **NUMBERS["llm_config"], **text_changes}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": text.pop("rope_theta")}
    del text["rope_scaling"]
    # The reference's window lets a query see itself and W keys before it; transformers counts the query among its W.
    text["sliding_window"] += 1
    encoder = {ours: sam[theirs] for ours, theirs in _ENCODER_NAMES.items()} | {"num_pos_feats": sam["prompt_embed_dim"] // 2}
    prompt = {"hidden_size": sam["prompt_embed_dim"], "image_size": sam["img_size"], "patch_size": sam["patch_size"]}
    decoder = {"hidden_size": sam["prompt_embed_dim"], "mlp_dim": sam["dec_mlp_dim"], "num_attention_heads": sam["dec_num_heads"]}
    decoder |= {"iou_head_hidden_dim": sam["iou_head_hidden_dim"], "layer_norm_eps": sam["layer_norm_eps_two_way_transformer"]}
    config = VideoLisaConfig(
        text,
        NUMBERS["vision_tower_config"],
        {"vision_config": encoder, "prompt_encoder_config": prompt, "mask_decoder_config": decoder},
        num_sparse=NUMBERS["num_frames_sparse"],
        num_dense=NUMBERS["num_frames_dense"],
        seg_token_id=NUMBERS["seg_token_idx"],
    )
    model = VideoLisaModel(config).eval()
    model.load_state_dict({our_name(name): tensor for name, tensor in TENSORS.items()})
    return model


def tower_pixels(frames_THWC: np.ndarray) -> torch.Tensor:
    return for_vision_tower(torch.from_numpy(frames_THWC), TOWER_SIDE, TOWER_MEAN, TOWER_STD)


def mask_pixels(frames_THWC: np.ndarray) -> tuple[torch.Tensor, Geometry]:
    return for_mask_encoder(torch.from_numpy(frames_THWC), MASK_SIDE, MASK_MEAN, MASK_STD)


def levels_apart(pixels_TChw: torch.Tensor, expected_TChw: np.ndarray, level_C: np.ndarray) -> np.ndarray:
    """How many of 255 levels the pixels are away from the published ones, which Pillow resized; one level of each channel is `level_C`."""
    return np.abs(pixels_TChw.numpy() - expected_TChw) / level_C[:, None, None]


TOWER_LEVEL = 1 / 255 / np.array(TOWER_STD)
MASK_LEVEL = 1 / np.array(MASK_STD)
