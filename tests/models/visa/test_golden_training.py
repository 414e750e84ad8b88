"""Three training steps of the tiny golden VISA: losses, masks, logits and gradients (tests/golden/visa/README.md)."""

import json
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from golden_visa import FOLDER, MASK_SIDE, NUMBERS, TABLES, golden_model, golden_tokenizer

from saymask.models.lisa.names import our_name
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID
from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss
from saymask.models.parts.pixels import TOWER_STD
from saymask.models.visa.processor import VisaProcessor
from saymask.video.transforms import Geometry

LOSSES = np.load(FOLDER / "losses.npz")
META = json.loads(str(LOSSES["meta_json"]))
CASES = ("a", "b", "c")
SHARED = {"b_images_clip_1": "a_images_clip_1", "c_images_clip_0": "b_images_clip_0"}
"""Arrays that the file holds once."""
FULL_GRADIENTS = [name for name in LOSSES.files if name.startswith("a_grad__")]


def golden(name: str) -> torch.Tensor:
    return torch.from_numpy(LOSSES[SHARED.get(name, name)])


def clips_of(case: str) -> range:
    return range(len(LOSSES[f"{case}_offset"]) - 1)


def geometry(case: str, clip: int) -> Geometry:
    original, resized = (tuple(LOSSES[f"{case}_{name}"][clip].tolist()) for name in ("original_sizes", "resize_list"))
    return Geometry(original, resized, (MASK_SIDE, MASK_SIDE))


def rows_of(case: str, name: str) -> list[torch.Tensor]:
    """Rows of the collated array, clip by clip."""
    offset = LOSSES[f"{case}_offset"].tolist()
    return [golden(f"{case}_{name}")[first:end] for first, end in pairwise(offset)]


def targets_of(case: str, clip: int) -> torch.Tensor:
    """True masks NHW; none where the clip's chats say no [SEG]."""
    masks = golden(f"{case}_masks_{clip}").float()
    return masks[:, 0] if masks.numel() else torch.zeros(0, *geometry(case, clip).original_size)


@pytest.fixture(scope="module", params=CASES)
def step(request) -> SimpleNamespace:
    """Forward and backward; a: two chats of one clip and one of another, b: a question in words beside that one, c: the question alone."""
    case, model = request.param, golden_model()
    seen: dict[str, torch.Tensor] = {}
    model.language_model.model.register_forward_hook(lambda module, args, output: seen.update(hidden=output.last_hidden_state))
    model.mask_head.sam.mask_decoder.register_forward_hook(lambda module, args, output: seen.update(lowres=output[0][:, 0, 0]))
    model.prompt_projector.register_forward_hook(lambda module, args, output: seen.update(prompts=output))
    clips = clips_of(case)
    targets = [targets_of(case, clip) for clip in clips]
    out = model(
        input_ids=rows_of(case, "input_ids"),
        labels=rows_of(case, "labels"),
        tower_pixels=[golden(f"{case}_images_clip_{clip}") for clip in clips],
        mask_pixels_BChw=torch.cat([golden(f"{case}_images_{clip}") for clip in clips]),
        targets=targets,
        geometries=[geometry(case, clip) for clip in clips],
        # The reference lets DICE count for empty targets as well.
        is_absent=[torch.zeros(len(masks), dtype=torch.bool) for masks in targets],
    )
    out.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return SimpleNamespace(case=case, model=model, out=out, targets=targets, gradients=gradients, **seen)


@pytest.mark.parametrize("k", range(6))
def test_mask_losses(k):
    logits, targets = golden(f"fn{k}_logits"), golden(f"fn{k}_targets").float()
    num_masks = int(LOSSES[f"fn{k}_num_masks"])
    assert mask_dice_loss(logits, targets, num_masks).item() == pytest.approx(float(LOSSES[f"fn{k}_dice"]), abs=1e-6)
    assert mask_bce_loss(logits, targets, num_masks).item() == pytest.approx(float(LOSSES[f"fn{k}_bce"]), abs=1e-6)


def test_losses_equal_the_reference(step):
    out, zero = step.out, torch.zeros(())
    bce, dice = (zero if loss is None else loss for loss in (out.mask_bce_loss, out.mask_dice_loss))
    weights = META["weights"]
    weighted = {
        "ce_loss": weights["ce"] * out.lm_loss,
        "mask_bce_loss": weights["bce"] * bce,
        "mask_dice_loss": weights["dice"] * dice,
        "mask_loss": weights["bce"] * bce + weights["dice"] * dice,
        "loss": out.loss,
    }
    for name, ours in weighted.items():
        assert ours.item() == pytest.approx(float(LOSSES[f"{step.case}_{name}"]), abs=1e-5), name


@torch.no_grad()
def test_prompts_and_masks_equal_the_reference(step):
    if step.case == "c":
        assert LOSSES["c_pred_masks_0"].size == LOSSES["c_pred_embedding"].size == 0
        assert step.out.mask_bce_loss is None
        return
    torch.testing.assert_close(step.prompts, golden(f"{step.case}_pred_embedding"), atol=1e-5, rtol=0)
    first = 0
    for clip, masks in enumerate(step.targets):
        if len(masks):
            ours = geometry(step.case, clip).undo(step.lowres[first : first + len(masks)])
            torch.testing.assert_close(ours, golden(f"{step.case}_pred_masks_{clip}"), atol=2e-5, rtol=0)
        first += len(masks)
    assert first == len(step.lowres)


