"""Phrases to tracked masks, behind `base.Segmenter`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saymask.models.base import Answer, ObjectAnswer, VideoView
from saymask.models.grounded import FAMILY
from saymask.models.grounded.detection import Detector, split_phrases
from saymask.models.grounded.options import GroundedOptions
from saymask.models.grounded.tracks import TrackSearch
from saymask.models.parts.own_tracks import BoxTracker, phrases_and_counts
from saymask.records import Video


class GroundedSegmenter:
    """Each query is one pass of the detector for all its phrases.

    Args:
        detector: finds boxes.
        tracker: finds the mask in a box, and the object on all frames.
        name: what the model is called in reports.
    """

    family = FAMILY

    def __init__(self, detector: Detector, tracker: BoxTracker, name: str = "grounded"):
        self.detector = detector
        self.tracker = tracker
        self.name = name
        self.weights_files: tuple[Path, ...] = (*detector.weights_files, *tracker.weights_files)

    def reason(self, view: VideoView, queries: Sequence[str], options: GroundedOptions) -> list[Answer]:
        phrases_of = [split_phrases(query) for query in queries]  # all are checked before the first is worked on
        return [self._answer(view, phrases, options) for phrases in phrases_of]

    def _answer(self, view: VideoView, phrases: Sequence[str], options: GroundedOptions) -> Answer:
        search = TrackSearch(view, self.detector, self.tracker, options)
        tracks = search.find(phrases)
        objects = tuple(
            ObjectAnswer(
                phrases[track.phrase_idx],
                presence=track.score,
                reference_masks={frame_idx: mask_HW.numpy() for frame_idx, mask_HW in track.references.items()},
                track_T=tuple(track.track_T),
            )
            for track in tracks
        )
        notes = {
            "detector": self.detector.name,
            "segmenter": self.tracker.name,
            "checked_frames": sorted(search.checked),
            "scores": [round(track.score, 4) for track in tracks],
        }
        return Answer(phrases_and_counts([obj.phrase for obj in objects]), objects, notes)

    def notice(self, video: Video) -> str | None:
        return None

    def unknown_words(self, query: str) -> list[str]:
        return []
