"""A detector and a tracker for drawn frames, without weights: both go by colour, so that what is made of their answers can be checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saymask.models.grounded.detection import Detections
from saymask.records import Video
from saymask.trackers.base import FrameMasks, check_references, exclusive_masks

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourDetector:
    """A phrase is a colour; each group of columns that has it is a box. A box's score is 0.9, or lower if it is narrow: width / 10."""

    name = "colour detector"
    default_threshold = 0.3
    weights_files: tuple[Path, ...] = ()

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def detect(self, frame_HWC: np.ndarray, phrases: Sequence[str], threshold: float) -> Detections:
        self.calls.append(tuple(phrases))
        boxes, scores, phrase_idx = [], [], []
        for place, phrase in enumerate(phrases):
            mask_HW = (frame_HWC == COLOURS.get(phrase, (1, 2, 3))).all(-1)
            columns = np.flatnonzero(mask_HW.any(0))
            for group in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
                if len(group) and (score := min(0.9, len(group) / 10)) > threshold:
                    rows = np.flatnonzero(mask_HW[:, group].any(1))
                    boxes.append([group[0], rows[0], group[-1] + 1, rows[-1] + 1])
                    scores.append(score)
                    phrase_idx.append(place)
        return Detections(torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(scores), torch.tensor(phrase_idx, dtype=torch.long))


class ColourTracker:
    """An object is what has its colour, within `reach` columns of where it was last seen; it is lost when that is nowhere."""

    name = "colour tracker"
    weights_files: tuple[Path, ...] = ()

    def __init__(self, reach: int = 8):
        self.reach = reach

    def features(self, video: Video, budget_bytes: int) -> None:
        return None

    def start(self, source: Any, features: Any = None) -> ColourRun:
        return ColourRun(self, source)

    def masks_in_boxes(self, video: Video, frame_idx: int, boxes_N4: Tensor, features: Any = None) -> FrameMasks:
        frame_HWC = video.frames([frame_idx])[0]
        masks_NHW = torch.zeros(len(boxes_N4), video.height, video.width, dtype=torch.bool)
        for mask_HW, box in zip(masks_NHW, boxes_N4.int().tolist(), strict=True):
            x0, y0, x1, y1 = box
            inside_HWC = torch.from_numpy(frame_HWC[y0:y1, x0:x1])
            mask_HW[y0:y1, x0:x1] = (inside_HWC > 200).sum(-1) == 1
        return FrameMasks(frame_idx, masks_NHW, masks_NHW.flatten(1).any(1).float())

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: Any = None) -> Iterator[FrameMasks]:
        check_references(video, reference_masks)
        start = min(reference_masks)
        for order in (range(start, video.num_frames), reversed(range(start))):
            masks_NHW = reference_masks[start].bool()
            colours = [self._colour(video, start, mask_HW) for mask_HW in masks_NHW]
            for frame_idx in order:
                masks_NHW = self._next(video, frame_idx, masks_NHW, colours, reference_masks)
                yield FrameMasks(frame_idx, exclusive_masks(masks_NHW.float(), above=0.5), masks_NHW.flatten(1).any(1).float())

    def _colour(self, video: Any, frame_idx: int, mask_HW: Tensor) -> np.ndarray:
        return video.frames([frame_idx])[0][mask_HW.numpy()][0]

    def _next(
        self, video: Any, frame_idx: int, masks_NHW: Tensor, colours: Sequence[np.ndarray], references: Mapping[int, Tensor]
    ) -> Tensor:
        if frame_idx in references:
            return references[frame_idx].bool()
        found = []
        for mask_HW, colour in zip(masks_NHW, colours, strict=True):
            same_HW = torch.from_numpy((video.frames([frame_idx])[0] == colour).all(-1))
            columns = mask_HW.any(0).nonzero().flatten()
            near_W = torch.zeros(video.width, dtype=torch.bool)
            if len(columns):
                near_W[max(0, int(columns[0]) - self.reach) : int(columns[-1]) + 1 + self.reach] = True
            found.append(same_HW & near_W)
        return torch.stack(found)

    def notice(self, video: Video) -> str | None:
        return None


class ColourRun:
    """One walk of a `ColourTracker`; see `TrackerRun`."""

    def __init__(self, tracker: ColourTracker, source: Any):
        self._tracker = tracker
        self._source = source
        self._masks: dict[int, Tensor] = {}
        self._colours: dict[int, np.ndarray] = {}

    @property
    def obj_ids(self) -> tuple[int, ...]:
        return tuple(self._masks)

    def learn(self, frame_idx: int, references: Mapping[int, Tensor]) -> None:
        pass

    def step(self, frame_idx: int, references: Mapping[int, Tensor] = {}) -> FrameMasks:
        for obj_id, mask_HW in references.items():
            self._masks[obj_id] = mask_HW.bool()
            self._colours[obj_id] = self._tracker._colour(self._source, frame_idx, mask_HW.bool())
        for obj_id in self._masks.keys() - references.keys():
            (self._masks[obj_id],) = self._tracker._next(
                self._source, frame_idx, self._masks[obj_id][None], [self._colours[obj_id]], references={}
            )
        masks_NHW = torch.stack(list(self._masks.values()))
        return FrameMasks(frame_idx, masks_NHW, masks_NHW.flatten(1).any(1).float())

    def drop(self, obj_id: int) -> None:
        del self._masks[obj_id], self._colours[obj_id]
