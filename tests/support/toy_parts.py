"""Parts that see a drawn scene as it was drawn: a detector that knows what everything is, and a tracker that knows outlines in boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saymask.models.grounded.detection import Detections
from saymask.records import Rle, Video
from saymask.samples import Sample
from saymask.trackers.base import FrameMasks, Tracker


class SceneDetector:
    """A phrase finds what has its kind: 0.9 if the colour is named too, 0.6 if no colour is, 0.2 if another one is.

    Args:
        sample: the scene.
        overlooks: the part (0 ... 1) of all boxes that it misses, by chance.
    """

    name = "scene detector"
    default_threshold = 0.5
    weights_files: tuple[Path, ...] = ()

    def __init__(self, sample: Sample, overlooks: float = 0.0):
        self._overlooks = overlooks
        self._dice = np.random.default_rng(0)
        frames_THWC = sample.video.frames(range(sample.video.num_frames))
        self._frame_idx = {frame_HWC.tobytes(): t for t, frame_HWC in enumerate(frames_THWC)}
        self._ids_THW = sample.regions(range(sample.video.num_frames))
        self._words = sample.region_words

    def detect(self, frame_HWC: np.ndarray, phrases: Sequence[str], threshold: float) -> Detections:
        ids_HW = self._ids_THW[self._frame_idx[frame_HWC.tobytes()]]
        boxes, scores, phrase_idx = [], [], []
        for place, phrase in enumerate(phrases):
            words = phrase.lower().split()
            colours = {colour for colour, _ in self._words} & set(words)
            for number, (colour, kind) in enumerate(self._words, start=1):
                box = Rle.encode(ids_HW == number).box()
                score = 0.9 if colour in words else 0.2 if colours else 0.6
                if kind in words and box is not None and score > threshold and self._dice.random() >= self._overlooks:
                    boxes.append(box)
                    scores.append(score)
                    phrase_idx.append(place)
        return Detections(torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(scores), torch.tensor(phrase_idx, dtype=torch.long))


class SceneTracker:
    """Outlines are the scene's. It follows a thing until that is out of sight, and then only from a reference on which it is back."""

    name = "scene tracker"
    weights_files: tuple[Path, ...] = ()

    def __init__(self, sample: Sample):
        self._sample = sample

    def features(self, video: Video, budget_bytes: int) -> Any:
        return None

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: Any = None) -> Iterator[FrameMasks]:
        ids_THW = torch.from_numpy(np.array(self._sample.regions(range(video.num_frames))))
        start = min(reference_masks)
        for order in (range(start, video.num_frames), range(start - 1, -1, -1)):
            followed = [_thing_in(mask_HW, ids_THW[start]) for mask_HW in reference_masks[start]]
            for t in order:
                given = reference_masks.get(t)
                followed = [thing if given is None else _thing_in(given[n], ids_THW[t]) for n, thing in enumerate(followed)]
                followed = [thing if thing and (ids_THW[t] == thing).any() else 0 for thing in followed]
                masks_NHW = torch.stack([(ids_THW[t] == thing) & (thing > 0) for thing in followed])
                yield FrameMasks(t, masks_NHW, masks_NHW.flatten(1).any(1).float())

    def masks_in_boxes(self, video: Video, frame_idx: int, boxes_N4: Tensor, features: Any = None) -> FrameMasks:
        ids_HW = torch.from_numpy(np.array(self._sample.regions([frame_idx])[0]))
        masks = []
        for box in boxes_N4.int().tolist():
            inside_HW = torch.zeros_like(ids_HW, dtype=torch.bool)
            inside_HW[box[1] : box[3], box[0] : box[2]] = True
            exact = [ids_HW == n for n in ids_HW.unique() if n and Rle.encode((ids_HW == n).numpy()).box() == tuple(box)]
            masks.append(exact[0] if exact else inside_HW)
        masks_NHW = torch.stack(masks)
        return FrameMasks(frame_idx, masks_NHW, masks_NHW.flatten(1).any(1).float())

    def notice(self, video: Video) -> str | None:
        return None


class OutlineTracker(SceneTracker):
    """The outline in a box is the scene's; the tracking is that of a real tracker."""

    def __init__(self, sample: Sample, tracker: Tracker):
        super().__init__(sample)
        self.name = tracker.name
        self.weights_files = tracker.weights_files
        self._tracker = tracker

    def features(self, video: Video, budget_bytes: int) -> Any:
        return self._tracker.features(video, budget_bytes)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: Any = None) -> Iterator[FrameMasks]:
        return self._tracker.propagate(video, reference_masks, features)


def _thing_in(mask_HW: Tensor, ids_HW: Tensor) -> int:
    """The id that has most of a mask's pixels; 0 = none."""
    ids, counts = ids_HW[mask_HW > 0.5].unique(return_counts=True)
    return int(ids[counts.argmax()]) if len(ids) else 0
