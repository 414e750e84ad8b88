"""How a query frame reads the memory (XMem, section 3.3): similarity of keys -> the few best elements per position -> their values.

Additional axis letters: P positions of the query frame (h * w, row by row) and K elements kept per position.

    similarity_BPM -> top_k_softmax: weights_BPK of elements_BPK -> readout_BNCP

Only the K kept values of a position are read, so nothing of size M x P x C exists. Differentiable throughout: training reads its
memory with the same functions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Affinity:
    """For every position its K memory elements and their weights, which sum to 1; M = `num_elements` were to choose from."""

    weights_BPK: Tensor
    elements_BPK: Tensor
    num_elements: int

    def usage_BM(self) -> Tensor:
        """How much each memory element was used: its weights summed over all positions."""
        usage_BM = self.weights_BPK.new_zeros(len(self.weights_BPK), self.num_elements)
        return usage_BM.scatter_add(1, self.elements_BPK.flatten(1), self.weights_BPK.flatten(1))


def similarity(mem_key_BCM: Tensor, mem_shrinkage_B1M: Tensor, query_key_BChw: Tensor, selection_BChw: Tensor) -> Tensor:
    """Anisotropic L2 similarity of every query position with every memory element (XMem, equation 2).

    S[p, m] = -shrinkage[m] / sqrt(C) * sum over c of selection[c, p] * (mem_key[c, m] - query_key[c, p])^2

    Args:
        mem_key_BCM: keys of the memory.
        mem_shrinkage_B1M: sharpness of each memory element, at least 1.
        query_key_BChw: keys of the frame that reads; the grid may also be flat.
        selection_BChw: weight of each key channel, 0 to 1, from the frame that reads.

    Returns:
        float32 similarity_BPM, at most 0 but for rounding.
    """
    with torch.autocast(mem_key_BCM.device.type, enabled=False):  # differences of large squares: half precision would lose them
        mem_BCM, query_BCP, select_BCP = mem_key_BCM.float(), query_key_BChw.flatten(2).float(), selection_BChw.flatten(2).float()
        # Multiplied out, the sum over c is one matrix product of (mem^2, mem, 1) with coefficients of the query.
        terms_BDM = torch.cat([mem_BCM.square(), mem_BCM, torch.ones_like(mem_BCM[:, :1])], dim=1)
        squared_BP = (select_BCP * query_BCP.square()).sum(1, keepdim=True)
        coefficients_BDP = torch.cat([-select_BCP, 2 * query_BCP * select_BCP, -squared_BP], dim=1)
        sharpness_B1M = mem_shrinkage_B1M.float() / math.sqrt(mem_BCM.shape[1])
        return coefficients_BDP.mT @ (terms_BDM * sharpness_B1M)


def top_k_softmax(similarity_BPM: Tensor, top_k: int) -> Affinity:
    """Softmax over the `top_k` most similar elements of each position; a smaller memory is used whole."""
    M = similarity_BPM.shape[-1]
    best_BPK, elements_BPK = similarity_BPM.topk(min(top_k, M), dim=-1, sorted=False)
    return Affinity(best_BPK.softmax(-1), elements_BPK, M)


def readout(affinity: Affinity, mem_value_BMNC: Tensor) -> Tensor:
    """Weighted sums of the memory's values -> readout_BNCP in the values' dtype.

    Args:
        affinity: which elements each position reads.
        mem_value_BMNC: values of the N objects; an element's values lie together, so that reading K elements touches K places.
    """
    B, M, N, _ = mem_value_BMNC.shape
    first_row_B11 = torch.arange(0, B * M, M, device=mem_value_BMNC.device)[:, None, None]
    rows = rearrange(affinity.elements_BPK + first_row_B11, "b p k -> (b p) k")
    weights = rearrange(affinity.weights_BPK, "b p k -> (b p) k").to(mem_value_BMNC.dtype)
    table = rearrange(mem_value_BMNC, "b m n c -> (b m) (n c)")
    summed = functional.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")
    return rearrange(summed, "(b p) (n c) -> b n c p", b=B, n=N)
