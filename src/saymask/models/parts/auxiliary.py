"""Auxiliary losses: short cuts for the gradient while a small model is trained from scratch.

Mask losses alone teach a small model nothing for a long time: the decoder cannot use a prompt that means nothing yet, and the prompt gets
no signal through a decoder that ignores it. So, where the data knows its regions: tower tokens and mask features name the words of
the region they lie on, the [SEG] state names the target's words, and a plain dot product of a linear read of that state with the
mask features already predicts a coarse mask. The heads are parameters `aux_*` and are never saved.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss, soft_target_loss

AUX_PREFIX = "aux_"


@dataclass(frozen=True)
class RegionTargets:
    """What the auxiliary losses compare with; K words (`CompositeConfig.region_words`).

    Args:
        tower_words_BSPK: share of each tower patch that lies on a region with the word (a region with two words gives each half).
        mask_words_BDhwK: the same for the cells of the mask features.
        coarse_targets_BDhw: share of each cell that belongs to the target.
        target_words_BK: distribution over the words the target's regions share; all zero = unknown.
    """

    tower_words_BSPK: Tensor
    mask_words_BDhwK: Tensor
    coarse_targets_BDhw: Tensor
    target_words_BK: Tensor


class AuxiliaryHeads(nn.Module):
    """Linear reads of the model's inner states and their summed losses."""

    def __init__(self, width: int, channels: int, num_words: int):
        super().__init__()
        self.token_words = nn.Linear(width, num_words + 1)
        self.feature_words = nn.Linear(channels, num_words + 1)
        self.target_words = nn.Linear(width, num_words + 1)
        self.coarse_prompt = nn.Linear(width, channels)
        self.coarse_bias = nn.Parameter(torch.tensor([-3.0]))  # of one axis: FSDP shards no scalars

    def forward(self, regions: RegionTargets, row_N: Tensor, tokens_BSPE: Tensor, seg_hidden_NDE: Tensor, features_FChw: Tensor) -> Tensor:
        """Sum of the four losses; `row_N` are the clips with a [SEG], `seg_hidden_NDE` the state that segments each of their D frames."""
        num_masked = regions.coarse_targets_BDhw.shape[1]
        coarse_NDhw = torch.einsum(
            "ndc,ndchw->ndhw",
            self.coarse_prompt(seg_hidden_NDE) * features_FChw.shape[1] ** -0.5,
            rearrange(features_FChw, "(n d) c h w -> n d c h w", d=num_masked),
        )
        coarse_Fhw = coarse_NDhw.flatten(0, 1).float() + self.coarse_bias
        targets_Fhw = regions.coarse_targets_BDhw[row_N].flatten(0, 1)
        num_masks = len(targets_Fhw)
        coarse = mask_bce_loss(coarse_Fhw, targets_Fhw, num_masks) + 0.25 * mask_dice_loss(coarse_Fhw, targets_Fhw, num_masks)

        target_words_FK = regions.target_words_BK[row_N].repeat_interleave(num_masked, dim=0)
        known_F = target_words_FK.sum(1).gt(0).float()
        target = soft_target_loss(self.target_words(seg_hidden_NDE.flatten(0, 1)), _with_background(target_words_FK), known_F)
        tokens = _naming_loss(self.token_words(tokens_BSPE), regions.tower_words_BSPK)
        features_FhwC = rearrange(features_FChw, "f c h w -> f h w c")
        features = _naming_loss(self.feature_words(features_FhwC), regions.mask_words_BDhwK[row_N].flatten(0, 1))
        return coarse + tokens + features + 0.5 * target


def _naming_loss(logits: Tensor, words: Tensor) -> Tensor:
    """Naming loss over cells; most are background and count a tenth, or they would drown the things."""
    words_RK = words.flatten(0, -2)
    return soft_target_loss(logits.flatten(0, -2), _with_background(words_RK), 0.1 + words_RK.sum(1))


def _with_background(words_RK: Tensor) -> Tensor:
    """Append the share that no word names, so that rows sum to one."""
    return torch.cat([words_RK, (1 - words_RK.sum(1, keepdim=True)).clamp(min=0)], dim=1)
