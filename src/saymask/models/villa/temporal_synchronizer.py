"""Temporal synchronizer (v1: video-frame decoder): an object's tokens of single frames and of the video inform each other.

    objects     tokens of one frame (and the video tokens) see the other objects of their answer
    local time  a frame's token sees its object on neighbouring key frames of its segment
    read        the video token reads its object on all key frames of all segments
    write       each frame's token takes from the video token what a gate lets through

Several such layers in a bottleneck, added to the tokens by a scale that begins near 0. Public text gives the role alone (two levels
of tokens, a short and the whole range of time, relations between objects); the layers are ours.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from saymask.models.villa.attention import Attention

SCALE_AT_START = 1e-2


class SyncLayer(nn.Module):
    """One round of the four steps."""

    def __init__(self, inner: int, heads: int, window: int):
        super().__init__()
        self.window = window
        self.objects_norm, self.local_norm, self.read_norm = (nn.LayerNorm(inner) for _ in range(3))
        self.objects = Attention(inner, heads)
        self.local_time = Attention(inner, heads)
        self.local_bias = nn.Parameter(torch.zeros(heads, 2 * window + 1))
        self.read = Attention(inner, heads)
        self.write_gate = nn.Linear(2 * inner, inner)
        self.write = nn.Linear(inner, inner)

    def forward(self, frames_NKC: Tensor, video_N1C: Tensor, answer_bias_1NN: Tensor, segment_NK: Tensor) -> tuple[Tensor, Tensor]:
        tokens_LNC = rearrange(torch.cat([frames_NKC, video_N1C], dim=1), "n l c -> l n c")
        normed_LNC = self.objects_norm(tokens_LNC)
        tokens_LNC = tokens_LNC + self.objects(normed_LNC, normed_LNC, answer_bias_1NN)
        tokens_NLC = rearrange(tokens_LNC, "l n c -> n l c")
        frames_NKC, video_N1C = tokens_NLC[:, :-1], tokens_NLC[:, -1:]
        normed_NKC = self.local_norm(frames_NKC)
        frames_NKC = frames_NKC + self.local_time(normed_NKC, normed_NKC, self._local_bias(segment_NK))
        video_N1C = video_N1C + self.read(self.read_norm(video_N1C), self.read_norm(frames_NKC))
        both_NKC = torch.cat([frames_NKC, video_N1C.expand_as(frames_NKC)], dim=-1)
        return frames_NKC + self.write_gate(both_NKC).sigmoid() * self.write(video_N1C), video_N1C

    def _local_bias(self, segment_NK: Tensor) -> Tensor:
        """Bias of each head by the distance in key frames; -inf outside the window or the segment."""
        place_K = torch.arange(segment_NK.shape[1], device=segment_NK.device)
        step_KK = place_K[None] - place_K[:, None]
        bias_hKK = self.local_bias[:, step_KK.clamp(-self.window, self.window) + self.window].float()
        near_NKK = (segment_NK[:, :, None] == segment_NK[:, None]) & (step_KK.abs() <= self.window)
        return bias_hKK[None].masked_fill(~near_NKK[:, None], float("-inf"))


class TemporalSynchronizer(nn.Module):
    """Layers over the tokens of N objects on K key frames and in the video."""

    def __init__(self, channels: int, inner: int, heads: int, layers: int, window: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.down = nn.Linear(channels, inner)
        self.layers = nn.ModuleList(SyncLayer(inner, heads, window) for _ in range(layers))
        self.up = nn.Linear(inner, channels)
        self.scale = nn.Parameter(torch.full((channels,), SCALE_AT_START))

    def forward(self, frames_NKC: Tensor, video_NC: Tensor, row_N: Tensor, segment_NK: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens after the exchange.

        Args:
            frames_NKC, video_NC: tokens of N objects.
            row_N: the chat each object belongs to; objects of different chats do not see each other.
            segment_NK: the key segment of each key frame.
        """
        other_1NN = (row_N[:, None] != row_N[None])[None]
        answer_bias_1NN = torch.zeros(other_1NN.shape, device=row_N.device).masked_fill(other_1NN, float("-inf"))
        frames, video = self.down(self.norm(frames_NKC)), self.down(self.norm(video_NC))[:, None]
        for layer in self.layers:
            frames, video = layer(frames, video, answer_bias_1NN, segment_NK)
        return frames_NKC + self.scale * self.up(frames), video_NC + self.scale * self.up(video[:, 0])
