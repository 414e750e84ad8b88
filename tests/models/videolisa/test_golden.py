"""The network computes what the reference computes: every intermediate of the tiny golden model (tests/golden/videolisa/README.md)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from saymask.models.parts.visual import sparse_dense_tokens
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.released import our_name
from saymask.video.transforms import Geometry

GOLDEN = Path(__file__).parents[2] / "golden" / "videolisa"
IO = np.load(GOLDEN / "tiny_io.npz")
LOSSES = np.load(GOLDEN / "losses.npz")
NUMBERS = json.loads((GOLDEN / "tiny_model.json").read_text())


def golden_model(**text_changes) -> VideoLisaModel:
    """The golden weights in our model, every tensor used and every parameter filled."""
    sam = NUMBERS["sam_config"]
    text = {"model_type": "phi3", **NUMBERS["llm_config"], **text_changes}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": text.pop("rope_theta")}
    del text["rope_scaling"]
    # The reference's window lets a query see itself and W keys before it; transformers counts the query among its W.
    text["sliding_window"] += 1
    names = {
        "embed_dim": "hidden_size",
        "prompt_embed_dim": "output_channels",
        "depth": "num_hidden_layers",
        "num_heads": "num_attention_heads",
    }
    names |= {
        "img_size": "image_size",
        "patch_size": "patch_size",
        "window_size": "window_size",
        "global_attn_indexes": "global_attn_indexes",
    }
    encoder = {ours: sam[theirs] for theirs, ours in names.items()} | {"num_pos_feats": sam["prompt_embed_dim"] // 2}
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
    model.load_state_dict({our_name(name): tensor for name, tensor in load_file(GOLDEN / "tiny_model.safetensors").items()})
    return model


def golden(name: str) -> torch.Tensor:
    return torch.from_numpy(IO[name])


@torch.no_grad()
def run(model: VideoLisaModel, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Every tensor the golden file has, by its name there, from the golden inputs."""
    input_ids = golden("input_ids").long()
    tokens = model.visual(golden("images_clip")[0].to(dtype))
    video_tokens = sparse_dense_tokens(tokens[None], golden("dense_indices").long())
    hidden, spliced = model.hidden_states(input_ids, video_tokens)
    seg_hidden, _ = model.seg_hidden(input_ids, hidden, spliced)
    prompt = model.prompt_projector(seg_hidden)
    features = model.mask_head.encode(golden("images_sam")[0].to(dtype))
    lowres = model.mask_head.decode(features, prompt[None, :, None].expand(len(features), -1, -1, -1))
    resized, original = (tuple(IO[name].ravel()[:2].tolist()) for name in ("resize_hw", "original_hw"))
    return {
        "image_tokens": tokens,
        "video_tokens": video_tokens[None],
        "inputs_embeds": spliced.embeds_BLE[None],
        "last_hidden_state": hidden,
        "seg_hidden": seg_hidden,
        "pred_embedding": prompt,
        "image_pe": model.mask_head.sam.get_image_wide_positional_embeddings(),
        "sam_image_embeddings": features,
        "low_res_masks": lowres,
        "pred_masks": Geometry(original, resized, (64, 64)).undo(lowres)[:, 0],
    }


@pytest.fixture(scope="module")
def computed() -> dict[str, torch.Tensor]:
    return run(golden_model())


def test_released_names_are_one_to_one():
    released = list(NUMBERS["keys"])
    assert len({our_name(name) for name in released}) == len(released)
    assert {our_name(name) for name in released} == set(golden_model().state_dict())


@pytest.mark.parametrize(
    "name",
    [
        *("image_tokens", "video_tokens", "inputs_embeds", "last_hidden_state", "seg_hidden", "pred_embedding"),
        *("image_pe", "sam_image_embeddings", "low_res_masks", "pred_masks"),
    ],
)
def test_intermediates_equal_the_reference(computed, name):
    expected = golden(name)
    assert torch.allclose(computed[name].reshape(expected.shape), expected, rtol=0, atol=1e-5)


def test_masks_equal_the_reference_where_it_is_decided(computed):
    decided = golden("pred_masks").abs() > 1e-3
    assert torch.equal((computed["pred_masks"] > 0)[decided], golden("pred_masks_binary").bool()[decided])


def test_the_sliding_window_is_the_references():
    windowed = run(golden_model(sliding_window=int(IO["sw_window"])))
    for name in ("seg_hidden", "pred_embedding", "pred_masks"):
        expected = golden(f"sw_{name}")
        assert torch.allclose(windowed[name].reshape(expected.shape), expected, rtol=0, atol=1e-5), name
        assert not torch.allclose(golden(name).reshape(expected.shape), expected, rtol=0, atol=1e-5), "the window should matter here"


