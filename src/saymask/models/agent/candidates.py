"""Tracks that may be what a query names: from the phrases the other family understands, and from boxes the model gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from saymask.errors import ConfigError
from saymask.models.agent.coordinates import to_video
from saymask.models.agent.sheets import sent_size
from saymask.models.agent.wording import Target, plain_phrase
from saymask.models.base import ObjectAnswer, Segmenter, VideoView
from saymask.models.parts.own_tracks import track_side_by_side


@dataclass
class Candidate:
    """A track, and what the model said of it: None until it is asked."""

    obj: ObjectAnswer
    verdict: str | None = None
    probability: float | None = None

    @property
    def shown_frames(self) -> list[int]:
        """Frames on which it has a pixel, the largest first."""
        areas = [rle.area for rle, _ in self.obj.track_T]
        return sorted((t for t, area in enumerate(areas) if area), key=lambda t: -areas[t])

    @property
    def rank(self) -> float:
        """How likely it is what the query names, as far as anybody has said."""
        return self.probability if self.probability is not None else 0.5 * (self.obj.presence or 0.0)


def find_candidates(
    view: VideoView, segmenter: Segmenter, targets: Iterable[Target], shown: Sequence[int], model: str, options: Any
) -> list[Candidate]:
    """Tracks for all targets: those of their phrases and, where these find nothing, those of their boxes.

    Args:
        view: the video.
        segmenter: of a family that tracks for itself.
        targets: as the model proposed them.
        shown: the frames that it was shown, in order.
        model: its name, which says how it writes boxes.
        options: of the segmenter's family.
    """
    candidates: list[Candidate] = []
    known: set[str] = set()
    for target in targets:
        phrase = plain_phrase(target.phrase)
        found: tuple[ObjectAnswer, ...] = ()
        if phrase and phrase not in known:
            known.add(phrase)
            try:
                found = segmenter.reason(view, [phrase], options)[0].objects
            except ConfigError:
                found = ()  # words that the other family cannot be asked
        boxed = None if found else _track_box(view, segmenter, target, phrase, shown, model)
        candidates += [Candidate(obj) for obj in (*found, *([boxed] if boxed else ()))]
    return [candidate for candidate in candidates if candidate.shown_frames]


def _track_box(view: VideoView, segmenter: Segmenter, target: Target, phrase: str, shown: Sequence[int], model: str) -> ObjectAnswer | None:
    """The object in a target's box, tracked; None if there is no sensible box, or no tracker that takes one."""
    tracker: Any = getattr(segmenter, "tracker", None)
    if target.box is None or target.frame is None or not 1 <= target.frame <= len(shown) or not hasattr(tracker, "masks_in_boxes"):
        return None
    size = (view.video.height, view.video.width)
    box = to_video(target.box, model, sent_size(*size), size)
    if box is None:
        return None
    frame_idx, features = shown[target.frame - 1], view.tracker_features(tracker)
    masks_NHW = tracker.masks_in_boxes(view.video, frame_idx, torch.tensor([box]), features).masks_NHW.cpu()
    if not masks_NHW.any():
        return None
    ((track_T,),) = track_side_by_side(tracker, view.video, [{frame_idx: masks_NHW}], features)
    return ObjectAnswer(phrase, reference_masks={frame_idx: np.asarray(masks_NHW[0])}, track_T=tuple(track_T))
