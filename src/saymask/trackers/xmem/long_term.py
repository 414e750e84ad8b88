"""Long-term memory (XMem, section 3.2.2): many elements become few prototypes, and the least used prototypes make room.

The most used candidates are the prototypes. Each keeps its key; its value and shrinkage are means over all candidates, weighted by how
similar they are to it (potentiation), so that little of what is thrown away is lost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saymask.trackers.xmem.affinity import similarity
from saymask.trackers.xmem.memory_store import Elements


def consolidate(candidates: Elements, num_prototypes: int) -> Elements:
    """At most `num_prototypes` elements that stand for all candidates, the most used first.

    A group of objects gets values only for the prototypes that lie among its own candidates, as means over these.
    """
    M = len(candidates)
    chosen_P = candidates.usage_M.topk(min(num_prototypes, M)).indices
    key_BCP, selection_BCP = candidates.key_BCM[..., chosen_P], candidates.selection_BCM[..., chosen_P]
    similarity_BPM = similarity(candidates.key_BCM, candidates.shrinkage_B1M, key_BCP, selection_BCP)
    shrinkage_B1P = candidates.shrinkage_B1M @ similarity_BPM.softmax(-1).mT.to(candidates.shrinkage_B1M.dtype)
    values = []
    for value_BMNC in candidates.values:
        first = M - value_BMNC.shape[1]
        own_BPM = similarity_BPM[:, chosen_P >= first, first:]
        values.append(_weighted_mean(own_BPM.softmax(-1), value_BMNC))
    return Elements.unread(key_BCP, shrinkage_B1P, selection_BCP, values)


def evict(elements: Elements, num_kept: int) -> Elements:
    """Drop the least used elements until at most `num_kept` are left; of equally used ones at the border none is kept."""
    surplus = len(elements) - num_kept
    if surplus <= 0:
        return elements
    return elements.above(elements.usage_M.kthvalue(surplus).values)


def _weighted_mean(weights_BPM: Tensor, value_BMNC: Tensor) -> Tensor:
    return torch.einsum("bpm,bmnc->bpnc", weights_BPM.to(value_BMNC.dtype), value_BMNC)
