"""The network computes what the reference computes: every tensor of the tiny golden model (tests/golden/videolisa/README.md)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from golden_videolisa import FOLDER, MASK_SIDE, NUMBERS, TENSORS, TOWER_LEVEL, golden_model, levels_apart, mask_pixels, tower_pixels
from torch import Tensor
from transformers.models.sam.modeling_sam import SamLayerNorm

from saymask.models.lisa.names import our_name
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID
from saymask.models.parts.pixels import MASK_MEAN, MASK_STD, TOWER_MEAN, TOWER_STD
from saymask.models.parts.visual import sparse_dense_tokens
from saymask.models.videolisa.model import VideoLisaModel
from saymask.video.sampling import sparse_dense
from saymask.video.transforms import Geometry

IO = np.load(FOLDER / "tiny_io.npz")
INPUTS = [
    "frames_uint8",
    "sparse_indices",
    "dense_indices",
    "input_ids",
    "images_clip",
    "images_sam",
    "resize_hw",
    "original_hw",
    "sw_window",
]
VARIANTS = ("sw_", "imgval_", "bf16_")
MAIN = [name for name in IO.files if name not in INPUTS and not name.startswith(VARIANTS)]
TAIL = 50
"""Positions at the end of the sequence for which the golden file has the states of every layer."""


def golden(name: str) -> Tensor:
    return torch.from_numpy(IO[name])


def geometry() -> Geometry:
    resized, original = (tuple(IO[name].ravel().tolist()) for name in ("resize_hw", "original_hw"))
    return Geometry(original, resized, (MASK_SIDE, MASK_SIDE))


@torch.no_grad()
def run(model: VideoLisaModel, tower_SChw: Tensor, mask_TChw: Tensor, dense_slots_1D: Tensor) -> dict[str, Tensor]:
    """Every tensor the golden file has, by its name there."""
    input_ids = golden("input_ids").long()
    with watched(model) as found:
        tokens_SPE = model.visual(tower_SChw.to(model.dtype))
        video_tokens = sparse_dense_tokens(tokens_SPE[None], dense_slots_1D)
        hidden, spliced = model.hidden_states(input_ids, video_tokens)
        seg_hidden, _ = model.seg_hidden(input_ids, hidden, spliced)
        prompt = model.prompt_projector(seg_hidden)
        features = model.mask_head.encode(mask_TChw.to(model.dtype))
        lowres = model.mask_head.decode(features, prompt[None, :, None].expand(len(features), -1, -1, -1))
    num_after = input_ids.shape[1] - 1 - int((input_ids[0] == IMAGE_TOKEN_ID).nonzero())
    masks = geometry().undo(lowres)[:, 0]
    return found | {
        "image_tokens": tokens_SPE,
        "video_tokens": video_tokens[None],
        "inputs_embeds": spliced.embeds_BLE,
        "last_hidden_state": hidden,
        "last_hidden_state_tail": hidden[:, -TAIL:],
        "logits_tail": model.language_model.lm_head(hidden[:, -num_after:]),
        "seg_row_index": spliced.position_BI[input_ids == model.config.seg_token_id] - 1,
        "seg_hidden": seg_hidden,
        "pred_embedding": prompt,
        "image_pe": model.mask_head.sam.get_image_wide_positional_embeddings(),
        "sam_image_embeddings": features,
        "low_res_masks": lowres,
        "pred_masks": masks,
        "pred_masks_binary": masks > 0,
    }


@contextmanager
def watched(model: VideoLisaModel) -> Iterator[dict[str, Tensor]]:
    """What passes between modules meanwhile, by its name in the golden file."""
    found: dict[str, Tensor] = {}

    def into_projector(module: Any, args: tuple[Tensor]) -> None:
        found["clip_selected"] = args[0]

    def of_decoder(module: Any, args: tuple, kwargs: dict[str, Tensor], output: tuple[Tensor, Tensor]) -> None:
        found["sparse_embeddings"] = kwargs["sparse_prompt_embeddings"][0]
        found["dense_embeddings"] = kwargs["dense_prompt_embeddings"][:1]
        found["iou_predictions"] = output[1][:, :, 0]

    hooks = [
        model.visual.projector.register_forward_pre_hook(into_projector),
        model.mask_head.sam.mask_decoder.register_forward_hook(of_decoder, with_kwargs=True),
    ]
    for i, layer in enumerate(model.language_model.model.layers):

        def of_layer(module: Any, args: tuple, output: Tensor, name: str = f"llm_layer{i}_out_tail") -> None:
            found[name] = output[:, -TAIL:]

        hooks.append(layer.register_forward_hook(of_layer))
    yield found
    for hook in hooks:
        hook.remove()


def run_stored(model: VideoLisaModel) -> dict[str, Tensor]:
    """From the encoder inputs that are stored."""
    return run(model, golden("images_clip")[0], golden("images_sam")[0], golden("dense_indices"))


@pytest.fixture(scope="module")
def computed() -> dict[str, Tensor]:
    return run_stored(golden_model())


def test_released_names_are_one_to_one():
    shapes = {name: list(tensor.shape) for name, tensor in TENSORS.items()}
    assert shapes == NUMBERS["keys"]
    ours = {name: list(tensor.shape) for name, tensor in golden_model().state_dict().items()}
    assert {our_name(name): shape for name, shape in shapes.items()} == ours
    assert len(shapes) == len(ours)


def test_numbers_that_the_golden_model_does_not_set_are_the_references():
    model, sam, llava = golden_model(), NUMBERS["sam_config"], NUMBERS["llava_config"]
    config = model.config
    encoder, decoder = config.mask_config.vision_config, config.mask_config.mask_decoder_config
    assert (encoder.mlp_ratio, encoder.layer_norm_eps, encoder.qkv_bias, encoder.use_rel_pos) == (
        sam["mlp_ratio"],
        sam["layer_norm_eps_image_encoder"],
        sam["qkv_bias"],
        sam["use_rel_pos"],
    )
    assert (decoder.num_hidden_layers, decoder.attention_downsample_rate, decoder.num_multimask_outputs, decoder.iou_head_depth) == (
        sam["dec_depth"],
        sam["attention_downsample_rate"],
        sam["num_multimask_outputs"],
        sam["iou_head_depth"],
    )
    norms = [module for module in model.modules() if type(module) is SamLayerNorm]
    assert len(norms) > 3 and {norm.eps for norm in norms} == {sam["layer_norm2d_eps"]}
    assert config.mask_config.prompt_encoder_config.mask_input_channels == sam["mask_in_chans"]
    assert (model.mask_head.channels, model.prompt_projector[-1].out_features) == (sam["prompt_embed_dim"], NUMBERS["out_dim"])
    assert [*MASK_MEAN, *MASK_STD] == sam["pixel_mean"] + sam["pixel_std"]
    tower = NUMBERS["clip_preprocess"]
    assert [*TOWER_MEAN, *TOWER_STD] == tower["image_mean"] + tower["image_std"]
    side, patch = config.tower_size
    assert side == tower["resize_shortest"] == tower["center_crop"]
    assert (side // patch) ** 2 == NUMBERS["num_tokens_per_image"]
    assert (config.lm_loss_weight, config.bce_loss_weight, config.dice_loss_weight) == tuple(NUMBERS["loss_weights"].values())
    assert (IMAGE_TOKEN_ID, IGNORE_LABEL) == (NUMBERS["image_token_index"], NUMBERS["ignore_index"])
    assert (config.vision_select_layer, config.vision_config.hidden_size) == (llava["mm_vision_select_layer"], llava["mm_hidden_size"])


@pytest.mark.parametrize("name", MAIN)
def test_every_tensor_equals_the_reference(computed, name):
    ours, expected = computed[name], golden(name)
    if expected.is_floating_point():
        assert torch.allclose(ours.reshape(expected.shape), expected, rtol=0, atol=1e-5)
    elif name == "pred_masks_binary":
        decided = golden("pred_masks").abs() > 1e-3
        assert decided.float().mean() > 0.99
        assert torch.equal(ours[decided], expected[decided])
    else:
        assert torch.equal(ours.reshape(expected.shape), expected)


def test_from_frames_to_masks():
    """The stored encoder inputs rebuilt: those of the mask encoder to the bit, a few of the tower's by the rounding of the resize."""
    frames_THWC = IO["frames_uint8"]
    chosen = sparse_dense(len(frames_THWC), NUMBERS["num_frames_sparse"], NUMBERS["num_frames_dense"])
    assert chosen.sparse_frame_idx.tolist() == IO["sparse_indices"].tolist()
    assert chosen.dense_slots.tolist() == IO["dense_indices"][0].tolist()
    tower_SChw = tower_pixels(frames_THWC[chosen.sparse_frame_idx])
    apart = levels_apart(tower_SChw, IO["images_clip"][0], TOWER_LEVEL)
    assert apart.max() < 2.01 and (apart > 1.01).mean() < 1e-5 and (apart > 0.01).mean() < 0.01
    mask_TChw, rebuilt = mask_pixels(frames_THWC)
    assert rebuilt == geometry()
    assert torch.equal(mask_TChw, golden("images_sam")[0])
    masks_THW = run(golden_model(), tower_SChw, mask_TChw, torch.from_numpy(chosen.dense_slots)[None])["pred_masks"]
    assert torch.allclose(masks_THW, golden("pred_masks"), rtol=0, atol=1e-3)
    decided = golden("pred_masks").abs() > 1e-3
    assert torch.equal((masks_THW > 0)[decided], golden("pred_masks_binary")[decided])


