"""Context synthesizer (v1: context aggregation module): the query's words read the video over time before the language model reads them.

    words ─ mean = intent ─ reads each frame's patches ─ summaries (frames see each other, nearer ones more) ─ frame relevance
    words ─ read the summaries ─ read all patches, those of relevant frames more ─ gate, 0 at first ─ added to the words

Only words of the query change: the answer must be the same in teacher forcing and in generation. Public text gives the role alone
(text embeddings conditioned on the video, over time); the layers are ours.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from saymask.models.villa.attention import Attention, TimeCode

RELEVANCE_FLOOR = 1e-4


class ContextSynthesizer(nn.Module):
    """One block of text reading video in a bottleneck of `inner` channels."""

    def __init__(self, width: int, inner: int, heads: int):
        super().__init__()
        self.words_in = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner))
        self.patches_in = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner))
        self.time_code = TimeCode(inner)
        self.look = Attention(inner, heads)
        self.over_time = Attention(inner, heads)
        self.decay = nn.Parameter(torch.zeros(heads))
        self.relevance = nn.Linear(inner, inner, bias=False)
        self.read_frames = Attention(inner, heads)
        self.read_patches = Attention(inner, heads)
        self.words_out = nn.Linear(inner, width)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, words_BIE: Tensor, is_query_BI: Tensor, tokens_BKPE: Tensor, fraction_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Words after reading the video, and how relevant each key frame is to them.

        Args:
            words_BIE: embeddings of the chat's text.
            is_query_BI: which of them are the query's.
            tokens_BKPE: patches of the key frames.
            fraction_BK: place of each key frame in the video, 0 ... 1.

        Returns:
            words_BIE, and relevance_BK that sums to one.
        """
        words_BIC, patches_BKPC = self.words_in(words_BIE), self.patches_in(tokens_BKPE)
        share_BI1 = (is_query_BI / is_query_BI.sum(1, keepdim=True).clamp(min=1))[..., None].to(words_BIC)
        intent_B1C = (words_BIC * share_BI1).sum(1, keepdim=True)
        asked_BK1C = (intent_B1C + self.time_code(fraction_BK))[:, :, None]
        frames_BKC = self.look(asked_BK1C, patches_BKPC)[:, :, 0]
        distance_B1KK = (fraction_BK[:, :, None] - fraction_BK[:, None]).abs()[:, None]
        frames_BKC = frames_BKC + self.over_time(frames_BKC, frames_BKC, -distance_B1KK * functional.softplus(self.decay)[:, None, None])
        scores_BK = (self.relevance(intent_B1C) * frames_BKC).sum(-1).float() * frames_BKC.shape[-1] ** -0.5
        relevance_BK = scores_BK.softmax(-1)
        words_BIC = words_BIC + self.read_frames(words_BIC, frames_BKC)
        per_patch_BM = (relevance_BK + RELEVANCE_FLOOR).log().repeat_interleave(patches_BKPC.shape[2], dim=1)
        patches_BMC = rearrange(patches_BKPC, "b k p c -> b (k p) c")
        words_BIC = words_BIC + self.read_patches(words_BIC, patches_BMC, per_patch_BM[:, None, None])
        change_BIE = torch.tanh(self.gate) * self.words_out(words_BIC)
        return words_BIE + change_BIE * is_query_BI[..., None].to(change_BIE), relevance_BK
