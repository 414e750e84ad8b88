"""Elements of XMem's memory: keys that all objects share, and values per group of objects.

Objects that were first seen in the same frame form a group. A group that came late has values for the last elements only: if it has n
of them, they belong to the last n keys. Elements keep the order in which they were stored. Nothing here is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor

_UNREAD_LIFE = 1e-7
"""Life of an element that no frame has read yet: its usage is 0 / 1e-7."""


@dataclass(frozen=True)
class Elements:
    """M elements with their values and how much they were used.

    Args:
        key_BCM, shrinkage_B1M: what a reading frame is compared with.
        selection_BCM: the selection of the frame that the element comes from; consolidation reads with it.
        values: per group mem_value_BMNC, M being at most the number of keys.
        use_M: sum of the weights with which the first group's objects read an element.
        life_M: how many frames have read since it was stored.
    """

    key_BCM: Tensor
    shrinkage_B1M: Tensor
    selection_BCM: Tensor
    values: tuple[Tensor, ...]
    use_M: Tensor
    life_M: Tensor

    @classmethod
    def unread(cls, key_BCM: Tensor, shrinkage_B1M: Tensor, selection_BCM: Tensor, values: Sequence[Tensor]) -> Elements:
        """New elements, which no frame has used."""
        use_M = torch.zeros(key_BCM.shape[-1], device=key_BCM.device)
        return cls(key_BCM, shrinkage_B1M, selection_BCM, tuple(values), use_M, torch.full_like(use_M, _UNREAD_LIFE))

    def __len__(self) -> int:
        return self.key_BCM.shape[-1]

    @property
    def usage_M(self) -> Tensor:
        """Mean use per frame that read."""
        return self.use_M / self.life_M

    def used(self, usage_M: Tensor) -> Elements:
        """The same elements after one more frame has read them."""
        return replace(self, use_M=self.use_M + usage_M, life_M=self.life_M + 1)

    def above(self, usage: Tensor) -> Elements:
        """Only the elements that were used more than `usage`, with the values that belong to them."""
        kept_M = self.usage_M > usage
        return self._pick(lambda x: x[..., kept_M], lambda value_BMNC: value_BMNC[:, kept_M[len(self) - value_BMNC.shape[1] :]])

    def middle(self, num_first: int, num_last: int) -> Elements:
        """All but the first and last elements, of the keys and of each group's values.

        As published, a group gives no value unless it has more than 2 * num_first + num_last of them.
        """

        def inner_values(value_BMNC: Tensor) -> Tensor:
            size = value_BMNC.shape[1]
            return value_BMNC[:, num_first : size - num_last] if size > 2 * num_first + num_last else value_BMNC[:, :0]

        return self._pick(lambda x: x[..., num_first : len(self) - num_last], inner_values)

    def ends(self, num_first: int, num_last: int) -> Elements:
        """Only the first and last elements, of the keys and of each group's values; a group that has no more keeps what it has.

        As published, the first values of a late group stay although their keys go: from then on they are matched with the first keys.
        """

        def both_ends(x: Tensor, dim: int) -> Tensor:
            size = x.shape[dim]
            if size <= num_first + num_last:
                return x
            return torch.cat([x.narrow(dim, 0, num_first), x.narrow(dim, size - num_last, num_last)], dim)

        return self._pick(lambda x: both_ends(x, -1), lambda value_BMNC: both_ends(value_BMNC, 1))

    def latest(self, size: int) -> Elements:
        """Only the last `size` elements, with the values that belong to them."""
        return self._pick(
            lambda x: x[..., max(0, x.shape[-1] - size) :], lambda value_BMNC: value_BMNC[:, max(0, value_BMNC.shape[1] - size) :]
        )

    def without(self, group: int, place: int) -> Elements | None:
        """The elements without the values of one object of a group; those that belong to no other group go as well, perhaps all."""
        if group >= len(self.values):
            return self
        value_BMNC = self.values[group]
        left_BMNC = torch.cat([value_BMNC[:, :, :place], value_BMNC[:, :, place + 1 :]], dim=2)
        kept = (left_BMNC,) if left_BMNC.shape[2] else ()
        values = (*self.values[:group], *kept, *self.values[group + 1 :])
        # The first group has the most values.
        return replace(self, values=values).latest(values[0].shape[1]) if values else None

    def _pick(self, pick: Callable[[Tensor], Tensor], pick_values: Callable[[Tensor], Tensor]) -> Elements:
        """`pick` acts on the last axis of everything but the values."""
        return Elements(
            pick(self.key_BCM),
            pick(self.shrinkage_B1M),
            pick(self.selection_BCM),
            tuple(pick_values(value_BMNC) for value_BMNC in self.values),
            pick(self.use_M),
            pick(self.life_M),
        )


def from_frame(
    key_BChw: Tensor, shrinkage_B1hw: Tensor, selection_BChw: Tensor, value_BNChw: Tensor, group_sizes: Sequence[int]
) -> Elements:
    """The h * w elements of one frame, where every group of objects has a value."""
    value_BMNC = rearrange(value_BNChw, "b n c h w -> b (h w) n c")
    values = [group_BMNC.contiguous() for group_BMNC in value_BMNC.split(list(group_sizes), dim=2)]
    return Elements.unread(key_BChw.flatten(2), shrinkage_B1hw.flatten(2), selection_BChw.flatten(2), values)


def join(earlier: Elements | None, later: Elements) -> Elements:
    """Both, in this order; `later` may have groups of which `earlier` has no value."""
    if earlier is None:
        return later
    known = len(earlier.values)
    values = [torch.cat([before, after], dim=1) for before, after in zip(earlier.values, later.values[:known], strict=True)]

    def along_last(name: str) -> Tensor:
        return torch.cat([getattr(earlier, name), getattr(later, name)], dim=-1)

    return Elements(
        along_last("key_BCM"),
        along_last("shrinkage_B1M"),
        along_last("selection_BCM"),
        (*values, *later.values[known:]),
        along_last("use_M"),
        along_last("life_M"),
    )
