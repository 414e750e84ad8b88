"""What a tracker is to the rest of the package: given masks on some frames, it finds the same objects on all frames.

Trackers know videos and masks, nothing of queries or models: they meet the families only in the session.

    start ─ TrackerRun ─ step, step, step ...     one walk over frames, of which each step knows only those before it
    propagate                                     such walks over a whole video, every frame once
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.records import FrameSource, Video

PRESENT_ABOVE = 0.5
"""Where a reference mask exceeds this, the object is."""


@dataclass(frozen=True)
class FrameMasks:
    """All objects on one frame: bool masks_NHW at video size that do not overlap, and a score (0 ... 1) for each.

    A score is the mean probability of the object's predicted pixels, 0 if there are none.
    """

    frame_idx: int
    masks_NHW: Tensor
    scores_N: Tensor


class TrackerRun(Protocol):
    """Objects on their way through a video. Objects may come and go at any step; their ids are the caller's and never change.

    Memory does not depend on the number of steps, and not on that of the references, of which the oldest go.
    """

    @property
    def obj_ids(self) -> tuple[int, ...]:
        """The objects, in the order in which a step gives their masks."""
        ...

    def learn(self, frame_idx: int, references: Mapping[int, Tensor]) -> None:
        """Know the masks of a frame that no step has reached yet; a tracker without a memory for that takes no notice."""
        ...

    def step(self, frame_idx: int, references: Mapping[int, Tensor] = {}) -> FrameMasks:
        """Masks of all objects on the next frame, in the order of `obj_ids`; with no object yet, of none.

        Args:
            frame_idx: which frame of the source; the next one in time, or in reverse time throughout.
            references: object id -> mask_HW of this frame at video size (bool, or float from 0 to 1). An id that is new is a new object
                and must show a pixel; of objects that are not named nothing is said.
        """
        ...

    def drop(self, obj_id: int) -> None:
        """Follow an object no longer.

        Raises:
            KeyError: there is no such object.
        """
        ...


class Tracker(Protocol):
    """A loaded tracker; it keeps nothing of a video between calls but what the caller holds in `features`."""

    name: str
    weights_files: tuple[Path, ...]
    """Where the weights were read from, for reports; empty for a tracker that has none."""

    def features(self, source: FrameSource, budget_bytes: int) -> Any:
        """What this tracker may keep of a video's frames from one walk to the next, within a byte budget; None if nothing.

        Several walks over one video, also interleaved frame by frame, may share it.
        """
        ...

    def start(self, source: FrameSource, features: Any = None) -> TrackerRun:
        """A walk that begins, without objects yet; the length of the video need not be known.

        Args:
            source: has each frame at least while it is stepped to.
            features: from `features` of the same tracker and source.
        """
        ...

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: Any = None) -> Iterator[FrameMasks]:
        """Masks of the N objects on every frame of the video.

        Args:
            reference_masks: frame index -> masks_NHW of that frame at video size (bool, or float from 0 to 1), the same N objects on
                each; an object may be absent (all zero) from some, not from all. The order of the entries does not matter.
            features: from `features` of the same tracker and video.

        Yields:
            Each frame of the video exactly once, in any order.

        Raises:
            ConfigError: references that no tracker can start from; see `check_references`.
        """
        ...

    def notice(self, video: Video) -> str | None:
        """One line a user should read before trusting this tracker on this video, if any."""
        ...


def check_references(video: Video, reference_masks: Mapping[int, Tensor]) -> None:
    """Refuse references that no tracker can start from; every `propagate` begins with this.

    Args:
        video: the video they belong to.
        reference_masks: as for `Tracker.propagate`.

    Raises:
        ConfigError: no reference, a frame index outside the video, masks of another size or number, no object at all, or one that is
            present (above 0.5 somewhere) on no reference.
    """
    if not reference_masks:
        raise ConfigError(f"{video.name}: no reference masks to track from; give the masks of at least one frame")
    first_idx, first_NHW = next(iter(reference_masks.items()))
    for frame_idx, masks_NHW in reference_masks.items():
        if not 0 <= frame_idx < video.num_frames:
            raise ConfigError(f"{video.name}: reference frame {frame_idx} is outside the video; it has frames 0 to {video.num_frames - 1}")
        if masks_NHW.ndim != 3 or masks_NHW.shape[1:] != (video.height, video.width):
            raise ConfigError(
                f"{video.name}: the reference masks of frame {frame_idx} have shape {tuple(masks_NHW.shape)}; "
                f"give (objects, {video.height}, {video.width}), the video's own size"
            )
        if len(masks_NHW) != len(first_NHW):
            raise ConfigError(
                f"{video.name}: {len(masks_NHW)} reference masks on frame {frame_idx}, but {len(first_NHW)} on frame {first_idx}; "
                "give the same objects on each, all zero where one is absent"
            )
    present_RN = torch.stack([(masks_NHW > PRESENT_ABOVE).flatten(1).any(1).cpu() for masks_NHW in reference_masks.values()])
    if not present_RN.any():
        frames = ", ".join(map(str, sorted(reference_masks)))
        raise ConfigError(f"{video.name}: the reference masks are all empty (frames {frames}); give a mask of the object to track")
    if absent := (~present_RN.any(0)).nonzero().flatten().tolist():
        raise ConfigError(
            f"{video.name}: object {absent[0] + 1} of {len(first_NHW)} is empty in every reference mask; leave it out or give a mask of it"
        )


MAX_REFERENCES = 16
"""So many references a walk of unknown length keeps of what it was given, beside what it remembers of all frames."""


def exclusive_masks(values_NHW: Tensor, above: float) -> Tensor:
    """Bool masks_NHW that do not overlap: a pixel is the object's whose value is largest, if it exceeds `above`; the first of equals."""
    objects_N11 = torch.arange(len(values_NHW), device=values_NHW.device)[:, None, None]
    return (values_NHW > above) & (values_NHW.argmax(0) == objects_N11)
