"""Mask losses equal the released code's (tests/golden/videolisa/losses.npz)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saymask.models.parts import losses
from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss, soft_target_loss

GOLDEN = np.load(Path(__file__).parents[2] / "golden/videolisa/losses.npz")


@pytest.mark.parametrize("case", range(8))
def test_released_values(case):
    logits, targets = (torch.from_numpy(GOLDEN[f"fn{case}_{name}"]).float() for name in ("logits", "targets"))
    num_masks = float(GOLDEN[f"fn{case}_num_masks"])
    assert mask_bce_loss(logits, targets, num_masks).item() == pytest.approx(float(GOLDEN[f"fn{case}_bce"]), abs=1e-5)
    assert mask_dice_loss(logits, targets, num_masks).item() == pytest.approx(float(GOLDEN[f"fn{case}_dice"]), abs=1e-5)


def test_the_scale_of_areas_matters_as_in_the_released_code(monkeypatch):
    logits, targets = (torch.from_numpy(GOLDEN[f"fn1_{name}"]) for name in ("logits", "targets"))
    monkeypatch.setattr(losses, "DICE_SCALE", 1.0)
    assert mask_dice_loss(logits, targets, 1.0).item() == pytest.approx(float(GOLDEN["fn1_dice_scale1"]), abs=1e-6)
    assert abs(GOLDEN["fn1_dice_scale1"] - GOLDEN["fn1_dice"]) > 1e-5


def test_no_masks_give_no_loss():
    nothing = torch.zeros(0, 4, 4)
    assert mask_bce_loss(nothing, nothing, 0).item() == GOLDEN["fn_empty_bce"] == 0
    assert mask_dice_loss(nothing, nothing, 0).item() == GOLDEN["fn_empty_dice"] == 0


def test_soft_target_loss_is_a_weighted_mean_of_cross_entropies():
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    targets = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    rows = [np.log(2), np.log(np.exp(2) + 1)]
    weights = torch.tensor([3.0, 1.0])
    assert soft_target_loss(logits, targets, weights).item() == pytest.approx((3 * rows[0] + rows[1]) / 4)
