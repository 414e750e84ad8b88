"""What a tracker is to the rest of the package: given masks on some frames, it finds the same objects on all frames.

Trackers know videos and masks, nothing of queries or models: they meet the families only in the session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from saymask.records import Video


@dataclass(frozen=True)
class FrameMasks:
    """All objects on one frame: bool masks_NHW at video size that do not overlap, and a score (0 ... 1) for each.

    A score is the mean probability of the object's predicted pixels, 0 if there are none.
    """

    frame_idx: int
    masks_NHW: Tensor
    scores_N: Tensor


class Tracker(Protocol):
    """A loaded tracker, ready to propagate; it keeps nothing of a video between calls but what the caller holds in `features`."""

    name: str
    weights_files: tuple[Path, ...]
    """Where the weights were read from, for reports; empty for a tracker that has none."""

    def features(self, video: Video, budget_bytes: int) -> Any:
        """What this tracker may keep of a video's frames from one `propagate` to the next, within a byte budget; None if nothing.

        Several propagations of one video, also interleaved frame by frame, may share it.
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
            ConfigError: no reference, a frame index outside the video, masks of another size or number, or no object in any of them.
        """
        ...

    def notice(self, video: Video) -> str | None:
        """One line a user should read before trusting this tracker on this video, if any."""
        ...