def test_tensors_without_influence_change_no_mask(computed):
    """Weights for clicks, the layers after the tower's chosen one and the like: the reference's list."""
    names = [our_name(name) for name in NUMBERS["keys_without_influence_on_inference_masks"]]
    assert len(names) == len(set(names)) == 58
    model = golden_model()
    state = model.state_dict()
    for name in names:
        state[name].fill_(0.7)
    assert torch.equal(run_stored(model)["pred_masks"], computed["pred_masks"])


@pytest.fixture(scope="module")
def windowed() -> dict[str, Tensor]:
    return run_stored(golden_model(sliding_window=int(IO["sw_window"])))


@pytest.mark.parametrize("name", [name for name in IO.files if name.startswith("sw_") and name not in INPUTS])
def test_the_sliding_window_is_the_references(computed, windowed, name):
    expected, without_window = golden(name), computed[name.removeprefix("sw_")]
    assert torch.allclose(windowed[name.removeprefix("sw_")].reshape(expected.shape), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(without_window.reshape(expected.shape), expected, rtol=0, atol=1e-5), "the window should matter here"


@pytest.fixture(scope="module")
def in_bf16() -> dict[str, Tensor]:
    return run_stored(golden_model().to(torch.bfloat16))


@pytest.mark.parametrize("name", [name for name in IO.files if name.startswith("bf16_")])
def test_bf16_agrees(in_bf16, name):
    """The positional encoding tells in which dtype it was computed: in float32 it would be 0.03 away."""
    ours, expected = in_bf16[name.removeprefix("bf16_")], golden(name)
    assert ours.dtype == (torch.float32 if name == "bf16_pred_masks" else torch.bfloat16)
    ours = ours.float().reshape(expected.shape)
    if name == "bf16_image_pe":
        assert (ours - expected).abs().max() <= 0.005
    else:
        assert torch.corrcoef(torch.stack([ours.flatten(), expected.flatten()]))[0, 1] > 0.995
        assert (ours - expected).abs().max() <= 0.05 * expected.abs().max()  # what a correlation does not see: offset and scale


@torch.no_grad()
def test_an_image_is_a_video_of_one_frame_whose_features_are_repeated():
    """The reference encodes the image eight times for the tower and twice for the masks; once each gives the same."""
    image_1HWC = IO["frames_uint8"][:1]
    apart = levels_apart(tower_pixels(image_1HWC), IO["imgval_images_clip_one"], TOWER_LEVEL)
    assert apart.max() < 1.01 and (apart > 0.01).mean() < 0.01
    assert torch.equal(mask_pixels(image_1HWC)[0], golden("imgval_images_sam_one"))
    model = golden_model()
    assert IO["imgval_dense_indices"].tolist() == [[0, 1]]
    tokens = model.visual(golden("imgval_images_clip_one")).expand(8, -1, -1)
    video_tokens = sparse_dense_tokens(tokens[None], golden("imgval_dense_indices"))
    input_ids = golden("input_ids").long()
    hidden, spliced = model.hidden_states(input_ids, video_tokens)
    prompt = model.prompt_projector(model.seg_hidden(input_ids, hidden, spliced)[0])
    features = model.mask_head.encode(golden("imgval_images_sam_one"))
    lowres = model.mask_head.decode(features, prompt[None, :, None])
    masks = geometry().undo(lowres)[0].expand(2, -1, -1)
    assert torch.allclose(prompt, golden("imgval_pred_embedding"), rtol=0, atol=1e-5)
    assert torch.allclose(masks, golden("imgval_pred_masks"), rtol=0, atol=1e-5)
