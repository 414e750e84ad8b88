"""Prompts of a training batch, with pixels worked out by hand, and a task that saves what its loader reads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saymask.models.prompters.base import Click, Prompt
from saymask.models.prompters.loading import load_prompter
from saymask.recipes.prompter import toy_prompter
from saymask.runtime import Runtime
from saymask.training.tasks.toy_prompter import choose_things, drifted, jittered_boxes, pixel_of
from saymask.training.tasks.toy_prompter_config import PromptConfig


@pytest.fixture(scope="module")
def task():
    return toy_prompter().model_copy(update={"batch_size": 2}).task()


def test_a_batch_is_a_function_of_its_number(task):
    one, again, other = (task.batches[i] for i in (3, 3, 4))
    assert one.keys() == again.keys()
    assert all(torch.equal(value, again[name]) for name, value in one.items() if isinstance(value, torch.Tensor))
    assert not torch.equal(one["frames_BChw"], other["frames_BChw"])


def test_every_kind_of_prompt_occurs_and_points_at_its_thing(task):
    kinds = set()
    for i in range(30):
        batch = task.batches[i]
        kinds.add(("points_BNP2" in batch, "boxes_BN4" in batch))
        if "points_BNP2" in batch:
            for truth_NHW, points_NP2 in zip(batch["truth_BNHW"], batch["points_BNP2"], strict=True):
                for truth_HW, ((x, y),) in zip(truth_NHW, points_NP2.int().tolist(), strict=True):
                    assert truth_HW[y, x] == 1 or not truth_HW.any()
    assert kinds == {(True, False), (False, True), (True, True)}


def test_a_pixel_is_drawn_from_those_of_the_mask():
    mask_HW = torch.tensor([[0, 1, 0], [1, 0, 1]])
    draws = torch.tensor([[0.0, 0.4, 0.99]])
    assert pixel_of(mask_HW.expand(1, 3, 2, 3), draws).tolist() == [[[1, 0], [0, 1], [2, 1]]]
    assert pixel_of(torch.zeros(1, 1, 2, 3), torch.tensor([[0.5]])).tolist() == [[[0, 0]]]


def test_boxes_are_tight_but_for_their_jitter():
    mask_HW = torch.zeros(8, 10, dtype=torch.bool)
    mask_HW[2:6, 3:9] = True
    rng = np.random.default_rng(0)
    assert jittered_boxes(mask_HW[None, None], 0.0, rng).tolist() == [[[3, 2, 9, 6]]]
    box = jittered_boxes(mask_HW[None, None], 0.5, rng)[0, 0]
    assert (box - torch.tensor([3, 2, 9, 6])).abs().le(torch.tensor([3, 2, 3, 2])).all() and box[2] <= 10 and box[3] <= 8
    assert jittered_boxes(torch.zeros(1, 1, 8, 10, dtype=torch.bool), 0.0, rng).tolist() == [[[0, 0, 10, 8]]]


def test_things_that_show_too_little_are_not_pointed_at():
    ids_HW = torch.tensor([[0, 1, 1, 1], [2, 3, 3, 3]], dtype=torch.uint8)
    chosen = choose_things(ids_HW, 3, min_pixels=2, rng=np.random.default_rng(0)).tolist()
    assert sorted(chosen) == [1, 3, 255]


def test_a_drifted_mask_is_the_mask_elsewhere():
    mask = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    mask[..., 9:11, 9:11] = True
    rows, columns = drifted(mask, PromptConfig(drift=3), np.random.default_rng(1))[0, 0].nonzero().T
    assert len(rows) == 4 and 6 <= rows.min() <= 12 and 6 <= columns.min() <= 12


def test_it_saves_what_the_prompter_is_loaded_from(task, tmp_path: Path):
    task.save(tmp_path / "model")
    prompter = load_prompter("toy-prompter", Runtime("cpu", "float32"), tmp_path / "model")
    frame_HWC = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert prompter.mask(prompter.encode(frame_HWC), Prompt((Click(40, 20),))).mask_HW.shape == (64, 96)
    assert sum(file.stat().st_size for file in (tmp_path / "model").iterdir()) < 2_000_000


def test_a_batch_teaches_every_part(task):
    batch = {name: value for name, value in task.batches[0].items() if isinstance(value, torch.Tensor)}
    task.module.zero_grad()
    losses = task.module(**batch)
    losses.loss.backward()
    taught = {name for name, parameter in task.module.sam.named_parameters() if parameter.grad is not None}
    for part in (
        "click_reader.",
        "mask_decoder.transformer.",
        "mask_decoder.output_hypernetworks_mlps.0.",
        "prompt_encoder.mask_embed.",
        "vision_encoder.",
    ):
        assert any(name.startswith(part) for name in taught), part
    expected = 2 * losses.bce_loss + losses.dice_loss + 0.1 * losses.iou_loss
    assert losses.loss.item() == pytest.approx(expected.item(), rel=1e-5)
