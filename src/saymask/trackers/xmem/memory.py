"""What a tracker remembers of a video (XMem, section 3.2; XMem++, section 3.1): working, long-term and permanent memory, read as one.

    working      whole frames, the latest; when full, its older part is consolidated
    long-term    prototypes of what was consolidated; bounded, the least used go
    permanent    whole reference frames (XMem++); never touched, so it grows with their number only

Size therefore does not depend on the length of the video if there is a long-term memory; without one the working memory grows.
Objects are rows of value_BNChw in the order in which they were first seen.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from saymask.trackers.xmem.affinity import readout, similarity, top_k_softmax
from saymask.trackers.xmem.long_term import consolidate, evict
from saymask.trackers.xmem.memory_store import Elements, from_frame, join

_POSITIONS_AT_ONCE = 256
"""Query positions compared at a time: the similarities of a whole frame with a full memory would be 100 MB and more."""


@dataclass(frozen=True)
class LongTermRules:
    """When the working memory is consolidated, and into how much.

    Args:
        max_mid_term_frames: frames at which the working memory is full.
        min_mid_term_frames: frames that stay in it.
        num_prototypes: elements made of all others.
        max_elements: bound of the long-term memory.
        keep_first_frame: count the very first frame among those that stay (XMem); else only the latest stay (XMem++).
        count_usage: keep counting the use of long-term elements. Eviction needs it; a video too short for eviction does not.
    """

    max_mid_term_frames: int
    min_mid_term_frames: int
    num_prototypes: int
    max_elements: int
    keep_first_frame: bool
    count_usage: bool

    def __post_init__(self) -> None:
        if not 1 <= self.min_mid_term_frames < self.max_mid_term_frames:
            raise ValueError(
                f"working memory must shrink to 1 or more frames, got {self.max_mid_term_frames} -> {self.min_mid_term_frames}"
            )
        if not 1 <= self.num_prototypes <= self.max_elements:
            raise ValueError(f"{self.num_prototypes} prototypes do not fit into {self.max_elements} long-term elements")


class Memory:
    """The three stores of one run over a video.

    Args:
        top_k: elements that each position of a frame reads.
        long_term: None keeps every remembered frame in working memory.
        max_permanent: frames that the permanent memory holds, the latest; None = all.
    """

    def __init__(self, top_k: int, long_term: LongTermRules | None, max_permanent: int | None = None):
        self.top_k = top_k
        self.rules = long_term
        self.max_permanent = max_permanent
        self.long_term: Elements | None = None
        self.working: Elements | None = None
        self.permanent: Elements | None = None
        self.group_sizes: list[int] = []

    @property
    def num_objects(self) -> int:
        """How many objects can be read."""
        return sum(self.group_sizes)

    def remember(
        self, key_BChw: Tensor, shrinkage_B1hw: Tensor, selection_BChw: Tensor, value_BNChw: Tensor, permanent: bool = False
    ) -> None:
        """Add a frame to the permanent memory, or to the working memory and consolidate if that is full.

        Rows of objects that are new in this frame come last in `value_BNChw`; together they form a group.
        """
        N = value_BNChw.shape[1]
        if N > self.num_objects:
            self.group_sizes.append(N - self.num_objects)
        elements = from_frame(key_BChw, shrinkage_B1hw, selection_BChw, value_BNChw, self.group_sizes)
        if permanent:
            self.permanent = join(self.permanent, elements)
            if self.max_permanent is not None:
                self.permanent = self.permanent.latest(self.max_permanent * len(elements))
            return
        self.working = join(self.working, elements)
        if self.rules is not None and len(self.working) >= self.rules.max_mid_term_frames * len(elements):
            self._consolidate(self.rules, self.working, frame_size=len(elements))

    def drop(self, row: int) -> None:
        """Forget an object, and its group if it was the only one in it; the rows after it move up."""
        ends = list(accumulate(self.group_sizes))
        group = bisect_right(ends, row)
        place = row - (ends[group] - self.group_sizes[group])
        self.group_sizes[group] -= 1
        if not self.group_sizes[group]:
            del self.group_sizes[group]
        stores = (self.long_term, self.working, self.permanent)
        self.long_term, self.working, self.permanent = (store and store.without(group, place) for store in stores)

    def read(self, query_key_BChw: Tensor, selection_BChw: Tensor) -> Tensor:
        """What all memories together say about a frame -> readout_BNChw; counts which elements were used."""
        stores = [store for store in (self.long_term, self.working, self.permanent) if store is not None]
        key_BCM = torch.cat([store.key_BCM for store in stores], dim=-1)
        shrinkage_B1M = torch.cat([store.shrinkage_B1M for store in stores], dim=-1)
        groups = [_of_group(stores, number) for number in range(len(self.group_sizes))]
        usage_M = torch.zeros(key_BCM.shape[-1], device=key_BCM.device)
        chunks = []
        for start in range(0, query_key_BChw[0, 0].numel(), _POSITIONS_AT_ONCE):
            positions = slice(start, start + _POSITIONS_AT_ONCE)
            query_BCP, selection_BCP = query_key_BChw.flatten(2)[..., positions], selection_BChw.flatten(2)[..., positions]
            similarity_BPM = similarity(key_BCM, shrinkage_B1M, query_BCP, selection_BCP)
            affinities = [top_k_softmax(similarity_BPM[..., columns], self.top_k) for columns, _ in groups]
            reads = [readout(affinity, value_BMNC) for affinity, (_, value_BMNC) in zip(affinities, groups, strict=True)]
            chunks.append(torch.cat(reads, dim=1))
            usage_M += affinities[0].usage_BM()[0]
        self._count_use(usage_M)
        return torch.cat(chunks, dim=-1).unflatten(-1, query_key_BChw.shape[-2:])

    def _count_use(self, usage_M: Tensor) -> None:
        """Usage decides what is consolidated and evicted; permanent elements need none."""
        if self.rules is None:
            return
        num_long_term = 0 if self.long_term is None else len(self.long_term)
        if self.long_term is not None and self.rules.count_usage:
            self.long_term = self.long_term.used(usage_M[:num_long_term])
        if self.working is not None:
            self.working = self.working.used(usage_M[num_long_term : num_long_term + len(self.working)])

    def _consolidate(self, rules: LongTermRules, working: Elements, frame_size: int) -> None:
        """Turn the working memory's candidates into prototypes, for which the long-term memory makes room first."""
        num_first = frame_size if rules.keep_first_frame else 0
        num_last = rules.min_mid_term_frames * frame_size - num_first
        prototypes = consolidate(working.middle(num_first, num_last), rules.num_prototypes)
        older = None if self.long_term is None else evict(self.long_term, rules.max_elements - rules.num_prototypes)
        self.long_term = join(older, prototypes)
        self.working = working.ends(num_first, num_last)


def _of_group(stores: list[Elements], number: int) -> tuple[slice | Tensor, Tensor]:
    """Which columns of all keys a group has values for, and these values."""
    values, columns, end = [], [], 0
    for store in stores:
        end += len(store)
        if number < len(store.values):
            values.append(store.values[number])
            columns.append(torch.arange(end - values[-1].shape[1], end, device=values[-1].device))
    value_BMNC, columns_M = torch.cat(values, dim=1), torch.cat(columns)
    return slice(None) if len(columns_M) == end else columns_M, value_BMNC
