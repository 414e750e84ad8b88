"""XMem's step from frame to frame: read the memory, decode, and now and then remember the result (XMem section 3, XMem++ section 3.1).

Everything is at the size of the network's input. Objects are rows in the order in which they were first seen: given masks may bring new
ones, which come last. The core knows no video; its caller decides about the order of the frames and which masks are given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from saymask.trackers.xmem.frames import EncodedFrame
from saymask.trackers.xmem.memory import Memory
from saymask.trackers.xmem.network import XMemNetwork, aggregate

_TAKEN = 0.5
"""Where the given masks add up to more than this, no other object is predicted."""


@dataclass(frozen=True)
class GivenMasks:
    """What is known about a frame.

    Args:
        masks_NHW: 0 to 1, for every object seen so far and the new ones.
        trusted_N: which rows count; the others are predicted. A new object's row always counts.
        remember: keep the frame in memory; not if permanent memory has it.
        permanent: in the permanent memory, not the working one.
        value_BNChw: what was learnt of just these masks, all of them trusted; None = it is not known.
    """

    masks_NHW: Tensor
    trusted_N: Tensor
    remember: bool
    permanent: bool = False
    value_BNChw: Tensor | None = None


class XMemCore:
    """One run over a sequence of frames.

    Args:
        network: in evaluation mode.
        memory: empty; belongs to this run.
        mem_every: frames from one memory frame to the next.
        deep_update_every: frames between updates of the sensory memory from values; -1 = at every memory frame, where the decoder's
            update is then left out.
    """

    def __init__(self, network: XMemNetwork, memory: Memory, mem_every: int, deep_update_every: int):
        self.memory = memory
        self.hidden_BNChw: Tensor | None = None
        self._network = network
        self._mem_every = mem_every
        self._deep_update_every = deep_update_every
        self._frame_number = -1
        self._last_mem_frame = 0
        self._last_deep_update = -deep_update_every

    def learn(self, frame: EncodedFrame, masks_NHW: Tensor) -> Tensor:
        """Put a reference into the permanent memory, before the first step -> its value_BNChw."""
        prob_BNHW = aggregate(masks_NHW[None])[:, 1:]
        value_BNChw, _ = self._network.encode_value(frame.image_13HW, frame.key, None, prob_BNHW, deep_update=False)
        self._remember(frame, value_BNChw, permanent=True)
        return value_BNChw

    def step(self, frame: EncodedFrame, given: GivenMasks | None = None, last: bool = False) -> Tensor:
        """Probabilities of the next frame, float32 prob_KHW that sum to 1, background first (K = N + 1).

        Args:
            frame: the frame.
            given: masks known for it, if any; a frame with some is a memory frame.
            last: no frame follows, so nothing is remembered.
        """
        self._frame_number += 1
        is_mem_frame = not last and (given is not None or self._frame_number - self._last_mem_frame >= self._mem_every)
        synchronous = self._deep_update_every < 0
        update_hidden = not last and not (synchronous and is_mem_frame)
        prob_KHW = self._segment(frame, update_hidden) if given is None else self._complete(frame, given, update_hidden)
        self._extend_hidden(frame, num_objects=len(prob_KHW) - 1)
        if is_mem_frame:
            deep = synchronous or self._frame_number - self._last_deep_update >= self._deep_update_every
            self._update_memory(frame, prob_KHW[1:], deep, given)
        return prob_KHW

    def drop(self, row: int) -> None:
        """Forget an object; the rows after it move up."""
        self.memory.drop(row)
        if self.hidden_BNChw is not None:
            self.hidden_BNChw = torch.cat([self.hidden_BNChw[:, :row], self.hidden_BNChw[:, row + 1 :]], dim=1)

    def _segment(self, frame: EncodedFrame, update_hidden: bool) -> Tensor:
        """Probabilities of all objects in memory: prob_KHW."""
        self._extend_hidden(frame, self.memory.num_objects)
        readout_BNChw = self.memory.read(frame.key.key_BChw, frame.key.selection_BChw)
        logits_BNHW, self.hidden_BNChw = self._network.decode(frame.key, readout_BNChw, self.hidden_BNChw, update_hidden)
        return aggregate(logits_BNHW.sigmoid())[0]

    def _complete(self, frame: EncodedFrame, given: GivenMasks, update_hidden: bool) -> Tensor:
        """Probabilities of the given masks, with predictions of the objects they say nothing about: prob_KHW."""
        masks_NHW = given.masks_NHW
        if not given.trusted_N.all():
            predicted_NHW = self._segment(frame, update_hidden)[1:]
            free_HW = masks_NHW[given.trusted_N].sum(0) <= _TAKEN
            masks_NHW = masks_NHW.clone()
            open_N = ~given.trusted_N[: len(predicted_NHW)]
            masks_NHW[: len(predicted_NHW)][open_N] = (predicted_NHW * free_HW)[open_N]
        return aggregate(masks_NHW[None])[0]

    def _update_memory(self, frame: EncodedFrame, prob_NHW: Tensor, deep: bool, given: GivenMasks | None) -> None:
        """Remember the frame, and update the sensory memory from its value."""
        if given is not None and given.value_BNChw is not None:
            if deep:
                self.hidden_BNChw = self._network.deep_update(given.value_BNChw, self.hidden_BNChw)
        else:
            value_BNChw, self.hidden_BNChw = self._network.encode_value(
                frame.image_13HW, frame.key, self.hidden_BNChw, prob_NHW[None], deep_update=deep
            )
            if given is None or given.remember:
                self._remember(frame, value_BNChw, permanent=given is not None and given.permanent)
        self._last_mem_frame = self._frame_number
        if deep:
            self._last_deep_update = self._frame_number

    def _remember(self, frame: EncodedFrame, value_BNChw: Tensor, permanent: bool) -> None:
        key = frame.key
        self.memory.remember(key.key_BChw, key.shrinkage_B1hw, key.selection_BChw, value_BNChw, permanent)

    def _extend_hidden(self, frame: EncodedFrame, num_objects: int) -> None:
        """New objects start with an empty sensory memory; those known keep theirs."""
        known = 0 if self.hidden_BNChw is None else self.hidden_BNChw.shape[1]
        fresh_BNChw = self._network.initial_hidden(frame.key, num_objects - known)
        if fresh_BNChw is not None:
            self.hidden_BNChw = fresh_BNChw if self.hidden_BNChw is None else torch.cat([self.hidden_BNChw, fresh_BNChw], dim=1)
