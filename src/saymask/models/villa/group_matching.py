"""Which object each [SEG] of a group phrase stands for: "the two cups [SEG] [SEG]" names no order, so training takes the cheapest one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from saymask.metrics.matching import assign
from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss

BCE_COST, DICE_COST, PRESENCE_COST = 2.0, 0.5, 0.5


@torch.no_grad()
def match_groups(logits_NDHW: Tensor, presence_NK: Tensor, targets_NDHW: Tensor, visible_NK: Tensor, group_N: Sequence[int]) -> list[int]:
    """For each of one answer's N [SEG], the object (row of the targets) that it is compared with.

    Args:
        logits_NDHW: predicted mask logits.
        presence_NK: predicted presence logits on the key frames.
        targets_NDHW, visible_NK: true masks and presence, float.
        group_N: the phrase each [SEG] belongs to; objects change places within one only. The cost of a pair is that of its tubes, all
            frames of a mask taken as one.
    """
    order = list(range(len(group_N)))
    for group in dict.fromkeys(group_N):
        members = [i for i, own in enumerate(group_N) if own == group]
        if len(members) > 1:
            cost = [[_cost(logits_NDHW[i], presence_NK[i], targets_NDHW[j], visible_NK[j]) for j in members] for i in members]
            _, columns = assign(np.array(cost))
            for i, column in zip(members, columns, strict=True):
                order[i] = members[column]
    return order


def _cost(logits_DHW: Tensor, presence_K: Tensor, target_DHW: Tensor, visible_K: Tensor) -> float:
    tube, truth = logits_DHW.flatten()[None, None].float(), target_DHW.flatten()[None, None]
    presence = torch.nn.functional.binary_cross_entropy_with_logits(presence_K.float(), visible_K)
    return float(BCE_COST * mask_bce_loss(tube, truth, 1) + DICE_COST * mask_dice_loss(tube, truth, 1) + PRESENCE_COST * presence)
