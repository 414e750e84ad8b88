"""The network computes what the reference computes: every tensor of the tiny golden model (tests/golden/visa/README.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden_visa import FOLDER, MASK_SIDE, NUMBERS, TABLES, TENSORS, golden_model, golden_tokenizer
from torch import Tensor

from saymask.models.lisa.names import our_name
from saymask.models.parts.chat import IMAGE_TOKEN_ID
from saymask.models.parts.pixels import MASK_MEAN, MASK_STD, TOWER_MEAN, TOWER_STD
from saymask.models.visa.model import VisaModel
from saymask.models.visa.processor import VisaProcessor
from saymask.models.visa.prompts import RELEASED
from saymask.models.visa.token_merging import merge
from saymask.video.transforms import Geometry

IO = np.load(FOLDER / "tiny_io.npz")
UP_TO_PROMPT, MASKS = 1e-5, 2e-5
"""Tolerances of the README: up to `pred_embedding`, and of Segment Anything's tensors and the masks."""
VARIANTS = ("two_", "twoseg_", "one_", "free_")
TAIL, LOGITS_TAIL = 40, 12


def golden(name: str) -> Tensor:
    return torch.from_numpy(IO[name])


@pytest.fixture(scope="module")
def model() -> VisaModel:
    return golden_model()


@pytest.fixture(scope="module")
def processor(model) -> VisaProcessor:
    return VisaProcessor(golden_tokenizer(), model.config)


def geometry() -> Geometry:
    resized, original = (tuple(IO[name].tolist()) for name in ("resize_hw", "original_hw"))
    return Geometry(original, resized, (MASK_SIDE, MASK_SIDE))


def order() -> list[int]:
    """Places of the frames in `images_clip`."""
    return [*IO["ref_indices"].tolist(), int(IO["target_index"])]


@torch.no_grad()
def run(model: VisaModel, ids: Tensor, tower_SChw: Tensor) -> dict[str, Tensor]:
    """Every tensor of a chat that the golden file has, by its name there."""
    patches = model.visual.patches(tower_SChw.to(model.dtype))
    found: dict[str, Any] = {"clip_selected": patches}
    tokens, merged = patches, []
    for level, (rate, neighbours) in enumerate(zip(model.config.merge_rates, model.config.merge_neighbours, strict=True)):
        one = merge(tokens, rate, neighbours)
        found[f"merge_l{level}_centers"], found[f"merge_l{level}_idx_cluster"] = one.clusters.centres_BM, one.clusters.cluster_of_BN
        tokens = one.tokens_BMC
        merged.append(tokens)
    found["merged_tokens"] = torch.cat(merged, dim=1)
    visual = model.visual.merge(patches)
    layers: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda module, args, out, i=i: layers.update({f"llm_layer{i}_out_tail": _first(out)[:, -TAIL:]}))
        for i, layer in enumerate(model.language_model.model.layers)
    ]
    hidden, spliced = model.read_chats(ids, [visual[: int((row == IMAGE_TOKEN_ID).sum())] for row in ids])
    for hook in hooks:
        hook.remove()
    seg_hidden, row_N = model.seg_hidden(ids, hidden, spliced)
    rows = spliced.position_BI[ids == model.config.seg_token_id] - 1
    prompt = model.prompt_projector(seg_hidden)
    features = model.mask_head.encode(golden("images_sam").to(model.dtype))
    lowres = model.mask_head.decode(features, prompt[None, :, None])
    masks = geometry().undo(lowres[0])
    sam = model.mask_head.sam
    return (
        found
        | layers
        | {
            "projected_tokens": visual,
            "image_block_start": spliced.position_BI[ids == IMAGE_TOKEN_ID],
            "inputs_embeds": spliced.embeds_BLE,
            "last_hidden_state": hidden,
            "logits_tail": model.language_model.lm_head(hidden[:, -LOGITS_TAIL:]),
            "seg_rows": torch.stack([row_N, rows], dim=1),
            "seg_hidden": seg_hidden,
            "pred_embedding": prompt,
            "sparse_embeddings": prompt[:, None],
            "dense_embeddings": sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(len(prompt), -1, *features.shape[-2:]),
            "image_pe": sam.get_image_wide_positional_embeddings(),
            "sam_image_embeddings": features,
            "low_res_masks": lowres[0][:, None],
            "iou_predictions": _iou_predictions(model, features, prompt),
            "pred_masks": masks,
            "pred_masks_binary": masks > 0,
        }
    )


def _first(out: Any) -> Tensor:
    return out[0] if isinstance(out, tuple) else out


