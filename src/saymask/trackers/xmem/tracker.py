"""XMem (arXiv 2207.07115) and XMem++ (arXiv 2307.15958) behind the `Tracker` protocol: `XMemCore` walked through a video.

    xmem++   learns all references first, then goes through the video once, from its first frame to its last
    xmem     starts at the earliest reference, once forwards and once backwards; a later reference counts from its frame on

As published, xmem++ believes a reference that an object it does not show is absent, on that frame; xmem takes it to say nothing about
that object. So xmem++ learns from a reference that shows no object where the background is; for xmem there is nothing to learn from it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from saymask.errors import CheckpointError
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.trackers.base import PRESENT_ABOVE, FrameMasks, check_references
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.core import GivenMasks, XMemCore
from saymask.trackers.xmem.frames import EncodedFrames, Placement
from saymask.trackers.xmem.memory import LongTermRules, Memory
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.weights import load_xmem

TOY_WEIGHTS = Path(str(files("saymask") / "weights" / "xmem-toy"))
"""Trained by this repository on drawn scenes; what is loaded if nothing else is asked for."""

_PUBLISHED = "--tracker-weights XMem.pth takes the published weights (https://github.com/hkchengrex/XMem/releases)"
_PUBLISHED_MEM_EVERY = 5
"""With the published weights, of xmem; xmem++ has the default of `XMemConfig`."""


class XMemTracker:
    """A loaded XMem.

    Args:
        network: placed where it is to compute.
        name: as in the table of trackers.
        learns_first: learn all references before the first frame (XMem++), not each when its frame comes (XMem).
        weights_files: where the network was read from.
    """

    def __init__(self, network: XMemNetwork, name: str, learns_first: bool, weights_files: tuple[Path, ...] = ()):
        self.network = network.eval()
        self.config = cast(XMemConfig, network.config)
        self.name = name
        self.weights_files = weights_files
        self._learns_first = learns_first

    def features(self, video: Video, budget_bytes: int) -> EncodedFrames:
        return EncodedFrames(self.network, video, budget_bytes)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: EncodedFrames | None = None) -> Iterator[FrameMasks]:
        check_references(video, reference_masks)
        references = _References(reference_masks)
        features = features or self.features(video, budget_bytes=0)
        if self._learns_first:
            yield from self._run(features, references, range(video.num_frames))
            return
        start = references.not_empty[0]
        yield from self._run(features, references, range(start, video.num_frames))
        if start > 0:
            backwards = self._run(features, references, range(start, -1, -1))
            next(backwards)  # the reference's own frame, which the first run has given
            yield from backwards

    def notice(self, video: Video) -> str | None:
        tag = self.config.domain_tag
        if not tag or video.tags.get("comment") == tag:
            return None
        return f"tracker {self.name!r} was trained on drawn scenes; {_PUBLISHED}"

    @torch.inference_mode()
    def _run(self, features: EncodedFrames, references: _References, order: range) -> Iterator[FrameMasks]:
        """One core through these frames."""
        config, placement = self.config, features.placement
        memory = Memory(config.top_k, long_term_rules(config, len(order), keep_first_frame=not self._learns_first))
        core = XMemCore(self.network, memory, config.mem_every, config.deep_update_every)
        if self._learns_first:
            for frame_idx, frame in zip(references.learning_order, features.walk(references.learning_order), strict=True):
                core.learn(frame, placement.masks(references.met(frame_idx).to(self.network.device)))
        for frame_idx, frame in zip(order, features.walk(order), strict=True):
            prob_KHW = core.step(frame, self._given(references, frame_idx, placement), last=frame_idx == order[-1])
            yield _frame_masks(frame_idx, placement.undo(prob_KHW), references.object_order)

    def _given(self, references: _References, frame_idx: int, placement: Placement) -> GivenMasks | None:
        """What the references say about a frame, if anything."""
        if self._learns_first:
            masks_NHW = references.masks.get(frame_idx)
            trusted = [True] * len(references.object_order)
        else:
            masks_NHW = references.met(frame_idx) if frame_idx in references.not_empty else None
            trusted = references.shown.get(frame_idx, [])
        if masks_NHW is None:
            return None
        device = self.network.device
        trusted_N = torch.tensor(trusted[: len(masks_NHW)], device=device)
        return GivenMasks(placement.masks(masks_NHW.to(device)), trusted_N, remember=not self._learns_first)


class _References:
    """Reference masks in the order of their frames, objects in the order in which they are first shown.

    Attributes:
        object_order: the caller's number of each object.
        masks: frame index -> masks_NHW at video size.
        shown: frame index -> which objects the masks show.
        not_empty: indices of the frames that show any.
        learning_order: indices of all frames. The first that shows an object leads, since without an object nothing can be learnt.
    """

    def __init__(self, reference_masks: Mapping[int, Tensor]):
        present = {i: (reference_masks[i] > PRESENT_ABOVE).flatten(1).any(1).tolist() for i in sorted(reference_masks)}
        num_objects = len(next(iter(present.values())))
        first_shown = [next(i for i, shown in present.items() if shown[n]) for n in range(num_objects)]
        self.object_order = sorted(range(num_objects), key=first_shown.__getitem__)
        self.masks = {i: reference_masks[i][self.object_order] for i in present}
        self.shown = {i: [shown[n] for n in self.object_order] for i, shown in present.items()}
        self.not_empty = [i for i, shown in present.items() if any(shown)]
        self.learning_order = sorted(present, key=lambda i: (i != self.not_empty[0], i))
        self._first_shown = sorted(first_shown)

    def met(self, frame_idx: int) -> Tensor:
        """Masks of the objects that this reference or one earlier in the learning order shows."""
        return self.masks[frame_idx][: bisect_right(self._first_shown, max(frame_idx, self.not_empty[0]))]


def long_term_rules(config: XMemConfig, num_frames: int, keep_first_frame: bool) -> LongTermRules | None:
    """The long-term memory of a run over `num_frames` frames, if the configuration wants one."""
    if not config.enable_long_term:
        return None
    consolidations = num_frames / (config.max_mid_term_frames - config.min_mid_term_frames)  # if every frame were remembered
    return LongTermRules(
        config.max_mid_term_frames,
        config.min_mid_term_frames,
        config.num_prototypes,
        config.max_long_term_elements,
        keep_first_frame,
        count_usage=consolidations * config.num_prototypes >= config.max_long_term_elements,
    )


def load_xmem_tracker(runtime: Runtime, weights: str | Path | None) -> XMemTracker:
    """XMem: from its earliest reference forwards and backwards, in bounded memory (arXiv 2207.07115).

    Raises:
        CheckpointError: the weights cannot be read or do not fit.
    """
    tracker = _load("xmem", False, runtime, weights)
    if weights is not None and Path(weights).is_file():
        tracker.config.mem_every = _PUBLISHED_MEM_EVERY
    return tracker


def load_xmem_plus_plus(runtime: Runtime, weights: str | Path | None) -> XMemTracker:
    """XMem++: sees all references from the first frame on; VideoLISA's post-optimisation (arXiv 2307.15958).

    Raises:
        CheckpointError: the weights cannot be read or do not fit.
    """
    return _load("xmem++", True, runtime, weights)


def _load(name: str, learns_first: bool, runtime: Runtime, weights: str | Path | None) -> XMemTracker:
    path = TOY_WEIGHTS if weights is None else Path(weights)
    if weights is None and not path.is_dir():
        raise CheckpointError(f"{path}: this installation has no bundled tracker weights; {_PUBLISHED}")
    network = load_xmem(path, runtime)
    return XMemTracker(network, name, learns_first, (path if path.is_file() else path / "model.safetensors",))


def _frame_masks(frame_idx: int, prob_KHW: Tensor, object_order: list[int]) -> FrameMasks:
    """The most probable of background and objects at every pixel; objects that have not been met yet are nowhere."""
    N, (K, H, W) = len(object_order), prob_KHW.shape
    met = object_order[: K - 1]
    won_NHW = prob_KHW.argmax(0) == torch.arange(1, K, device=prob_KHW.device)[:, None, None]
    masks_NHW = torch.zeros(N, H, W, dtype=torch.bool, device=prob_KHW.device)
    scores_N = torch.zeros(N, device=prob_KHW.device)
    masks_NHW[met] = won_NHW
    scores_N[met] = (prob_KHW[1:] * won_NHW).sum((1, 2)) / won_NHW.sum((1, 2)).clamp(min=1)
    return FrameMasks(frame_idx, masks_NHW, scores_N)
