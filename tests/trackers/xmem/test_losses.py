import math

import pytest
import torch

from saymask.trackers.xmem.losses import bootstrapped_cross_entropy, soft_dice


@pytest.mark.parametrize(("keep_share", "kept"), [(1.0, [1 / 2, 1 / 4, 1 / 8, 1.0]), (0.5, [1 / 8, 1 / 4]), (0.1, [1 / 8])])
def test_cross_entropy_counts_the_hardest_pixels(keep_share: float, kept: list[float]):
    truth_prob_HW = torch.tensor([[1 / 2, 1 / 4], [1 / 8, 1.0]])
    prob_BKHW = torch.stack([1 - truth_prob_HW, truth_prob_HW])[None]
    loss = bootstrapped_cross_entropy(prob_BKHW, torch.ones(1, 2, 2, dtype=torch.long), keep_share)
    assert loss.item() == pytest.approx(sum(-math.log(prob) for prob in kept) / len(kept))


def test_cross_entropy_chooses_pixels_of_each_picture():
    truth_prob_BHW = torch.tensor([[[1 / 2, 1 / 4]], [[1 / 16, 1 / 32]]])
    prob_BKHW = torch.stack([truth_prob_BHW, 1 - truth_prob_BHW], dim=1)
    loss = bootstrapped_cross_entropy(prob_BKHW, torch.zeros(2, 1, 2, dtype=torch.long), 0.5)
    assert loss.item() == pytest.approx((math.log(4) + math.log(32)) / 2)


def test_dice_by_hand():
    masks_NHW = torch.tensor([[[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]]])
    prob_NHW = torch.tensor([[[0.5, 1.0, 0.5, 0.0]], [[0.0, 0.0, 0.0, 0.0]]])
    # First mask: overlap 1.5, areas 2 and 2, so 1 - 4 / 5. Second: nothing predicted where nothing is.
    assert soft_dice(prob_NHW, masks_NHW).item() == pytest.approx(0.2 / 2)


def test_dice_of_no_mask_is_zero():
    assert soft_dice(torch.zeros(0, 2, 2), torch.zeros(0, 2, 2)).item() == 0
