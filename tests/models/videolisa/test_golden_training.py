"""Two training steps of the tiny golden model: losses, masks, logits and gradients (tests/golden/videolisa/README.md)."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from golden_videolisa import (
    FOLDER,
    MASK_LEVEL,
    MASK_SIDE,
    NUMBERS,
    TOWER_LEVEL,
    golden_model,
    levels_apart,
    mask_pixels,
    tower_pixels,
)

from saymask.models.lisa.names import our_name
from saymask.video.transforms import Geometry

LOSSES = np.load(FOLDER / "losses.npz")
CLIPS = range(2)
GEOMETRIES = [
    Geometry(tuple(original), tuple(resized), (MASK_SIDE, MASK_SIDE))
    for original, resized in zip(LOSSES["original_sizes"].tolist(), LOSSES["resize_list"].tolist(), strict=True)
]
FULL_GRADIENTS = [name for name in LOSSES.files if name.startswith("a_grad__")]


@pytest.fixture(scope="module", params=["a", "b"])
def step(request) -> SimpleNamespace:
    """Forward and backward through two videos of different size; in case b the second has no [SEG] and no masks."""
    case, model = request.param, golden_model()
    seen: dict[str, torch.Tensor] = {}
    model.language_model.model.register_forward_hook(lambda module, args, output: seen.update(hidden_BLE=output.last_hidden_state))
    model.mask_head.sam.mask_decoder.register_forward_hook(lambda module, args, output: seen.update(lowres=output[0][:, 0, 0]))
    input_ids_BI = torch.from_numpy(LOSSES[f"{case}_input_ids"])
    out = model(
        input_ids_BI=input_ids_BI,
        labels_BI=torch.from_numpy(LOSSES[f"{case}_labels"]),
        tower_pixels_BSChw=torch.from_numpy(LOSSES["images_clip"]),
        dense_slots_BD=torch.from_numpy(np.sort(LOSSES["dense_indices"], axis=-1)),
        mask_pixels_BDChw=torch.from_numpy(LOSSES["images"]),
        targets=[torch.from_numpy(LOSSES[f"masks_{clip}"]).float() for clip in CLIPS],
        geometries=GEOMETRIES,
        is_absent_B=torch.zeros(2, dtype=torch.bool),
    )
    out.loss.backward()
    masked = (input_ids_BI == NUMBERS["seg_token_idx"]).any(1).nonzero().flatten().tolist()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return SimpleNamespace(case=case, model=model, out=out, masked=masked, gradients=gradients, **seen)


def test_one_chat_for_each_clip():
    assert LOSSES["offset"].tolist() == [0, 1, 2]
    for case in "ab":
        # Padding is id 0 at the right, which attention need not be told.
        assert np.array_equal(LOSSES[f"{case}_attention_masks"], LOSSES[f"{case}_input_ids"] != 0)


@pytest.mark.parametrize("clip", CLIPS)
def test_pixels_rebuilt_from_the_frames(clip):
    frames_SHWC, dense_slots = LOSSES[f"frames_{clip}"], np.sort(LOSSES["dense_indices"][clip])
    apart = levels_apart(tower_pixels(frames_SHWC), LOSSES["images_clip"][clip], TOWER_LEVEL)
    assert apart.max() < 2.01 and (apart > 1.01).mean() < 1e-5 and (apart > 0.01).mean() < 0.01
    pixels, geometry = mask_pixels(frames_SHWC[dense_slots])
    assert geometry == GEOMETRIES[clip]
    apart = levels_apart(pixels, LOSSES["images"][clip], MASK_LEVEL)
    assert apart.max() < 1.01 and (apart > 0.01).mean() < 1e-3


def test_losses_equal_the_reference(step):
    assert step.masked == ([0, 1] if step.case == "a" else [0])
    out = step.out
    weighted = {
        "ce_loss": out.lm_loss,
        "mask_bce_loss": 2 * out.mask_bce_loss,
        "mask_dice_loss": 0.5 * out.mask_dice_loss,
        "mask_loss": 2 * out.mask_bce_loss + 0.5 * out.mask_dice_loss,
        "loss": out.loss,
    }
    for name, ours in weighted.items():
        assert ours.item() == pytest.approx(float(LOSSES[f"{step.case}_{name}"]), abs=1e-5), name


@torch.no_grad()
def test_masks_and_text_logits_equal_the_reference(step):
    lowres_NDhw = step.lowres.unflatten(0, (len(step.masked), -1))
    assert [f"{step.case}_pred_masks_{clip}" for clip in step.masked] == [
        n for n in LOSSES.files if n.startswith(f"{step.case}_pred_masks")
    ]
    for clip, lowres_Dhw in zip(step.masked, lowres_NDhw, strict=True):
        expected = torch.from_numpy(LOSSES[f"{step.case}_pred_masks_{clip}"])
        assert torch.allclose(GEOMETRIES[clip].undo(lowres_Dhw), expected, rtol=0, atol=1e-5)
    expected = torch.from_numpy(LOSSES[f"{step.case}_logits_tail"])
    num_last = expected.shape[1]
    is_text = torch.from_numpy(LOSSES[f"{step.case}_attention_masks"])[:, -num_last:]
    assert is_text.sum(1).min() >= 10
    logits = step.model.language_model.lm_head(step.hidden_BLE[:, -num_last:])
    assert torch.allclose(logits[is_text], expected[is_text], rtol=0, atol=1e-5)


def test_gradients_equal_the_reference(step):
    """Length and sum of each. Key biases of the mask decoder have no gradient in exact arithmetic; what is left is noise, and small."""
    names = [our_name(str(name)) for name in LOSSES[f"{step.case}_grad_names"]]
    assert len(names) == len(set(names)) == 139
    norms, sums = LOSSES[f"{step.case}_grad_l2"], LOSSES[f"{step.case}_grad_sum"]
    for name, norm, total in zip(names, norms.tolist(), sums.tolist(), strict=True):
        ours = step.gradients[name].double()
        if name.startswith("mask_head") and name.endswith("k_proj.bias"):
            assert max(ours.norm().item(), norm) < 1e-6, name
            continue
        assert ours.norm().item() == pytest.approx(norm, abs=1e-6, rel=1e-3), name
        assert ours.sum().item() == pytest.approx(total, abs=1e-6, rel=1e-3), name


@pytest.mark.parametrize("step", ["a"], indirect=True)
@pytest.mark.parametrize("name", FULL_GRADIENTS)
def test_full_gradients_equal_the_reference(step, name):
    assert len(FULL_GRADIENTS) == 6
    ours, expected = step.gradients[our_name(name.removeprefix("a_grad__"))], torch.from_numpy(LOSSES[name])
    assert torch.allclose(ours, expected, rtol=1e-3, atol=1e-6)