def _iou_predictions(model: VisaModel, features: Tensor, prompt: Tensor) -> Tensor:
    """What the mask decoder says of its own masks; nothing reads it."""
    sam, (_, channels, height, width) = model.mask_head.sam, features.shape
    _, iou = sam.mask_decoder(
        image_embeddings=features,
        image_positional_embeddings=sam.get_image_wide_positional_embeddings(),
        sparse_prompt_embeddings=prompt[None, :, None],
        dense_prompt_embeddings=sam.prompt_encoder.no_mask_embed.weight.reshape(1, channels, 1, 1).expand(1, -1, height, width),
        multimask_output=False,
    )
    return iou[0]


def compare(name: str, ours: Tensor, tolerance: float) -> None:
    expected = golden(name)
    if expected.dtype.is_floating_point:
        torch.testing.assert_close(ours.float(), expected, atol=tolerance, rtol=0)
    else:
        assert torch.equal(ours.to(torch.int64).reshape(expected.shape), expected.to(torch.int64))


@pytest.fixture(scope="module")
def main(model) -> dict[str, Tensor]:
    return run(model, golden("input_ids").long(), golden("images_clip"))


AFTER_PROMPT = ("image_pe", "sam_image_embeddings", "low_res_masks", "iou_predictions", "pred_masks", "dense_embeddings")
NOT_OURS = ("frames_uint8", "ref_indices", "target_index", "images_clip", "images_sam", "resize_hw", "original_hw")
TEXT = ("input_ids", "labels", "attention_masks", "llm_attention_mask")
MAIN = [name for name in IO.files if name not in (*NOT_OURS, *TEXT) and not name.startswith((*VARIANTS, "bf16_"))]


@pytest.mark.parametrize("name", MAIN)
def test_every_tensor_of_the_main_case(main, name):
    compare(name, main[name], MASKS if name in AFTER_PROMPT else UP_TO_PROMPT)


def two_conversations(model: VisaModel) -> dict[str, Tensor]:
    return run(model, golden("two_input_ids").long(), golden("images_clip"))


TWO = [name for name in IO.files if name.startswith("two_") and name.removeprefix("two_") not in TEXT]


@pytest.mark.parametrize("name", TWO)
def test_two_conversations_share_their_frames(model, name):
    plain = name.removeprefix("two_")
    compare(name, two_conversations(model)[plain], MASKS if plain in AFTER_PROMPT else UP_TO_PROMPT)


def test_one_answer_with_two_seg(model):
    found = run(model, golden("twoseg_input_ids").long(), golden("images_clip"))
    assert found["seg_rows"][:, 1].tolist() == IO["twoseg_seg_rows"].tolist()
    compare("twoseg_pred_embedding", found["pred_embedding"], UP_TO_PROMPT)
    compare("twoseg_pred_masks", found["pred_masks"], MASKS)


def tower_pixels_of(frame_idx: list[int]) -> Tensor:
    """Pixels of frames as the reference's library makes them; those of the main case where it has them."""
    given = dict(zip(order(), golden("images_clip"), strict=True))
    frames = torch.from_numpy(IO["frames_uint8"])
    return torch.stack([given[i] if i in given else _pillow(frames[i].numpy()) for i in frame_idx])


def _pillow(frame_HWC: np.ndarray) -> Tensor:
    """Resized to 224 and cropped as Pillow does it, which the reference used."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return torch.from_numpy(np.asarray(CLIPImageProcessorPil()(frame_HWC, return_tensors="np")["pixel_values"][0]))


def test_a_target_that_is_not_among_the_context(model):
    context = IO["free_ref_indices"].tolist()
    assert int(IO["target_index"]) not in context
    found = run(model, golden("input_ids").long(), tower_pixels_of([*context, int(IO["target_index"])]))
    for name in ("merged_tokens", "pred_embedding"):
        compare(f"free_{name}", found[name], UP_TO_PROMPT)
    compare("free_pred_masks", found["pred_masks"], MASKS)


def test_a_still_is_its_own_context(model):
    target = int(IO["target_index"])
    found = run(model, golden("one_input_ids").long(), tower_pixels_of([target, target]))
    compare("one_seg_rows", found["seg_rows"], 0)
    compare("one_pred_embedding", found["pred_embedding"], UP_TO_PROMPT)
    compare("one_pred_masks", found["pred_masks"], MASKS)


def test_in_bfloat16_masks_agree(main):
    """Other clusters win in bf16, so merged tokens are not compared (README); everything behind them is correlated."""
    model = golden_model().to(torch.bfloat16)
    found = run(model, golden("input_ids").long(), golden("images_clip"))
    assert torch.equal(found["image_pe"].float(), golden("bf16_image_pe"))
    assert correlation(found["clip_selected"], golden("bf16_clip_selected")) > 0.999
    for name in ("pred_embedding", "pred_masks", "low_res_masks", "seg_hidden"):
        assert correlation(found[name], golden(f"bf16_{name}")) > 0.98, name


def correlation(ours: Tensor, theirs: Tensor) -> float:
    return float(np.corrcoef(ours.float().numpy().ravel(), theirs.numpy().ravel())[0, 1])


def test_frames_become_the_same_pixels(processor):
    """The tower's differ by two of 255 levels at most: Pillow resized theirs."""
    frames = IO["frames_uint8"][order()]
    level_C = 1 / 255 / np.array(TOWER_STD)
    apart = np.abs(processor.tower_pixels(frames).numpy() - IO["images_clip"]) / level_C[:, None, None]
    assert apart.max() < 2.01
    pixels, found = processor.mask_pixels(frames[-1:])
    torch.testing.assert_close(pixels, golden("images_sam"), atol=1e-5, rtol=0)
    assert found == geometry()


