"""Which frames the detector looks at, and how what it finds becomes tracks with stable identities.

It looks at the first frame, again every few seconds, and where a track ends. A box that overlaps the mask of a track of its phrase shows
that object. A box that no track explains is an object that had left, if there is one, or a new one; either is then tracked through the
whole video, in both directions. So is a track that no box supports while another box of its phrase has no track: it has drifted away, and
goes on from that box as well. Only run lengths are held.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from saymask.models.base import VideoView
from saymask.models.grounded.detection import Detections, Detector, first_of_each_phrase, without_doubles
from saymask.models.grounded.options import GroundedOptions
from saymask.models.parts.own_tracks import BoxTracker, TrackFrame, box_iou, track_side_by_side

SAME_TRACK = 0.8
"""Tracks of one phrase that overlap (mean IoU) more than this are one object."""
COMPARED_FRAMES = 16
"""Two tracks are compared on at most so many frames."""


@dataclass(eq=False)
class Track:
    """One object: what it is tracked from, and where it is.

    Args:
        phrase_idx: the phrase that it answers to.
        score: the highest of the boxes that show it, 0 ... 1.
        references: frame index -> bool mask_HW.
        track_T: mask and score of every frame.
    """

    phrase_idx: int
    score: float
    references: dict[int, Tensor]
    track_T: list[TrackFrame] = field(default_factory=list)

    def shows_on(self, frame_idx: int) -> bool:
        return self.track_T[frame_idx][0].area > 0

    def last_seen_before(self, frame_idx: int) -> int:
        """The last earlier frame that shows it; -1 if none does."""
        return next((t for t in reversed(range(frame_idx)) if self.shows_on(t)), -1)

    def ends(self, at_least: int) -> list[int]:
        """First frames of the gaps after it was seen: `at_least` frames or the rest of the video without a pixel."""
        shows_T = [self.shows_on(t) for t in range(len(self.track_T))]
        starts = [t for t in range(1, len(shows_T)) if shows_T[t - 1] and not shows_T[t]]
        return [t for t in starts if not any(shows_T[t : t + at_least])]


class TrackSearch:
    """Finds the tracks of some phrases in one video.

    Args:
        view: the video.
        detector, tracker: what finds boxes, and what makes masks and tracks of them.
        options: thresholds and cadence.
    """

    def __init__(self, view: VideoView, detector: Detector, tracker: BoxTracker, options: GroundedOptions):
        self.view = view
        self.detector = detector
        self.tracker = tracker
        self.options = options
        self.features = view.tracker_features(tracker)
        self.checked: list[int] = []
        self._interval = max(1, round(options.recheck_seconds * view.video.fps))

    def find(self, phrases: Sequence[str]) -> list[Track]:
        """All tracks, in the order in which their objects were first seen; on one frame the highest scores first."""
        tracks: list[Track] = []
        waiting = list(range(0, self.view.video.num_frames, self._interval))
        while waiting:
            frame_idx = heapq.heappop(waiting)
            if frame_idx in self.checked:
                continue
            self.checked.append(frame_idx)
            found, supported = self._unexplained(frame_idx, self._detect(frame_idx, phrases), tracks)
            lost = [track for track in tracks if track not in supported and track.last_seen_before(frame_idx) >= 0]
            for track in self._track(frame_idx, found, tracks, lost) if len(found) else ():
                for end in track.ends(self._interval):
                    heapq.heappush(waiting, end)
        return tracks

    def _detect(self, frame_idx: int, phrases: Sequence[str]) -> Detections:
        """Boxes on one frame; `answer="forced"` adds the best of each phrase on the first frame, whatever its score."""
        frame_HWC = self.view.frames([frame_idx])[0]
        given = self.options.box_threshold
        threshold = self.detector.default_threshold if given is None else given
        if self.options.answer == "generate" or frame_idx > 0:
            return without_doubles(self.detector.detect(frame_HWC, phrases, threshold))
        everything = without_doubles(self.detector.detect(frame_HWC, phrases, 0.0))
        return everything[(everything.scores_N > threshold) | first_of_each_phrase(everything)]

    def _unexplained(self, frame_idx: int, found: Detections, tracks: Sequence[Track]) -> tuple[Detections, list[Track]]:
        """The boxes that show no track of their phrase, and the tracks that some box shows; these take over its score if it is higher."""
        rows, supported = [], []
        for row, box in enumerate(found.boxes_N4.tolist()):
            overlaps = [(box_iou(box, track.track_T[frame_idx][0].box()), track) for track in _of_phrase(tracks, found, row)]
            best, track = max(overlaps, key=lambda overlap: overlap[0], default=(0.0, None))
            if track is not None and best >= self.options.same_above:
                track.score = max(track.score, float(found.scores_N[row]))
                supported.append(track)
            else:
                rows.append(row)
        return found[torch.tensor(rows, dtype=torch.long)], supported

    def _track(self, frame_idx: int, found: Detections, tracks: list[Track], lost: Sequence[Track]) -> list[Track]:
        """Track what is in these boxes of a frame through the whole video; returns the tracks that are new or have changed.

        `lost` are the tracks that a box may belong to: first those without a pixel on this frame, of these the one seen last.
        """
        masks_NHW = self.tracker.masks_in_boxes(self.view.video, frame_idx, found.boxes_N4, self.features).masks_NHW.cpu()
        returned: list[Track] = []
        new: dict[int, list[Track]] = {}
        for row, mask_HW in enumerate(masks_NHW):
            phrase_idx, score = int(found.phrase_idx_N[row]), float(found.scores_N[row])
            known = _of_phrase(tracks, found, row)
            if not mask_HW.any() or any(_iou(mask_HW.numpy(), track.track_T[frame_idx][0].decode()) >= SAME_TRACK for track in known):
                continue
            if gone := [track for track in known if track in lost and track not in returned]:
                back = max(gone, key=lambda track: (not track.shows_on(frame_idx), track.last_seen_before(frame_idx)))
                back.references[frame_idx] = mask_HW
                back.score = max(back.score, score)
                returned.append(back)
            elif len(tracks) + sum(map(len, new.values())) < self.options.max_objects:
                new.setdefault(phrase_idx, []).append(Track(phrase_idx, score, {frame_idx: mask_HW}))
        groups = [*([track] for track in returned), *new.values()]
        references = [{t: torch.stack([track.references[t] for track in group]) for t in group[0].references} for group in groups]
        for group, found_tracks in zip(groups, track_side_by_side(self.tracker, self.view.video, references, self.features), strict=True):
            for track, track_T in zip(group, found_tracks, strict=True):
                track.track_T = track_T
        added = [track for group in new.values() for track in group if not any(_same(track, other) for other in tracks)]
        tracks += sorted(added, key=lambda track: track.score, reverse=True)
        return [*returned, *added]


def _of_phrase(tracks: Sequence[Track], found: Detections, row: int) -> list[Track]:
    """The tracks of the phrase that a box shows."""
    return [track for track in tracks if track.phrase_idx == int(found.phrase_idx_N[row])]


def _same(one: Track, other: Track) -> bool:
    """Whether two tracks follow one object: of one phrase, and on the frames that are compared their masks are nearly equal."""
    frames = np.unique(np.linspace(0, len(one.track_T) - 1, COMPARED_FRAMES).astype(int)).tolist()
    shown = [t for t in frames if one.shows_on(t) or other.shows_on(t)]
    overlaps = [_iou(one.track_T[t][0].decode(), other.track_T[t][0].decode()) for t in shown]
    return one.phrase_idx == other.phrase_idx and bool(shown) and float(np.mean(overlaps)) >= SAME_TRACK


def _iou(one_HW: np.ndarray, other_HW: np.ndarray) -> float:
    return float((one_HW & other_HW).sum() / max(1, (one_HW | other_HW).sum()))
