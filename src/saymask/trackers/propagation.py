"""From references to masks on every frame.

Objects that start from the same frames are tracked together and compete for pixels; groups of different questions may overlap. A caller
advances its groups side by side, so that a tracker that shares features encodes each frame once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from saymask.records import Video
from saymask.trackers.base import FrameMasks, Tracker


@dataclass
class ObjectTrack:
    """What one object is tracked from.

    Args:
        references: frame index -> bool mask_HW that a tracker may trust.
        dropped: frame index -> why the model's own mask there is none of them.
    """

    references: dict[int, Tensor] = field(default_factory=dict)
    dropped: dict[int, str] = field(default_factory=dict)


def with_same_references(tracks: Sequence[ObjectTrack]) -> list[list[ObjectTrack]]:
    """Group the objects that can be tracked together: those with references, on the same frames."""
    groups: dict[tuple[int, ...], list[ObjectTrack]] = {}
    for track in tracks:
        if track.references:
            groups.setdefault(tuple(sorted(track.references)), []).append(track)
    return list(groups.values())


def propagate_group(tracker: Tracker, video: Video, group: Sequence[ObjectTrack], features: Any = None) -> Iterator[FrameMasks]:
    """Masks of one group's objects on every frame, in the tracker's order.

    Args:
        tracker: what finds them.
        video: where.
        group: as from `with_same_references`.
        features: from `tracker.features(video, ...)`.

    Raises:
        ConfigError: references that no tracker can start from.
    """
    return tracker.propagate(video, _joint_references(group), features)


def _joint_references(group: Sequence[ObjectTrack]) -> dict[int, Tensor]:
    """Frame index -> bool masks_NHW of the group's objects."""
    return {frame_idx: torch.stack([track.references[frame_idx] for track in group]) for frame_idx in group[0].references}
