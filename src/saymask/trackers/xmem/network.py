"""XMem (arXiv 2207.07115): the network, without memory stores and without a video.

    image ─ encode_key ─ FrameKey ─┬─ affinity with the memory's keys ─ readout ─┐
                                   ├─ f16, f8, f4 ───────────────────────────────┴─ decode ─ logits_BNHW ─ sigmoid, aggregate
    image + masks ─ encode_value ──┴─ values for the memory                          │
                        └─ deep update of the sensory memory        update of the sensory memory at every frame

`XMemCore` drives these steps through a video; `forward` runs them over a short clip and compares with the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import ModelOutput

from saymask.trackers.xmem.affinity import readout, similarity, top_k_softmax
from saymask.trackers.xmem.blocks import FramePart
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.losses import bootstrapped_cross_entropy, soft_dice
from saymask.trackers.xmem.parts import Decoder, FrameParts, KeyEncoder, KeyProjection, ValueEncoder

STRIDE = 16
"""Sides of an image must be multiples of this; keys, values and the sensory memory live on that grid."""

PROB_EPS = 1e-7
"""Probabilities are kept this far from 0 and 1 where their odds are taken."""

TRAIN_MEM_EVERY = 2
"""In a training clip frames 0, 2, 4 ... are memory frames: both ways of updating the sensory memory occur in a clip of four."""


@dataclass(frozen=True)
class FrameKey:
    """What the network keeps of a frame whatever the objects: how memory is matched with it, and features for the decoder.

    `decoded` and `valued` hold what decoder and value encoder have made of the frame alone, once they were asked: for the next objects it
    need not be made again.
    """

    key_BChw: Tensor
    shrinkage_B1hw: Tensor
    selection_BChw: Tensor
    f16_BChw: Tensor
    f8_BChw: Tensor
    f4_BChw: Tensor
    decoded: list[FrameParts] = field(default_factory=list, init=False, repr=False, compare=False)
    valued: list[FramePart] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All but what can be made again, in the order of the constructor."""
        return self.key_BChw, self.shrinkage_B1hw, self.selection_BChw, self.f16_BChw, self.f8_BChw, self.f4_BChw


@dataclass
class XMemOutput(ModelOutput):
    """Losses of one batch of clips; `mask_bce_loss` is the bootstrapped cross-entropy."""

    loss: Tensor | None = None
    mask_bce_loss: Tensor | None = None
    mask_dice_loss: Tensor | None = None


def aggregate(prob_BNHW: Tensor) -> Tensor:
    """Soft aggregation: independent probabilities of N objects -> float32 prob_BKHW that sum to 1, background first (K = N + 1).

    The background is where no object is; then the odds of all are normalised. Given masks (0 and 1, or soft) go through it as well.
    """
    prob_BNHW = prob_BNHW.float()
    background_B1HW = (1 - prob_BNHW).prod(dim=1, keepdim=True)
    prob_BKHW = torch.cat([background_B1HW, prob_BNHW], dim=1).clamp(PROB_EPS, 1 - PROB_EPS)
    return (prob_BKHW / (1 - prob_BKHW)).log().softmax(dim=1)


