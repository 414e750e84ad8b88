"""A narrow SAM as a training task: one frame of drawn videos, a few of their things pointed at in two rounds.

Round 1 is a click inside the thing, a box around it, or both. Round 2 has the clicks of round 1 and one where its mask is wrong, and gives
that mask as the one to correct; now and then a mask that has drifted takes its place, as a tracker's would. A frame is drawn, and every
pixel is chosen, by numbers of the batch, so a step depends on nothing else.
    frames_BChw normalised, truth_BNHW 0 or 1, points_BNP2 and boxes_BN4 in pixels; M = B x N objects, K those of both rounds that are there
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers.models.sam.configuration_sam import SamConfig
from transformers.utils import ModelOutput

from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss
from saymask.models.prompters.loading import save_sam
from saymask.models.prompters.narrow_sam import NarrowSam
from saymask.models.prompters.prior import mask_logits
from saymask.models.prompters.segment_anything import MEAN, STD
from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import read_json, read_tensors, weight_files
from saymask.toyworld.dataset import FAMILIES, TIMELINE, draw_scenes, render
from saymask.training.task import SAMPLE_NAMES, Task
from saymask.training.tasks.toy_prompter_config import PromptConfig, ToyPrompterConfig
from saymask.video.transforms import for_mask_encoder

_EVERYTHING: dict[str, float] = dict.fromkeys(FAMILIES, 1.0)
_MASK_HEAD = "mask_head.sam."
"""Where a family of this package keeps its SAM."""
_POSITIONS = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
"""The frequencies of the positional encoding: of the image's patches, and once more of clicks. A mask head keeps the first alone."""


class PromptBatches(Dataset[dict[str, Any]]):
    """The run's micro-batches, drawn from the toy world at the network's own size."""

    def __init__(self, config: ToyPrompterConfig, size: int):
        self.config = config
        self.size = size

    def __getitem__(self, index: int) -> dict[str, Any]:
        config, data = self.config, self.config.data
        rng = np.random.default_rng([config.seed, index])
        scenes = draw_scenes(config.seed, index, 0, config.batch_size, _EVERYTHING)
        frames_BTHWC, ids_BTHW = render(scenes, [int(rng.integers(0, TIMELINE))], self.size)
        chosen_BN = torch.stack([choose_things(ids_HW, data.num_things, data.min_pixels, rng) for ids_HW in ids_BTHW[:, 0]])
        truth_BNHW = ids_BTHW == chosen_BN[:, :, None, None]
        draws_BN = torch.from_numpy(rng.random((4, *chosen_BN.shape), dtype=np.float32))
        batch: dict[str, Any] = {
            "frames_BChw": for_mask_encoder(frames_BTHWC[:, 0], self.size, MEAN, STD)[0],
            "truth_BNHW": truth_BNHW.float(),
            "correction_draw_BN": draws_BN[1],
            "drifted_BNHW": drifted(truth_BNHW, data, rng).float(),
            "drifts_BN": draws_BN[2] < data.drift_share,
            SAMPLE_NAMES: [f"train-{config.seed}-{index}-0-{row}" for row in range(config.batch_size)],
        }
        kind = rng.random()
        if kind < data.box_share + data.both_share:
            batch["boxes_BN4"] = jittered_boxes(truth_BNHW, data.box_jitter, rng)
        if kind >= data.box_share:
            batch["points_BNP2"] = pixel_of(truth_BNHW, draws_BN[0])[:, :, None]
        return batch


_NOTHING = 255
"""The id of a thing that is not there; no drawn thing has it."""


def choose_things(ids_HW: Tensor, num_things: int, min_pixels: int, rng: np.random.Generator) -> Tensor:
    """Ids of the things to point at -> uint8 (num_things,); where too few show `min_pixels`, 255."""
    pixels = torch.bincount(ids_HW.flatten()).tolist()
    seen = [thing for thing, count in enumerate(pixels) if thing and count >= min_pixels]
    chosen = rng.permutation(seen)[:num_things].tolist()
    return torch.tensor(chosen + [_NOTHING] * (num_things - len(chosen)), dtype=torch.uint8)