def test_prompts_become_the_same_ids_labels_and_lengths(processor):
    config, prompts = processor.config, NUMBERS["prompts"]
    short = RELEASED.about_target(RELEASED.instruct("the dog that runs first"), 3)
    assert RELEASED.chat([(short, RELEASED.forced_answer)], config.system_prompt, config.end_of_turn) == prompts["main"]
    long = RELEASED.about_target(RELEASED.instruct("which animal will leave the picture?"), 3)
    both = [[(question, RELEASED.forced_answer)] for question in (short, long)]
    assert [RELEASED.chat(turns, config.system_prompt, config.end_of_turn) for turns in both] == prompts["two_conversations"]
    check_row(processor, "", 0, both[0])
    for row, turns in enumerate(both):
        check_row(processor, "two_", row, turns)
    two_seg, one = prompts["two_seg"], prompts["one_frame"]
    for text, name in ((two_seg, "twoseg_input_ids"), (one, "one_input_ids")):
        question, answer = text.removeprefix(f"{config.system_prompt} USER: ").removesuffix("</s>").split(" ASSISTANT: ")
        assert processor.encode_chat((question, answer))[0] == IO[name][0].tolist()


def check_row(processor: VisaProcessor, prefix: str, row: int, turns: list[tuple[str, str]]) -> None:
    """One chat against a row of golden ids, labels and masks; what is not padding is attended to, before and after splicing."""
    ids, labels = processor.encode_chat(*turns)
    length = len(ids)
    assert IO[f"{prefix}input_ids"][row, :length].tolist() == ids
    assert IO[f"{prefix}labels"][row, :length].tolist() == labels
    assert IO[f"{prefix}attention_masks"][row].tolist() == [True] * length + [False] * (IO[f"{prefix}input_ids"].shape[1] - length)
    spliced = length + ids.count(IMAGE_TOKEN_ID) * (processor.config.tokens_per_frame - 1)
    assert IO[f"{prefix}llm_attention_mask"][row].sum() == spliced


def test_released_names_are_one_to_one(model):
    ours = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert {our_name(name): shape for name, shape in NUMBERS["keys"].items() if not name.endswith(TABLES)} == ours
    assert {name: list(tensor.shape) for name, tensor in TENSORS.items()} == NUMBERS["keys"]


def test_what_masks_do_not_depend_on(main):
    """Changing every tensor that the golden file lists as without influence changes no mask."""
    model = golden_model()
    names = [our_name(name) for name in NUMBERS["keys_without_influence_on_inference_masks"] if not name.endswith(TABLES)]
    with torch.no_grad():
        for name in names:
            model.state_dict()[name].add_(1.0)
    found = run(model, golden("input_ids").long(), golden("images_clip"))
    assert torch.equal(found["pred_masks"], main["pred_masks"])


def test_numbers_of_the_golden_model_are_ours():
    config = golden_model().config
    assert config.tokens_per_frame == NUMBERS["tokens_per_image"] == 112
    assert NUMBERS["image_token_index"] == IMAGE_TOKEN_ID
    assert (config.lm_loss_weight, config.bce_loss_weight, config.dice_loss_weight) == tuple(NUMBERS["loss_weights"].values())
    assert (NUMBERS["clip_preprocess"]["image_mean"], NUMBERS["clip_preprocess"]["image_std"]) == (list(TOWER_MEAN), list(TOWER_STD))
    assert (NUMBERS["sam_config"]["pixel_mean"], NUMBERS["sam_config"]["pixel_std"]) == (list(MASK_MEAN), list(MASK_STD))
