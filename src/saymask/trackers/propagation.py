"""From references to masks on every frame, for any number of independent sets of objects in one walk through the video.

Objects that start from the same frames are tracked together and compete for pixels; sets of different questions may overlap. All
sets advance frame by frame side by side, so that a tracker that shares features encodes each frame once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saymask.records import Masklet, Rle, Video
from saymask.trackers.base import Tracker


@dataclass
class ObjectTrack:
    """One object on its way: what it is tracked from, and its masks as they are found, in any order of frames.

    Args:
        references: frame index -> bool mask_HW that a tracker may trust.
        dropped: frame index -> why the model's own mask there is none of them.
    """

    references: dict[int, Tensor] = field(default_factory=dict)
    dropped: dict[int, str] = field(default_factory=dict)
    _rles: dict[int, Rle] = field(default_factory=dict)
    _scores: dict[int, float] = field(default_factory=dict)

    def add(self, frame_idx: int, mask_HW: Tensor, score: float) -> None:
        """Enter the mask of one frame."""
        self._rles[frame_idx] = Rle.encode(mask_HW.cpu().numpy())
        self._scores[frame_idx] = score

    def masklet(self, obj_id: int) -> Masklet:
        """The masks of all frames, once every frame has been entered."""
        frames = range(len(self._rles))
        return Masklet(obj_id, tuple(self._rles[i] for i in frames), np.array([self._scores[i] for i in frames], dtype=np.float32))


def with_same_references(tracks: Sequence[ObjectTrack]) -> list[list[ObjectTrack]]:
    """Group the objects that can be tracked together: those with references, on the same frames."""
    groups: dict[tuple[int, ...], list[ObjectTrack]] = {}
    for track in tracks:
        if track.references:
            groups.setdefault(tuple(sorted(track.references)), []).append(track)
    return list(groups.values())


def propagate_groups(
    tracker: Tracker,
    video: Video,
    groups: Sequence[Sequence[ObjectTrack]],
    features: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Enter the masks of every frame into every track.

    Args:
        tracker: what finds them.
        video: where.
        groups: as from `with_same_references`, of one question or of several.
        features: from `tracker.features(video, ...)`.
        progress: called with (frames done, frames in all) after every frame.

    Raises:
        ConfigError: references that no tracker can start from.
    """
    runs = [tracker.propagate(video, _joint_references(group), features) for group in groups]
    for done, frames in enumerate(zip(*runs, strict=True), start=1):
        for group, frame in zip(groups, frames, strict=True):
            for track, mask_HW, score in zip(group, frame.masks_NHW, frame.scores_N.tolist(), strict=True):
                track.add(frame.frame_idx, mask_HW, score)
        if progress:
            progress(done, video.num_frames)


def _joint_references(group: Sequence[ObjectTrack]) -> dict[int, Tensor]:
    """Frame index -> bool masks_NHW of the group's objects."""
    return {frame_idx: torch.stack([track.references[frame_idx] for track in group]) for frame_idx in group[0].references}