class XMemNetwork(PreTrainedModel):
    """The network. Its parameters bear the names of the published checkpoint.

    Images are RGB, normalised with ImageNet's mean and standard deviation, and have sides that are multiples of 16.
    """

    config_class = XMemConfig
    base_model_prefix = "xmem"

    def __init__(self, config: XMemConfig):
        super().__init__(config)
        self.key_encoder = KeyEncoder(config)
        self.value_encoder = ValueEncoder(config)
        self.key_proj = KeyProjection(16 * config.key_encoder_width, config.key_dim)
        self.decoder = Decoder(config)
        self.post_init()

    def encode_key(self, image_B3HW: Tensor) -> FrameKey:
        """What is matched and decoded, for each image."""
        if image_B3HW.shape[-2] % STRIDE or image_B3HW.shape[-1] % STRIDE:
            raise ValueError(f"image sides must be multiples of {STRIDE}, got {tuple(image_B3HW.shape)}")
        f16_BChw, f8_BChw, f4_BChw = self.key_encoder(image_B3HW.to(self.dtype))
        key_BChw, shrinkage_B1hw, selection_BChw = self.key_proj(f16_BChw)
        return FrameKey(key_BChw, shrinkage_B1hw, selection_BChw, f16_BChw, f8_BChw, f4_BChw)

    def encode_value(
        self, image_B3HW: Tensor, frame: FrameKey, hidden_BNChw: Tensor | None, masks_BNHW: Tensor, deep_update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """What memory keeps of each object -> (value_BNChw, hidden_BNChw).

        Args:
            image_B3HW: the image again.
            frame: from `encode_key`.
            hidden_BNChw: sensory memory; None in a network without, or where there is none to update.
            masks_BNHW: 0 to 1, background left out.
            deep_update: give the sensory memory back updated from the value, otherwise as it is.
        """
        B, N = masks_BNHW.shape[:2]
        masks_BNHW = masks_BNHW.to(self.dtype)
        others_BNHW = masks_BNHW.sum(dim=1, keepdim=True) - masks_BNHW
        image_BN3HW = image_B3HW.to(self.dtype)[:, None].expand(-1, N, -1, -1, -1)
        pixels_BN5HW = torch.cat([image_BN3HW, masks_BNHW[:, :, None], others_BNHW[:, :, None]], dim=2)
        if not frame.valued:
            frame.valued.append(self.value_encoder.fuser.of_frame(frame.f16_BChw))
        value_BNChw = self.value_encoder(pixels_BN5HW.flatten(0, 1), frame.valued[0]).unflatten(0, (B, N))
        return value_BNChw, self.deep_update(value_BNChw, hidden_BNChw) if deep_update else hidden_BNChw

    def deep_update(self, value_BNChw: Tensor, hidden_BNChw: Tensor | None) -> Tensor | None:
        """The sensory memory updated from the frame's value; None in a network without."""
        if hidden_BNChw is None:
            return None
        hidden_GChw = self.value_encoder.hidden_reinforce(value_BNChw.flatten(0, 1), hidden_BNChw.flatten(0, 1))
        return hidden_GChw.unflatten(0, hidden_BNChw.shape[:2])

    def decode(
        self, frame: FrameKey, readout_BNChw: Tensor, hidden_BNChw: Tensor | None, update_hidden: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Mask logits of each object at image size, float32 -> (logits_BNHW, hidden_BNChw).

        Args:
            frame: from `encode_key`.
            readout_BNChw: what the memory says about each object.
            hidden_BNChw: sensory memory, None in a network without.
            update_hidden: give the sensory memory back updated from the decoder, otherwise as it is.
        """
        B, N = readout_BNChw.shape[:2]
        memory_BNChw = readout_BNChw if hidden_BNChw is None else torch.cat([readout_BNChw, hidden_BNChw], dim=2)
        if not frame.decoded:
            frame.decoded.append(self.decoder.of_frame((frame.f16_BChw, frame.f8_BChw, frame.f4_BChw)))
        logits_G1hw, scales = self.decoder(frame.decoded[0], memory_BNChw.flatten(0, 1))
        if update_hidden and hidden_BNChw is not None:
            cell = self.decoder.hidden_update
            hidden_BNChw = cell(cell.at_stride_16(scales), hidden_BNChw.flatten(0, 1)).unflatten(0, (B, N))
        logits_G1HW = functional.interpolate(logits_G1hw.float(), scale_factor=4, mode="bilinear", align_corners=False)
        return rearrange(logits_G1HW, "(b n) 1 h w -> b n h w", b=B), hidden_BNChw

    def initial_hidden(self, frame: FrameKey, num_objects: int) -> Tensor | None:
        """The sensory memory of objects not seen yet: zeros, or None in a network without."""
        B, _, h, w = frame.key_BChw.shape
        return frame.key_BChw.new_zeros(B, num_objects, self.config.hidden_dim, h, w) if self.config.hidden_dim else None

    def forward(self, frames_BTChw: Tensor, masks_BTNHW: Tensor, valid_BN: Tensor, bce_keep_share: float = 1.0) -> XMemOutput:
        """One training step's losses: the first frame's masks are given, the others predicted as in tracking and compared.

        Every predicted frame reads all memory frames so far; values are made from predictions, so that gradients reach through time.

        Args:
            frames_BTChw: normalised images of B clips of T >= 2 frames.
            masks_BTNHW: the true masks, float from 0 to 1; they do not overlap.
            valid_BN: bool; a clip with fewer than N objects has rows without one, whose masks are zero.
            bce_keep_share: part of the pixels, the hardest, that the cross-entropy counts (published: from 1 down to 0.15).
        """
        B, T = frames_BTChw.shape[:2]
        keys = _split_time(self.encode_key(frames_BTChw.flatten(0, 1)), B)
        hidden_BNChw = self.initial_hidden(keys[0], valid_BN.shape[1])
        memory: list[tuple[FrameKey, Tensor]] = []
        objects_BNHW = masks_BTNHW[:, 0]
        bce, dice = [], []
        for t in range(T):
            is_mem_frame = t % TRAIN_MEM_EVERY == 0 and t < T - 1
            if t > 0:
                readout_BNChw = _read(memory, keys[t], self.config.top_k)
                logits_BNHW, hidden_BNChw = self.decode(keys[t], readout_BNChw, hidden_BNChw, update_hidden=not is_mem_frame)
                prob_BKHW = aggregate(logits_BNHW.sigmoid() * valid_BN[:, :, None, None])
                objects_BNHW = prob_BKHW[:, 1:]
                bce.append(bootstrapped_cross_entropy(prob_BKHW, _classes(masks_BTNHW[:, t]), bce_keep_share))
                dice.append(soft_dice(objects_BNHW[valid_BN], masks_BTNHW[:, t][valid_BN]))
            if is_mem_frame:
                image_B3HW = frames_BTChw[:, t]
                value_BNChw, hidden_BNChw = self.encode_value(image_B3HW, keys[t], hidden_BNChw, objects_BNHW, deep_update=True)
                memory.append((keys[t], value_BNChw))
        mask_bce_loss, mask_dice_loss = torch.stack(bce).mean(), torch.stack(dice).mean()
        return XMemOutput(loss=mask_bce_loss + mask_dice_loss, mask_bce_loss=mask_bce_loss, mask_dice_loss=mask_dice_loss)

    def _init_weights(self, module: nn.Module) -> None:
        """Torch's own initialisation, but He's for the ResNets, whose convolutions alone have no bias (transformers' hook)."""
        if isinstance(module, nn.Conv2d) and module.bias is None:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _split_time(frames: FrameKey, clips: int) -> list[FrameKey]:
    """Keys of B * T frames -> T keys of B frames."""
    per_frame = zip(*(tensor.unflatten(0, (clips, -1)).unbind(1) for tensor in frames.tensors), strict=True)
    return [FrameKey(*tensors) for tensors in per_frame]


def _read(memory: list[tuple[FrameKey, Tensor]], frame: FrameKey, top_k: int) -> Tensor:
    """What the memory frames (keys and value_BNChw of each) say about a frame -> readout_BNChw."""
    mem_key_BCM = torch.cat([key.key_BChw.flatten(2) for key, _ in memory], dim=2)
    mem_shrinkage_B1M = torch.cat([key.shrinkage_B1hw.flatten(2) for key, _ in memory], dim=2)
    mem_value_BMNC = torch.cat([rearrange(value, "b n c h w -> b (h w) n c") for _, value in memory], dim=1)
    scores_BPM = similarity(mem_key_BCM, mem_shrinkage_B1M, frame.key_BChw, frame.selection_BChw)
    return readout(top_k_softmax(scores_BPM, top_k), mem_value_BMNC).unflatten(3, frame.key_BChw.shape[2:])


def _classes(masks_BNHW: Tensor) -> Tensor:
    """Masks that do not overlap -> 0 where there is no object, otherwise 1 + the row of the object."""
    return torch.cat([1 - masks_BNHW.sum(1, keepdim=True), masks_BNHW], dim=1).argmax(1)
