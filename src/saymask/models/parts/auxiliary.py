"""Auxiliary losses: short cuts for the gradient while a small model is trained from scratch.

Mask losses alone teach a small model nothing for a long time: the decoder cannot use a prompt that means nothing yet, and the prompt gets
no signal through a decoder that ignores it. So, where the data knows its regions: tower tokens and mask features name the words of
the region they lie on, the [SEG] state names the target's words, and a plain dot product of a linear read of that state with the
mask features already predicts a coarse mask. The heads are parameters `aux_*` and are never saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from saymask.models.parts.composite_config import CompositeConfig
from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss, soft_target_loss
from saymask.samples import Sample

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


@dataclass(frozen=True)
class SeenFrames:
    """Which frames of a sample went where.

    Args:
        tower_frame_idx: S frames that the vision tower sees.
        masked_frame_idx: D frames with a mask loss.
        masks: their true masks, bool DHW.
    """

    tower_frame_idx: np.ndarray
    masked_frame_idx: np.ndarray
    masks: np.ndarray


def region_targets(samples: Sequence[Sample], seen: Sequence[SeenFrames], config: CompositeConfig) -> RegionTargets:
    """Share of every patch and cell that each region word covers; frames must be square (no crop, no padding)."""
    index = {word: i for i, word in enumerate(config.region_words)}
    patches, cells = (side // part for side, part in (config.tower_size, config.mask_size))
    tower_words, mask_words, target_words, coarse = [], [], [], []
    for sample, frames in zip(samples, seen, strict=True):
        table_RK = torch.zeros(len(sample.region_words) + 1, len(index))
        for region, words in enumerate(sample.region_words, start=1):
            for word in words:
                table_RK[region, index[word]] = 1 / len(words)
        tower_ids_SHW, masked_ids_DHW = map(sample.regions, (frames.tower_frame_idx, frames.masked_frame_idx))
        tower_words.append(_word_shares(torch.from_numpy(tower_ids_SHW).long(), table_RK, patches))
        mask_words.append(_word_shares(torch.from_numpy(masked_ids_DHW).long(), table_RK, cells))
        coarse.append(adaptive_avg_pool2d(torch.from_numpy(frames.masks).float(), cells))
        target_words.append(_shared_words(table_RK, sample.expression.obj_ids))
    return RegionTargets(
        tower_words_BSPK=rearrange(torch.stack(tower_words), "b s h w k -> b s (h w) k"),
        mask_words_BDhwK=torch.stack(mask_words),
        coarse_targets_BDhw=torch.stack(coarse),
        target_words_BK=torch.stack(target_words),
    )


def _word_shares(ids_THW: Tensor, table_RK: Tensor, cells: int) -> Tensor:
    """Average of the regions' word rows over each of cells x cells parts of the frame -> T h w K."""
    frames, height, width = ids_THW.shape
    row_H, column_W = torch.arange(height) * cells // height, torch.arange(width) * cells // width
    cell_THW = (torch.arange(frames)[:, None, None] * cells + row_H[:, None]) * cells + column_W
    counts = torch.bincount((cell_THW * len(table_RK) + ids_THW).flatten(), minlength=frames * cells * cells * len(table_RK))
    counts_ThwR = counts.view(frames, cells, cells, len(table_RK)).float()
    return counts_ThwR / counts_ThwR.sum(-1, keepdim=True) @ table_RK


def _shared_words(table_RK: Tensor, obj_ids: Sequence[int]) -> Tensor:
    """Distribution over the words that all target regions share; zeros if there is no target or nothing shared."""
    if not obj_ids:
        return torch.zeros(table_RK.shape[1])
    shared_K = table_RK[list(obj_ids)].gt(0).all(0).float()
    return shared_K / shared_K.sum().clamp(min=1)
