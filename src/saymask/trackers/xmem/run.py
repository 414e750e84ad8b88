"""One walk of XMem or XMem++ over frames, object by object under the caller's ids, in memory that does not grow.

An object is a row of the core, in the order in which the objects were first given. What a reference says about an object counts; objects it
does not name are predicted on that frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from saymask.trackers.base import MAX_REFERENCES, FrameMasks
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.core import GivenMasks, XMemCore
from saymask.trackers.xmem.frames import EncodedFrame, EncodedFrames
from saymask.trackers.xmem.memory import Memory
from saymask.trackers.xmem.network import XMemNetwork


@dataclass(frozen=True)
class _Learnt:
    """A reference that permanent memory has: when its frame comes, its value need not be made again."""

    masks_NHW: Tensor
    value_BNChw: Tensor


class XMemRun:
    """See `TrackerRun`. What is called with encoded frames is called in inference mode.

    Args:
        network: in evaluation mode.
        features: of the source that is walked over.
        new_memory: an empty memory of this walk.
        permanent: keep references in permanent memory (XMem++), not in the working one (XMem).
    """

    def __init__(self, network: XMemNetwork, features: EncodedFrames, new_memory: Callable[[], Memory], permanent: bool):
        self._network = network
        self._features = features
        self._new_memory = new_memory
        self._permanent = permanent
        self._core = self._new_core()
        self._obj_ids: list[int] = []
        self._learnt: dict[int, _Learnt | None] = {}

    @property
    def obj_ids(self) -> tuple[int, ...]:
        return tuple(self._obj_ids)

    @torch.inference_mode()
    def learn(self, frame_idx: int, references: Mapping[int, Tensor]) -> None:
        if self._permanent:
            (frame,) = self._features.walk([frame_idx])
            self.learn_from(frame, frame_idx, references)
            self._learnt[frame_idx] = None  # perhaps it is never stepped to

    def learn_from(self, frame: EncodedFrame, frame_idx: int, references: Mapping[int, Tensor]) -> None:
        """Put the masks of a frame into permanent memory; objects that it does not name are absent from it."""
        self._meet(references)
        masks_NHW = self._rows(references)
        value_BNChw = self._core.learn(frame, masks_NHW)
        self._learnt[frame_idx] = _Learnt(masks_NHW, value_BNChw) if len(self._learnt) < MAX_REFERENCES else None

    @torch.inference_mode()
    def step(self, frame_idx: int, references: Mapping[int, Tensor] = {}) -> FrameMasks:
        (frame,) = self._features.walk([frame_idx])
        return self.step_on(frame, frame_idx, references)

    def step_on(self, frame: EncodedFrame, frame_idx: int, references: Mapping[int, Tensor], last: bool = False) -> FrameMasks:
        """The step on a frame that has been encoded; `last`: no frame follows, so nothing needs to be remembered."""
        self._meet(references)
        if not self._obj_ids:
            return FrameMasks(frame_idx, torch.zeros(0, *self._features.placement.video_size, dtype=torch.bool), torch.zeros(0))
        given = None
        if references:
            trusted_N = torch.tensor([obj_id in references for obj_id in self._obj_ids], device=self._network.device)
            masks_NHW, learnt = self._rows(references), self._learnt.get(frame_idx)
            is_same = learnt is not None and bool(trusted_N.all()) and torch.equal(learnt.masks_NHW, masks_NHW)
            value_BNChw = learnt.value_BNChw if learnt is not None and is_same else None
            given = GivenMasks(masks_NHW, trusted_N, frame_idx not in self._learnt, self._permanent, value_BNChw)
        prob_KHW = self._core.step(frame, given, last)
        return _frame_masks(frame_idx, self._features.placement.undo(prob_KHW))

    def drop(self, obj_id: int) -> None:
        if obj_id not in self._obj_ids:
            raise KeyError(obj_id)
        self._core.drop(self._obj_ids.index(obj_id))
        self._obj_ids.remove(obj_id)
        if not self._obj_ids:
            self._core = self._new_core()

    def _new_core(self) -> XMemCore:
        config = cast(XMemConfig, self._network.config)
        return XMemCore(self._network, self._new_memory(), config.mem_every, config.deep_update_every)

    def _meet(self, references: Mapping[int, Tensor]) -> None:
        """New objects get the next rows."""
        self._obj_ids += [obj_id for obj_id in references if obj_id not in self._obj_ids]

    def _rows(self, references: Mapping[int, Tensor]) -> Tensor:
        """Masks of all objects at the size of the network's input, zero where the reference says nothing."""
        size = self._features.placement.video_size
        nothing_HW = torch.zeros(size, device=self._network.device)
        masks_NHW = torch.stack([references[i].to(nothing_HW) if i in references else nothing_HW for i in self._obj_ids])
        return self._features.placement.masks(masks_NHW)


def _frame_masks(frame_idx: int, prob_KHW: Tensor) -> FrameMasks:
    """The most probable of background and objects at every pixel."""
    won_NHW = prob_KHW.argmax(0) == torch.arange(1, len(prob_KHW), device=prob_KHW.device)[:, None, None]
    return FrameMasks(frame_idx, won_NHW, (prob_KHW[1:] * won_NHW).sum((1, 2)) / won_NHW.sum((1, 2)).clamp(min=1))
