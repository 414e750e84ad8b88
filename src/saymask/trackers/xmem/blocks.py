"""The blocks XMem is made of: two kinds of ResNet stage, a residual block without normalisation, CBAM, and the cell of its sensory memory.

Additional axis letter: G objects of all clips in one axis (clip by clip), on which every convolution acts alike. Attributes bear the
names of the published checkpoint, `ChannelGate` and `SpatialGate` included, so that its tensors load without a table of names.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

GATE_REDUCTION = 16
"""The channel gate's inner width is its input's divided by this."""


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; four times as many channels come out as `width` (ResNet-50 and up)."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int):
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _resnet_shortcut(in_channels, out_channels, stride)

    def forward(self, x_GChw: Tensor) -> Tensor:
        y_GChw = self.bn1(self.conv1(x_GChw)).relu()
        y_GChw = self.bn2(self.conv2(y_GChw)).relu()
        return (self.bn3(self.conv3(y_GChw)) + self.downsample(x_GChw)).relu()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (ResNet-18 and 34)."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _resnet_shortcut(in_channels, width, stride)

    def forward(self, x_GChw: Tensor) -> Tensor:
        y_GChw = self.bn1(self.conv1(x_GChw)).relu()
        return (self.bn2(self.conv2(y_GChw)) + self.downsample(x_GChw)).relu()


def resnet_stage(block: type[Bottleneck | BasicBlock], in_channels: int, width: int, depth: int, stride: int) -> nn.Sequential:
    """`depth` blocks, of which the first brings the stage's stride and channels (`width * block.expansion`)."""
    rest = [block(width * block.expansion, width, stride=1) for _ in range(depth - 1)]
    return nn.Sequential(block(in_channels, width, stride), *rest)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after its activation, around a shortcut; no normalisation."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.downsample = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x_GChw: Tensor) -> Tensor:
        y_GChw = self.conv1(x_GChw.relu())
        return self.conv2(y_GChw.relu()) + self.downsample(x_GChw)


FramePart = tuple[Tensor, Tensor]
"""What a frame adds to the first convolution of a `JoiningBlock` and to its shortcut, at each of its objects."""


class JoiningBlock(ResidualBlock):
    """A residual block over the channels of a frame followed by those of an object.

    Its first convolutions are sums over channels: the frame's part of them is made once for all objects.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels)
        if in_channels == out_channels:
            raise ValueError(f"{in_channels} channels of frame and object become as many, so there is no shortcut; choose another width")

    def of_frame(self, frame_BChw: Tensor) -> FramePart:
        num = frame_BChw.shape[1]
        conv, shortcut = self.conv1, cast(nn.Conv2d, self.downsample)
        return _conv(frame_BChw.relu(), conv.weight[:, :num], conv.bias), _conv(frame_BChw, shortcut.weight[:, :num], shortcut.bias)

    def forward(self, frame: FramePart, objects_GChw: Tensor) -> Tensor:
        num = objects_GChw.shape[1]
        first_GChw, around_GChw = (for_each_object(part_BChw, objects_GChw) for part_BChw in frame)
        first_GChw = first_GChw + _conv(objects_GChw.relu(), self.conv1.weight[:, -num:])
        return self.conv2(first_GChw.relu()) + around_GChw + _conv(objects_GChw, cast(nn.Conv2d, self.downsample).weight[:, -num:])


class ChannelGate(nn.Module):
    """Scales each channel by what its mean and its maximum over the picture say."""

    def __init__(self, channels: int):
        super().__init__()
        inner = max(1, channels // GATE_REDUCTION)
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))

    def forward(self, x_GChw: Tensor) -> Tensor:
        gate_GC = (self.mlp(x_GChw.mean((2, 3))) + self.mlp(x_GChw.amax((2, 3)))).sigmoid()
        return x_GChw * gate_GC[:, :, None, None]


class SpatialGate(nn.Module):
    """Scales each position by what the maximum and the mean over channels around it say."""

    def __init__(self):
        super().__init__()
        self.spatial = nn.Sequential(OrderedDict[str, nn.Module](conv=nn.Conv2d(2, 1, 7, padding=3)))

    def forward(self, x_GChw: Tensor) -> Tensor:
        summary_G2hw = torch.cat([x_GChw.amax(1, keepdim=True), x_GChw.mean(1, keepdim=True)], dim=1)
        return x_GChw * self.spatial(summary_G2hw).sigmoid()


class Cbam(nn.Module):
    """Convolutional block attention (arXiv 1807.06521): the channel gate, then the spatial one."""

    def __init__(self, channels: int):
        super().__init__()
        self.ChannelGate = ChannelGate(channels)
        self.SpatialGate = SpatialGate()

    def forward(self, x_GChw: Tensor) -> Tensor:
        return self.SpatialGate(self.ChannelGate(x_GChw))


class FusionBlock(nn.Module):
    """Joins a frame's features with those of each object, in two steps: what `of_frame` gives is the same for all objects."""

    def __init__(self, frame_channels: int, object_channels: int, out_channels: int):
        super().__init__()
        self.block1 = JoiningBlock(frame_channels + object_channels, out_channels)
        self.attention = Cbam(out_channels)
        self.block2 = ResidualBlock(out_channels, out_channels)

    def of_frame(self, frame_BChw: Tensor) -> FramePart:
        return self.block1.of_frame(frame_BChw)

    def forward(self, frame: FramePart, objects_GChw: Tensor) -> Tensor:
        y_GChw = self.block1(frame, objects_GChw)
        return self.block2(y_GChw + self.attention(y_GChw))


class UpsampleBlock(nn.Module):
    """Object features at twice their resolution, refined with what `skip_conv` makes of the frame's features there."""

    def __init__(self, skip_channels: int, in_channels: int, out_channels: int):
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_channels, in_channels, 3, padding=1)
        self.out_conv = ResidualBlock(in_channels, out_channels)

    def forward(self, skipped_BChw: Tensor, objects_GChw: Tensor) -> Tensor:
        finer_GChw = functional.interpolate(objects_GChw, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out_conv(finer_GChw + for_each_object(skipped_BChw, objects_GChw))


class SensoryCell(nn.Module):
    """One step of the sensory memory, in the manner of a GRU.

    Not the standard one: the forget gate scales the old state outside of `tanh`, and the update gate then blends.
    """

    def __init__(self, in_channels: int, hidden_dim: int):
        super().__init__()
        self.transform = nn.Conv2d(in_channels + hidden_dim, 3 * hidden_dim, 3, padding=1)

    def forward(self, x_GChw: Tensor, hidden_GChw: Tensor) -> Tensor:
        forget_GChw, update_GChw, new_GChw = self.transform(torch.cat([x_GChw, hidden_GChw], dim=1)).chunk(3, dim=1)
        update_GChw = update_GChw.sigmoid()
        return forget_GChw.sigmoid() * hidden_GChw * (1 - update_GChw) + update_GChw * new_GChw.tanh()


def for_each_object(frame_BChw: Tensor, objects_GChw: Tensor) -> Tensor:
    """A frame's features once for each of its objects."""
    return frame_BChw.repeat_interleave(len(objects_GChw) // len(frame_BChw), dim=0)


def _conv(x_GChw: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3x3 convolution with a part of a module's weights."""
    return functional.conv2d(x_GChw, weight, bias, padding=1)


def _resnet_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity where shapes agree, otherwise a strided projection."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
