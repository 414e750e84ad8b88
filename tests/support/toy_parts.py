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
    """A phrase finds what has its kind: 0.9 if the colour is named too, 0.6 if no colour is, 0.2 if another one is."""

    name = "scene detector"
    default_threshold = 0.5
    weights_files: tuple[Path, ...] = ()

    def __init__(self, sample: Sample):
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
                if kind in words and box is not None and score > threshold:
                    boxes.append(box)
                    scores.append(score)
                    phrase_idx.append(place)
        return Detections(torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(scores), torch.tensor(phrase_idx, dtype=torch.long))


class OutlineTracker:
    """The outline in a box is the scene's; the tracking is that of a real tracker."""

    def __init__(self, sample: Sample, tracker: Tracker):
        self.name = tracker.name
        self.weights_files = tracker.weights_files
        self._tracker = tracker
        self._sample = sample

    def features(self, video: Video, budget_bytes: int) -> Any:
        return self._tracker.features(video, budget_bytes)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: Any = None) -> Iterator[FrameMasks]:
        return self._tracker.propagate(video, reference_masks, features)

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
