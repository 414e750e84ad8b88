"""XMem's four parts (paper section 3.2): what a frame looks like, how it is matched, what an object is there, and its mask.

    frame ─ KeyEncoder ─ f16, f8, f4 ─ KeyProjection ─ key, shrinkage, selection
    frame + masks + f16 ─ ValueEncoder ─ value (and sensory memory, deep update)
    readout + sensory memory + f16, f8, f4 ─ Decoder ─ mask logits at stride 4 (and sensory memory)

f16, f8, f4 are features at that stride. Objects of all clips lie in one axis G (see `xmem_blocks`); attributes bear the names of the
published checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from saymask.trackers.xmem.blocks import (
    BasicBlock,
    Bottleneck,
    FramePart,
    FusionBlock,
    SensoryCell,
    UpsampleBlock,
    resnet_stage,
)
from saymask.trackers.xmem.config import XMemConfig

Scales = tuple[Tensor, Tensor, Tensor]
"""One picture's features at stride 16, 8 and 4."""
FrameParts = tuple[FramePart, Tensor, Tensor]
"""What the decoder makes of a frame alone, at stride 16, 8 and 4."""


class KeyEncoder(nn.Module):
    """A ResNet of bottlenecks without its last stage -> f16, f8, f4 with 16, 8, 4 times `key_encoder_width` channels."""

    def __init__(self, config: XMemConfig):
        super().__init__()
        width, depths = config.key_encoder_width, config.key_encoder_depths
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.res2 = resnet_stage(Bottleneck, width, width, depths[0], stride=1)
        self.layer2 = resnet_stage(Bottleneck, 4 * width, 2 * width, depths[1], stride=2)
        self.layer3 = resnet_stage(Bottleneck, 8 * width, 4 * width, depths[2], stride=2)

    def forward(self, image_B3HW: Tensor) -> Scales:
        f4_BChw = self.res2(_stem(self.conv1, self.bn1, image_B3HW))
        f8_BChw = self.layer2(f4_BChw)
        return self.layer3(f8_BChw), f8_BChw, f4_BChw


class KeyProjection(nn.Module):
    """f16 -> key, shrinkage (at least 1) and selection (0 to 1)."""

    def __init__(self, in_channels: int, key_dim: int):
        super().__init__()
        self.key_proj = nn.Conv2d(in_channels, key_dim, 3, padding=1)
        self.d_proj = nn.Conv2d(in_channels, 1, 3, padding=1)
        self.e_proj = nn.Conv2d(in_channels, key_dim, 3, padding=1)

    def forward(self, f16_BChw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.key_proj(f16_BChw), self.d_proj(f16_BChw).square() + 1, self.e_proj(f16_BChw).sigmoid()


class ValueEncoder(nn.Module):
    """A ResNet of basic blocks without its last stage, on frame, mask and the other objects' masks; fused with f16 -> value.

    `hidden_reinforce` is the deep update of the sensory memory; it is absent where there is no such memory.
    """

    def __init__(self, config: XMemConfig):
        super().__init__()
        width, depths = config.value_encoder_width, config.value_encoder_depths
        self.conv1 = nn.Conv2d(5, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = resnet_stage(BasicBlock, width, width, depths[0], stride=1)
        self.layer2 = resnet_stage(BasicBlock, width, 2 * width, depths[1], stride=2)
        self.layer3 = resnet_stage(BasicBlock, 2 * width, 4 * width, depths[2], stride=2)
        self.fuser = FusionBlock(16 * config.key_encoder_width, 4 * width, config.value_dim)
        if config.hidden_dim:
            self.hidden_reinforce = SensoryCell(config.value_dim, config.hidden_dim)

    def forward(self, pixels_G5HW: Tensor, frame: FramePart) -> Tensor:
        """Values of all objects; `frame` is what `fuser.of_frame` makes of f16."""
        features_GChw = self.layer1(_stem(self.conv1, self.bn1, pixels_G5HW))
        return self.fuser(frame, self.layer3(self.layer2(features_GChw)))


class Decoder(nn.Module):
    """Readout and sensory memory, refined from stride 16 to 4 -> mask logits there.

    `hidden_update` is the sensory memory's update at every frame; it is absent where there is no such memory.
    """

    def __init__(self, config: XMemConfig):
        super().__init__()
        width, skip = config.decoder_width, config.key_encoder_width
        self.fuser = FusionBlock(16 * skip, config.value_dim + config.hidden_dim, 2 * width)
        self.up_16_8 = UpsampleBlock(8 * skip, 2 * width, width)
        self.up_8_4 = UpsampleBlock(4 * skip, width, width)
        self.pred = nn.Conv2d(width, 1, 3, padding=1)
        if config.hidden_dim:
            self.hidden_update = DecoderSensoryCell(width, config.hidden_dim)

    def of_frame(self, features: Scales) -> FrameParts:
        """The frame's part, which is the same for all objects: two fifths of the work for one object.

        Args:
            features: f16, f8, f4 of the frame.
        """
        f16_BChw, f8_BChw, f4_BChw = features
        return self.fuser.of_frame(f16_BChw), self.up_16_8.skip_conv(f8_BChw), self.up_8_4.skip_conv(f4_BChw)

    def forward(self, frame: FrameParts, memory_GChw: Tensor) -> tuple[Tensor, Scales]:
        """Logits of all objects, and the three scales from which the sensory memory is updated.

        Args:
            frame: from `of_frame`.
            memory_GChw: readout, followed by the sensory memory if there is one.
        """
        at_16, at_8_BChw, at_4_BChw = frame
        g16_GChw = self.fuser(at_16, memory_GChw)
        g8_GChw = self.up_16_8(at_8_BChw, g16_GChw)
        g4_GChw = self.up_8_4(at_4_BChw, g8_GChw)
        logits_G1hw = self.pred(g4_GChw.relu())
        return logits_G1hw, (g16_GChw, g8_GChw, torch.cat([g4_GChw, logits_G1hw], dim=1))


class DecoderSensoryCell(SensoryCell):
    """The sensory memory's cell that reads all scales of the decoder."""

    def __init__(self, decoder_width: int, hidden_dim: int):
        super().__init__(decoder_width, hidden_dim)
        self.g16_conv = nn.Conv2d(2 * decoder_width, decoder_width, 1)
        self.g8_conv = nn.Conv2d(decoder_width, decoder_width, 1)
        self.g4_conv = nn.Conv2d(decoder_width + 1, decoder_width, 1)

    def at_stride_16(self, scales: Scales) -> Tensor:
        """What the cell reads, from the three scales that `Decoder` returns."""
        g16_GChw, g8_GChw, g4_GChw = scales
        finer_GChw = self.g8_conv(functional.avg_pool2d(g8_GChw, 2)) + self.g4_conv(functional.avg_pool2d(g4_GChw, 4))
        return self.g16_conv(g16_GChw) + finer_GChw


def _stem(conv1: nn.Conv2d, bn1: nn.BatchNorm2d, pixels_GCHW: Tensor) -> Tensor:
    """Pixels -> features at stride 4."""
    return functional.max_pool2d(bn1(conv1(pixels_GCHW)).relu(), 3, stride=2, padding=1)
