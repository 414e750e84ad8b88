"""XMem (arXiv 2207.07115) and XMem++ (arXiv 2307.15958) behind the `Tracker` protocol: `XMemRun` walked through a video.

    xmem++   learns all references first, then goes through the video once, from its first frame to its last
    xmem     starts at the earliest reference, once forwards and once backwards; a later reference counts from its frame on

As published, xmem++ believes a reference that an object it does not show is absent, on that frame; xmem takes it to say nothing about
that object. So xmem++ learns from a reference that shows no object where the background is; for xmem there is nothing to learn from it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from saymask.errors import CheckpointError
from saymask.records import FrameSource, Video
from saymask.runtime import Runtime
from saymask.trackers.base import MAX_REFERENCES, PRESENT_ABOVE, FrameMasks, check_references
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.frames import EncodedFrames
from saymask.trackers.xmem.memory import LongTermRules, Memory
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.run import XMemRun
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

    def features(self, source: FrameSource, budget_bytes: int) -> EncodedFrames:
        return EncodedFrames(self.network, source, budget_bytes)

    def start(self, source: FrameSource, features: EncodedFrames | None = None) -> XMemRun:
        return self._new_run(features or self.features(source, budget_bytes=0), None)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: EncodedFrames | None = None) -> Iterator[FrameMasks]:
        check_references(video, reference_masks)
        references = _References(reference_masks)
        features = features or self.features(video, budget_bytes=0)
        if self._learns_first:
            yield from self._walk(features, references, range(video.num_frames))
            return
        start = references.not_empty[0]
        yield from self._walk(features, references, range(start, video.num_frames))
        if start > 0:
            backwards = self._walk(features, references, range(start, -1, -1))
            next(backwards)  # the reference's own frame, which the first walk has given
            yield from backwards

    def notice(self, video: Video) -> str | None:
        tag = self.config.domain_tag
        if not tag or video.tags.get("comment") == tag:
            return None
        return f"tracker {self.name!r} was trained on drawn scenes; {_PUBLISHED}"

    @torch.inference_mode()
    def _walk(self, features: EncodedFrames, references: _References, order: range) -> Iterator[FrameMasks]:
        """One run through these frames."""
        run = self._new_run(features, len(order))
        if self._learns_first:
            for frame_idx, frame in zip(references.learning_order, features.walk(references.learning_order), strict=True):
                run.learn_from(frame, frame_idx, references.met(frame_idx))
        said = references.all_masks if self._learns_first else references.shown
        for frame_idx, frame in zip(order, features.walk(order), strict=True):
            found = run.step_on(frame, frame_idx, said(frame_idx), last=frame_idx == order[-1])
            yield _in_order(found, run.obj_ids, references.num_objects)

    def _new_run(self, features: EncodedFrames, num_frames: int | None) -> XMemRun:
        """A run over so many frames, or over an unknown number, in which the oldest references go."""
        config = self.config
        rules = long_term_rules(config, num_frames, keep_first_frame=not self._learns_first)
        max_permanent = MAX_REFERENCES if num_frames is None else None
        return XMemRun(self.network, features, lambda: Memory(config.top_k, rules, max_permanent), self._learns_first)


class _References:
    """Reference masks in the order of their frames, objects in the order in which they are first shown.

    Attributes:
        num_objects: which the caller numbers from 0.
        not_empty: indices of the frames that show any.
        learning_order: indices of all frames. The first that shows an object leads, since without an object nothing can be learnt.
    """

    def __init__(self, reference_masks: Mapping[int, Tensor]):
        present = {i: (reference_masks[i] > PRESENT_ABOVE).flatten(1).any(1).tolist() for i in sorted(reference_masks)}
        self.num_objects = len(next(iter(present.values())))
        first_shown = [next(i for i, shown in present.items() if shown[n]) for n in range(self.num_objects)]
        self._object_order = sorted(range(self.num_objects), key=first_shown.__getitem__)
        self._masks = reference_masks
        self._shown = {i: [n for n in self._object_order if shown[n]] for i, shown in present.items()}
        self.not_empty = [i for i, shown in present.items() if any(shown)]
        self.learning_order = sorted(present, key=lambda i: (i != self.not_empty[0], i))
        self._first_shown = sorted(first_shown)

    def all_masks(self, frame_idx: int) -> dict[int, Tensor]:
        """Masks of all objects, if the frame is a reference."""
        return self._of(frame_idx, self._object_order) if frame_idx in self._masks else {}

    def shown(self, frame_idx: int) -> dict[int, Tensor]:
        """Masks of the objects that the frame shows, if it is a reference."""
        return self._of(frame_idx, self._shown.get(frame_idx, []))

    def met(self, frame_idx: int) -> dict[int, Tensor]:
        """Masks of the objects that this reference or one earlier in the learning order shows."""
        return self._of(frame_idx, self._object_order[: bisect_right(self._first_shown, max(frame_idx, self.not_empty[0]))])

    def _of(self, frame_idx: int, objects: Sequence[int]) -> dict[int, Tensor]:
        return {n: self._masks[frame_idx][n] for n in objects}


def long_term_rules(config: XMemConfig, num_frames: int | None, keep_first_frame: bool) -> LongTermRules | None:
    """The long-term memory of a run over `num_frames` frames (None = nobody knows), if the configuration wants one."""
    if not config.enable_long_term:
        return None
    consolidations = (
        inf if num_frames is None else num_frames / (config.max_mid_term_frames - config.min_mid_term_frames)
    )  # if every frame were remembered
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


def _in_order(found: FrameMasks, obj_ids: Sequence[int], num_objects: int) -> FrameMasks:
    """The caller's objects in their order; those that have not been met yet are nowhere."""
    masks_NHW = found.masks_NHW.new_zeros(num_objects, *found.masks_NHW.shape[1:])
    scores_N = found.scores_N.new_zeros(num_objects)
    masks_NHW[list(obj_ids)], scores_N[list(obj_ids)] = found.masks_NHW, found.scores_N
    return FrameMasks(found.frame_idx, masks_NHW, scores_N)