@torch.no_grad()
def test_text_logits_rows_and_expanded_labels_equal_the_reference(step):
    ids = golden(f"{step.case}_input_ids")
    attended = golden(f"{step.case}_expanded_attention")
    images = [torch.zeros(int((row == IMAGE_TOKEN_ID).sum()), 112, 64) for row in ids]
    assert [len(visual) for visual in images] == LOSSES[f"{step.case}_num_images_per_conversation"].tolist()
    _, spliced = step.model.read_chats(ids, images)
    labels = spliced.labels(golden(f"{step.case}_labels"))
    assert labels.shape == attended.shape
    expected_labels = golden(f"{step.case}_expanded_labels").long()
    assert torch.equal(labels, expected_labels)
    row_N, index_N = (ids == NUMBERS["seg_token_idx"]).nonzero(as_tuple=True)
    positions = torch.stack([row_N, spliced.position_BI[row_N, index_N] - 1], dim=1)
    assert (
        positions.tolist() == np.atleast_2d(LOSSES[f"{step.case}_seg_rows"]).reshape(-1, 2).tolist() if len(row_N) else len(positions) == 0
    )
    # What is attended to is what is not padding; padding is id 0 at the right, which causal attention need not be told.
    lengths = golden(f"{step.case}_attention_masks").sum(1) + 111 * (ids == IMAGE_TOKEN_ID).sum(1)
    assert attended.sum(1).tolist() == lengths.tolist()
    assert torch.equal(golden(f"{step.case}_attention_masks"), ids != 0)
    expected = golden(f"{step.case}_logits_tail")
    tail = expected.shape[1]
    is_text = torch.arange(attended.shape[1])[-tail:] < lengths[:, None]
    logits = step.model.language_model.lm_head(step.hidden[:, -tail:])
    torch.testing.assert_close(logits[is_text], expected[is_text], atol=1e-5, rtol=0)


def test_gradients_equal_the_reference(step):
    """Length and sum of each. Key biases of the mask decoder have no gradient in exact arithmetic; what is left is noise, and small."""
    norms, sums = LOSSES[f"{step.case}_grad_l2"].tolist(), LOSSES[f"{step.case}_grad_sum"].tolist()
    names = [str(name) for name in LOSSES[f"{step.case}_grad_names"]]
    assert len(set(names)) == 148
    for name, norm, total in zip(names, norms, sums, strict=True):
        assert not name.endswith(TABLES)
        gradient = step.gradients[our_name(name)]
        ours = torch.zeros(1) if gradient is None else gradient.double()
        if our_name(name).startswith("mask_head") and name.endswith("k_proj.bias"):
            assert max(ours.norm().item(), norm) < 1e-6, name
            continue
        assert ours.norm().item() == pytest.approx(norm, abs=1e-6, rel=1e-3), name
        assert ours.sum().item() == pytest.approx(total, abs=1e-5, rel=1e-3), name


@pytest.mark.parametrize("step", ["a"], indirect=True)
@pytest.mark.parametrize("name", FULL_GRADIENTS)
def test_full_gradients_equal_the_reference(step, name):
    rows = {"row_seg": NUMBERS["seg_token_idx"], "row_pad": 0}
    released, _, row = name.removeprefix("a_grad__").partition("__")
    released = "model.embed_tokens.weight" if released == "embed_tokens" else released
    ours, expected = step.gradients[our_name(released)], golden(name)
    torch.testing.assert_close(ours[rows[row]] if row else ours, expected, atol=1e-6, rtol=1e-3)


def test_chats_become_the_same_ids_and_labels():
    processor = VisaProcessor(golden_tokenizer(), golden_model().config)
    system = processor.config.system_prompt
    for case in CASES:
        for row, text in enumerate(META["cases"][case]["conversations"]):
            question, answer = text.removeprefix(f"{system} USER: ").removesuffix("</s>").split(" ASSISTANT: ")
            ids, labels = processor.encode_chat((question, answer))
            padding = LOSSES[f"{case}_input_ids"].shape[1] - len(ids)
            assert [*ids, *[0] * padding] == LOSSES[f"{case}_input_ids"][row].tolist()
            assert [*labels, *[IGNORE_LABEL] * padding] == LOSSES[f"{case}_labels"][row].tolist()


@pytest.mark.parametrize("clip", range(2))
def test_pixels_rebuilt_from_the_frames(clip):
    """Pillow resized the published ones: the tower's differ by two of 255 levels at most."""
    processor, facts = VisaProcessor(golden_tokenizer(), golden_model().config), META["vids"][clip]
    frames = LOSSES[f"frames_{clip}"]
    shown = frames[[*facts["refs"], facts["target"]]]
    level_C = 1 / 255 / np.array(TOWER_STD)
    apart = np.abs(processor.tower_pixels(shown).numpy() - LOSSES[f"a_images_clip_{clip}"]) / level_C[:, None, None]
    assert apart.max() < 2.01 and (apart > 1.01).mean() < 1e-3
    pixels, found = processor.mask_pixels(shown[-1:])
    assert found == geometry("a", clip)
    assert np.abs(pixels.numpy() - LOSSES[f"a_images_{clip}"]).max() < 0.02  # one level is 0.017