def pixel_of(masks_BNHW: Tensor, draw_BN: Tensor) -> Tensor:
    """Of each mask one pixel, chosen by a number of 0 ... 1 among all: x y, float; 0 0 where there is none."""
    flat_BNP = masks_BNHW.flatten(2) > 0
    rank_BN1 = (draw_BN * flat_BNP.sum(2)).long()[..., None]
    place_BN = (flat_BNP & (flat_BNP.cumsum(2) == rank_BN1 + 1)).float().argmax(2)
    return torch.stack([place_BN % masks_BNHW.shape[-1], place_BN // masks_BNHW.shape[-1]], dim=-1).float()


def jittered_boxes(masks_BNHW: Tensor, jitter: float, rng: np.random.Generator) -> Tensor:
    """x0 y0 x1 y1 of each mask, each side moved by up to `jitter` of the box's size, inside the frame; a box for nothing is the frame."""
    height, width = masks_BNHW.shape[-2:]
    limits_4 = torch.tensor([width, height, width, height], dtype=torch.float32)
    boxes = []
    for mask_HW in masks_BNHW.flatten(0, 1):
        rows, columns = mask_HW.any(1).nonzero().flatten(), mask_HW.any(0).nonzero().flatten()
        edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, width, height)
        box_4 = torch.tensor(edges, dtype=torch.float32)
        size_4 = (box_4[2:] - box_4[:2]).repeat(2)
        shift_4 = torch.from_numpy(rng.uniform(-jitter, jitter, 4).astype(np.float32)) * size_4
        boxes.append((box_4 + shift_4).clamp(min=0).minimum(limits_4))
    return torch.stack(boxes).unflatten(0, masks_BNHW.shape[:2])


def drifted(masks_BNHW: Tensor, data: PromptConfig, rng: np.random.Generator) -> Tensor:
    """The masks moved by up to `drift` pixels either way, one move for the batch; what leaves one side comes in at the other."""
    down, right = rng.integers(-data.drift, data.drift, size=2, endpoint=True).tolist()
    return masks_BNHW.roll((down, right), dims=(2, 3))


@dataclass
class PrompterLosses(ModelOutput):
    """Scalars: the weighted loss and its parts."""

    loss: Tensor | None = None
    bce_loss: Tensor | None = None
    dice_loss: Tensor | None = None
    iou_loss: Tensor | None = None


class PrompterTraining(nn.Module):
    """A SAM with its losses over both rounds."""

    def __init__(self, sam: NarrowSam, config: ToyPrompterConfig):
        super().__init__()
        self.sam = sam
        self.config = config

    def forward(
        self,
        frames_BChw: Tensor,
        truth_BNHW: Tensor,
        correction_draw_BN: Tensor,
        drifted_BNHW: Tensor,
        drifts_BN: Tensor,
        points_BNP2: Tensor | None = None,
        boxes_BN4: Tensor | None = None,
    ) -> PrompterLosses:
        N = truth_BNHW.shape[1]
        truth_MHW = truth_BNHW.flatten(0, 1)
        # The library's `get_image_embeddings` has no gradient.
        embeddings_MCgg = self.sam.vision_encoder(frames_BChw).last_hidden_state.repeat_interleave(N, dim=0)
        points_MP2 = None if points_BNP2 is None else points_BNP2.flatten(0, 1)
        labels_MP = None if points_MP2 is None else torch.ones_like(points_MP2[..., 0])
        boxes_M4 = None if boxes_BN4 is None else boxes_BN4.flatten(0, 1)
        unknown_M1hw = frames_BChw.new_zeros(len(truth_MHW), 1, self.sam.side, self.sam.side)
        first_MHW, first_iou_M = self._masks(embeddings_MCgg, unknown_M1hw, points_MP2, labels_MP, boxes_M4)
        mask_MHW = torch.where(drifts_BN.flatten()[:, None, None], drifted_BNHW.flatten(0, 1), first_MHW.detach().sigmoid())
        wrong_MHW = (mask_MHW > 0.5) != (truth_MHW > 0.5)
        click_M2 = pixel_of(wrong_MHW[:, None], correction_draw_BN.flatten()[:, None])[:, 0]
        column_M, row_M = click_M2.long().unbind(-1)
        adds_M1 = truth_MHW[torch.arange(len(truth_MHW), device=truth_MHW.device), row_M, column_M][:, None]
        clicks_MP2 = click_M2[:, None] if points_MP2 is None else torch.cat([points_MP2, click_M2[:, None]], dim=1)
        adds_MP = adds_M1 if labels_MP is None else torch.cat([labels_MP, adds_M1], dim=1)
        earlier_M1hw = mask_logits(mask_MHW[:, None], self.sam.side)
        second_MHW, second_iou_M = self._masks(embeddings_MCgg, earlier_M1hw, clicks_MP2, adds_MP, None)
        return self._losses(torch.stack([first_MHW, second_MHW]), truth_MHW, torch.stack([first_iou_M, second_iou_M]))

    def _masks(self, embeddings_MCgg: Tensor, earlier_M1hw: Tensor, *prompts: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits at the frame's size, and the expected IoU."""
        lowres_Mhw, iou_M = self.sam.masks(embeddings_MCgg, earlier_M1hw, *prompts)
        size = (self.sam.size, self.sam.size)
        return functional.interpolate(lowres_Mhw[:, None], size=size, mode="bilinear", align_corners=False)[:, 0], iou_M

    def _losses(self, logits_2MHW: Tensor, truth_MHW: Tensor, iou_pred_2M: Tensor) -> PrompterLosses:
        """Means over both rounds of all things that are there."""
        there_M = truth_MHW.flatten(1).any(1)
        logits_KHW = logits_2MHW[:, there_M].flatten(0, 1).float()
        truth_KHW = truth_MHW[there_M].repeat(2, 1, 1)
        bce = mask_bce_loss(logits_KHW, truth_KHW, len(truth_KHW))
        dice = mask_dice_loss(logits_KHW, truth_KHW, len(truth_KHW))
        iou_loss = functional.mse_loss(iou_pred_2M[:, there_M].flatten().float(), _iou(logits_KHW.detach() > 0, truth_KHW > 0.5))
        config = self.config
        loss = config.bce_weight * bce + config.dice_weight * dice + config.iou_weight * iou_loss
        return PrompterLosses(loss=loss, bce_loss=bce, dice_loss=dice, iou_loss=iou_loss)


def _iou(one_KHW: Tensor, other_KHW: Tensor) -> Tensor:
    overlap_K = (one_KHW & other_KHW).flatten(1).sum(1)
    return overlap_K / (one_KHW | other_KHW).flatten(1).sum(1).clamp(min=1)


def build(config: ToyPrompterConfig) -> Task:
    """The mask head of a model, ready to be taught clicks.

    Raises:
        CheckpointError: the folder holds no mask head, or its tensors do not fit.
    """
    torch.manual_seed(config.seed)
    sam = sam_of(config.start_from)
    size = cast(Any, sam.config.vision_config).image_size
    return Task(PrompterTraining(sam, config), PromptBatches(config, size), partial(save_sam, sam))


def sam_of(folder: Path) -> NarrowSam:
    """The mask head of a model in our layout, as a SAM of its own.

    Its positional encoding is drawn anew with the frequencies of the published SAM. That of a mask head may be far too fine for clicks: it
    has to tell patches apart, while a click has to be encoded much like the patch it lies in.
    """
    values = read_json(folder / "config.json")
    mask_config = dict(values["mask_config"], domain_tag=values["domain_tag"])
    mask_config["vision_config"] = dict(mask_config["vision_config"], scale=1.0)
    sam = NarrowSam(SamConfig.from_dict(mask_config))
    tensors = {name: tensor for file in weight_files(folder) for name, tensor in read_tensors(file)}
    state = {name.removeprefix(_MASK_HEAD): tensor.float() for name, tensor in tensors.items() if name.startswith(_MASK_HEAD)}
    positions_2C = torch.randn_like(state[_POSITIONS[0]])
    state |= dict.fromkeys(_POSITIONS, positions_2C)
    # A click first says what lies under it as it is.
    width = sam.click_reader.in_features
    state |= {"click_reader.weight": torch.eye(width), "click_reader.bias": torch.zeros(width)}
    wanted = sam.state_dict()
    raise_unless_exact(folder, wanted.keys() - state.keys(), state.keys() - wanted.keys(), ())
    sam.load_state_dict(state)
    return sam
