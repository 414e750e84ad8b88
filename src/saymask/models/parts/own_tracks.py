"""For families that track what they find: masks of every frame as run lengths, which are all that is held of a long video.

masks of some objects on one frame ─ tracker.propagate ─ track_T of each: (Rle, score) per frame
frame after frame, none known before it is stepped to ─ ForwardWalk.step ─ what is seen on it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from saymask.models.run_lengths import encode_masks
from saymask.records import FrameSource, Rle, Video

TrackFrame = tuple[Rle, float]
"""An object's mask on one frame, and its score (0 ... 1)."""


@dataclass(frozen=True)
class Sighting:
    """An object of a query on one frame.

    Args:
        obj_id: stays the same from frame to frame.
        phrase: the words it answers to.
        presence: the highest score it had so far, 0 ... 1.
        mask_HW: bool, at the source's size, with at least one pixel.
        score: of this frame, 0 ... 1.
    """

    obj_id: int
    phrase: str
    presence: float
    mask_HW: Tensor
    score: float


class ForwardWalk(Protocol):
    """One query, answered frame after frame: nothing that a step gives depends on a later frame."""

    def step(self, frame_idx: int) -> list[Sighting]:
        """What is seen on the next frame, which the source must have now; from 0 on, none left out."""
        ...


@runtime_checkable
class FollowingSegmenter(Protocol):
    """What a segmenter has beside `Segmenter` that can answer so."""

    def follow(self, source: FrameSource, query: str, options: Any) -> ForwardWalk:
        """Begin to answer a query.

        Args:
            source: whose frames are stepped to; its first is frame 0.
            query: what to find.
            options: an instance of the family's `Options`.

        Raises:
            ConfigError: a query that cannot be asked.
        """
        ...


def phrases_and_counts(phrases: Sequence[str]) -> str:
    """The text of an answer that has found objects with these phrases."""
    return ", ".join(f"{phrase}: {count}" for phrase, count in Counter(phrases).items()) or "not in this video"


class BoxTracker(Protocol):
    """A tracker that also finds the object in a box; `trackers/sam2` fulfils it."""

    name: str
    weights_files: tuple[Any, ...]

    def features(self, video: Video, budget_bytes: int) -> Any: ...

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: Any = None) -> Iterator[Any]:
        """`FrameMasks` of every frame, in any order."""
        ...

    def masks_in_boxes(self, video: Video, frame_idx: int, boxes_N4: Tensor, features: Any = None) -> Any:
        """`FrameMasks` of one frame: the object in each box (x0 y0 x1 y1 in pixels)."""
        ...


def track_side_by_side(
    tracker: BoxTracker, video: Video, groups: Sequence[Mapping[int, Tensor]], features: Any
) -> list[list[list[TrackFrame]]]:
    """Track groups of objects through the whole video, advancing together so that a frame is encoded once.

    Args:
        tracker: what finds them.
        video: where.
        groups: per group, frame index -> bool masks_NHW of its objects; objects of one group compete for pixels.
        features: from `tracker.features(video, ...)`.

    Returns:
        Per group and object, mask and score of every frame.
    """
    found: list[dict[int, list[TrackFrame]]] = [{} for _ in groups]
    walks = [tracker.propagate(video, group, features) for group in groups]
    for step in zip(*walks, strict=True):
        for of_group, frame in zip(found, step, strict=True):
            of_group[frame.frame_idx] = encode_masks(frame.masks_NHW, frame.scores_N)
    return [[list(of_object) for of_object in zip(*(of_group[t] for t in range(video.num_frames)), strict=True)] for of_group in found]


def box_iou(one: Sequence[float] | None, other: Sequence[float] | None) -> float:
    """IoU (0 ... 1) of two boxes x0 y0 x1 y1; 0 where one is none."""
    if one is None or other is None:
        return 0.0
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
