"""DPC-KNN token merging (Chat-UniVi, 2311.08046, as VISA uses it): alike tokens become one, without parameters.

Density peaks: a token is a centre if many tokens are near it (density) and no denser token is (distance). Every other token joins the
nearest centre, and a cluster becomes the mean of its tokens. Three merges in a row, their results one after the other, are a frame:
256 -> 64, 32, 16 tokens = 112. Rows come in descending order of the centres' scores, so their order says nothing about place.

The reference adds random numbers of 1e-6 to the densities so that ties fall differently each time; here the earlier token wins.
`merge_events` is the reference's way to shorten long videos, which VISA itself never reaches: every placeholder stands for one frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RATES = (64, 32, 16)
"""Tokens after each of a frame's three merges."""
NEIGHBOURS = (5, 3, 3)
"""Nearest tokens that a density is measured by, for each merge."""
EVENT_RATE, EVENT_NEIGHBOURS = 1 / 16, 5
JITTER = 1e-6
COUNT_EPS = 1e-6


@dataclass(frozen=True)
class Clusters:
    """N tokens in M clusters.

    Args:
        centres_BM: index of each cluster's centre, by descending score.
        cluster_of_BN: of each token.
        scores_BN: density times distance to a denser token.
    """

    centres_BM: Tensor
    cluster_of_BN: Tensor
    scores_BN: Tensor


@dataclass(frozen=True)
class Merged:
    """One merge: its tokens_BMC and the clusters they are the means of."""

    tokens_BMC: Tensor
    clusters: Clusters


def num_clusters(num_tokens: int, rate: float) -> int:
    """M: a rate above 1 is a number of tokens, any other a share of them; at least one."""
    return math.ceil(rate) if rate > 1 else max(1, math.ceil(num_tokens * rate))


def num_neighbours(neighbours: int, clusters: int) -> int:
    """How many nearest tokens are asked: fewer where there are fewer clusters than that."""
    return min(3, max(clusters // 2, 1)) if neighbours > clusters else neighbours


@torch.no_grad()
def find_clusters(tokens_BNC: Tensor, clusters: int, neighbours: int, jitter_BN: Tensor | None = None) -> Clusters:
    """Group N tokens into M clusters.

    Args:
        tokens_BNC: tokens.
        clusters: M, at most N.
        neighbours: K, the token itself is one of them.
        jitter_BN: what the reference draws from U(0, 1) to break ties; None = the earlier token comes first.
    """
    distance_BNN = torch.cdist(tokens_BNC.float(), tokens_BNC.float()) / tokens_BNC.shape[-1] ** 0.5
    nearest_BNK = distance_BNN.topk(num_neighbours(neighbours, clusters), dim=-1, largest=False).values
    density_BN = (-nearest_BNK.square().mean(-1)).exp()
    if jitter_BN is not None:
        density_BN = density_BN + JITTER * jitter_BN
    is_denser_BNN = density_BN[:, None, :] > density_BN[:, :, None]
    farthest_B11 = distance_BNN.flatten(1).amax(1)[:, None, None]
    scores_BN = torch.where(is_denser_BNN, distance_BNN, farthest_B11).amin(-1) * density_BN
    centres_BM = scores_BN.sort(dim=-1, descending=True, stable=True).indices[:, :clusters]
    to_centres_BMN = distance_BNN.gather(1, centres_BM[..., None].expand(-1, -1, tokens_BNC.shape[1]))
    number_BM = torch.arange(clusters, device=tokens_BNC.device).expand_as(centres_BM)
    # Of two equal tokens that are both centres, each must keep a cluster of its own: none may be empty.
    cluster_of_BN = to_centres_BMN.argmin(1).scatter(1, centres_BM, number_BM)
    return Clusters(centres_BM, cluster_of_BN, scores_BN)


def merge(tokens_BNC: Tensor, rate: float, neighbours: int, jitter_BN: Tensor | None = None) -> Merged:
    """One merge; gradients pass through the means, not through who belongs where.

    Args:
        tokens_BNC: tokens.
        rate: see `num_clusters`.
        neighbours: see `find_clusters`.
        jitter_BN: see `find_clusters`.
    """
    batch, num_tokens, channels = tokens_BNC.shape
    clusters = num_clusters(num_tokens, rate)
    found = find_clusters(tokens_BNC, clusters, neighbours, jitter_BN)
    slot_R = (found.cluster_of_BN + clusters * torch.arange(batch, device=tokens_BNC.device)[:, None]).flatten()
    counts_S = tokens_BNC.new_zeros(batch * clusters).index_add(0, slot_R, tokens_BNC.new_ones(batch * num_tokens))
    share_R1 = (1 / (counts_S + COUNT_EPS))[slot_R, None]
    means_SC = tokens_BNC.new_zeros(batch * clusters, channels).index_add(0, slot_R, tokens_BNC.flatten(0, 1) * share_R1)
    return Merged(means_SC.unflatten(0, (batch, clusters)), found)


def merge_frame(tokens_BNC: Tensor, rates: Sequence[float] = RATES, neighbours: Sequence[int] = NEIGHBOURS) -> list[Tensor]:
    """A frame's merges, each of the one before -> tokens_BMC of each, M = 64, 32, 16."""
    merged = []
    for rate, nearest in zip(rates, neighbours, strict=True):
        tokens_BNC = merge(tokens_BNC, rate, nearest).tokens_BMC
        merged.append(tokens_BNC)
    return merged


def merge_events(
    tokens_TNC: Tensor, rates: Sequence[float] = RATES, neighbours: Sequence[int] = NEIGHBOURS, jitter_T: Tensor | None = None
) -> Tensor:
    """A long video as events: frames of one event share as many tokens as one frame has.

    Args:
        tokens_TNC: all frames' tokens.
        rates, neighbours: of the three merges.
        jitter_T: see `find_clusters`; for the frames' densities alone.

    Returns:
        tokens_VC of all events in the order of their first frames, V = ceil(T / 16) x 112.
    """
    of_frames = merge_frame(tokens_TNC, rates, neighbours)
    parts = []
    for event_F in frame_events(tokens_TNC, jitter_T):
        for tokens_TMC, rate, nearest in zip(of_frames, rates, neighbours, strict=True):
            parts.append(merge(tokens_TMC[event_F].flatten(0, 1)[None], rate, nearest).tokens_BMC[0])
    return torch.cat(parts)


def frame_events(tokens_TNC: Tensor, jitter_T: Tensor | None = None) -> list[Tensor]:
    """Frames that look alike -> the frame indices of each event, ascending; events in the order of their first frames."""
    frames_1TC = tokens_TNC.mean(1)[None]
    clusters = num_clusters(len(tokens_TNC), EVENT_RATE)
    found = find_clusters(frames_1TC, clusters, EVENT_NEIGHBOURS, None if jitter_T is None else jitter_T[None])
    events = [(found.cluster_of_BN[0] == number).nonzero()[:, 0] for number in range(clusters)]
    return sorted(events, key=lambda event_F: int(event_F[0]))