def test_bf16_masks_agree():
    masks = run(golden_model().to(torch.bfloat16), torch.bfloat16)
    correlation = torch.corrcoef(torch.stack([masks["pred_masks"].flatten(), golden("bf16_pred_masks").flatten()]))[0, 1]
    assert correlation > 0.995
    assert (masks["image_pe"].float().reshape(-1) - golden("bf16_image_pe").reshape(-1)).abs().max() <= 0.005


@pytest.mark.parametrize("case", ["a", "b"])
def test_training_losses_equal_the_reference(case):
    """Two videos of different size; in case b the second has no [SEG] and no masks."""
    model = golden_model()
    has_seg = (LOSSES[f"{case}_input_ids"] == NUMBERS["seg_token_idx"]).any(1)
    resized, original = ([tuple(row) for row in LOSSES[name].reshape(-1, 2).tolist()] for name in ("resize_list", "original_sizes"))
    out = model(
        input_ids_BI=torch.from_numpy(LOSSES[f"{case}_input_ids"]).long(),
        labels_BI=torch.from_numpy(LOSSES[f"{case}_labels"]).long(),
        tower_pixels_BSChw=torch.from_numpy(LOSSES["images_clip"]),
        dense_slots_BD=torch.from_numpy(np.sort(LOSSES["dense_indices"], axis=-1)).long(),
        mask_pixels_BDChw=torch.from_numpy(LOSSES["images"]),
        targets=[torch.from_numpy(LOSSES[f"masks_{clip}"]).float() for clip in range(2)],
        geometries=[Geometry(original[clip], resized[clip], (64, 64)) for clip in range(2)],
        is_absent_B=torch.zeros(2, dtype=torch.bool),
    )
    assert has_seg.tolist() == ([True, True] if case == "a" else [True, False])
    weighted = {"lm_loss": ("ce_loss", 1.0), "mask_bce_loss": ("mask_bce_loss", 2.0), "mask_dice_loss": ("mask_dice_loss", 0.5)}
    for ours, (theirs, weight) in weighted.items():
        assert weight * out[ours].item() == pytest.approx(float(LOSSES[f"{case}_{theirs}"]), abs=1e-5)
    assert out.loss.item() == pytest.approx(float(LOSSES[f"{case}_loss"]), abs=1e-5)
    out.loss.backward()
    named = {our_name(str(name)): norm for name, norm in zip(LOSSES[f"{case}_grad_names"], LOSSES[f"{case}_grad_l2"], strict=True)}
    ours = dict(model.named_parameters())
    # The key biases of the mask decoder have no gradient in exact arithmetic; what is left is noise.
    compared = {name: norm for name, norm in named.items() if not (name.startswith("mask_head") and name.endswith("k_proj.bias"))}
    assert len(compared) > 50
    for name, norm in compared.items():
        assert ours[name].grad is not None, name
        assert ours[name].grad.norm().item() == pytest.approx(float(norm), abs=1e-6, rel=1e-3), name


@torch.no_grad()
def test_an_image_is_a_video_of_one_frame_whose_features_are_repeated():
    """The reference encodes the image eight times for the tower and twice for the masks; once each gives the same."""
    model = golden_model()
    tokens = model.visual(golden("imgval_images_clip_one").reshape(1, 3, 336, 336)).expand(8, -1, -1)
    video_tokens = sparse_dense_tokens(tokens[None], golden("imgval_dense_indices").long().reshape(1, 2))
    input_ids = golden("input_ids").long()
    hidden, spliced = model.hidden_states(input_ids, video_tokens)
    prompt = model.prompt_projector(model.seg_hidden(input_ids, hidden, spliced)[0])
    features = model.mask_head.encode(golden("imgval_images_sam_one").reshape(1, 3, 64, 64))
    lowres = model.mask_head.decode(features, prompt[None, :, None])
    resized, original = (tuple(IO[name].ravel()[:2].tolist()) for name in ("resize_hw", "original_hw"))
    masks = Geometry(original, resized, (64, 64)).undo(lowres)[0].expand(2, -1, -1)
    assert torch.allclose(prompt, golden("imgval_pred_embedding").reshape(prompt.shape), rtol=0, atol=1e-5)
    assert torch.allclose(masks, golden("imgval_pred_masks"), rtol=0, atol=1e-5)
