"""A model's answers about a video, and the masks that they stand for.

video ─ chunks of frames (one thread ahead) ─ image features ─ decode every query's prompt ─ threshold ─ RLE
      └ reference frames ─ masks ─ tracker ─────────────────────────────────────────────────────────── RLE
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from saymask.errors import ConfigError
from saymask.models.base import Answer, Segmenter
from saymask.models.run_lengths import Found, encode_masks, threshold
from saymask.records import Rle, Video, check_queries
from saymask.runtime import Runtime
from saymask.session.call import Call
from saymask.session.view import BUDGET_BYTES, CachedVideo
from saymask.storage.feature_cache import chunks
from saymask.trackers.base import Tracker
from saymask.trackers.loading import load_tracker
from saymask.trackers.propagation import ObjectTrack, propagate_group, with_same_references
from saymask.trackers.references import MIN_STABILITY, flaw

BETWEEN = "xmem++"
"""The tracker between frames that the model segments (`every`), where the user names none."""


def require_masks_of_any_frame(segmenter: Segmenter, every: int) -> None:
    """Check what `every` needs of a model.

    Raises:
        ConfigError: no number of frames, or a family that does not segment every frame itself.
    """
    if every < 1:
        raise ConfigError(f"every = {every}: the model's masks on every N-th frame; give 1 or more")
    if segmenter.family.default_tracker or not hasattr(segmenter, "decode"):
        raise ConfigError(
            f"every = {every}: model {segmenter.name!r} chooses the frames it segments and tracks from them already; leave it out"
        )


class AskedVideo(CachedVideo):
    """Asks and walks; `VideoSession` and `LiveSession` decide what is asked when. Arguments as for `VideoSession`."""

    def __init__(
        self,
        video: Video,
        segmenter: Segmenter,
        tracker: Tracker | None = None,
        budget_bytes: int = BUDGET_BYTES,
        min_stability: float = MIN_STABILITY,
        runtime: Runtime | None = None,
        every: int | None = None,
    ):
        super().__init__(video, segmenter, budget_bytes)
        default = segmenter.family.default_tracker or (BETWEEN if every is not None else None)
        if every is not None:
            require_masks_of_any_frame(segmenter, every)
        self.tracker = load_tracker(default, runtime) if tracker is None and default else tracker
        self.min_stability = min_stability
        self.every = every

    def ask(self, queries: str | Sequence[str], options: Mapping[str, Any]) -> Call:
        """Check everything, and let the model answer."""
        queries = [queries] if isinstance(queries, str) else list(queries)
        check_queries(queries)
        parsed = self.segmenter.family.load("options").parse(options, f"options of {self.segmenter.name}")
        answers = [self._of_presence(answer, parsed.min_presence) for answer in self.segmenter.reason(self, queries, parsed)]
        if self.every is not None:
            answers = [self._trusted_on(answer, tuple(range(0, self.video.num_frames, self.every))) for answer in answers]
        return Call(tuple(queries), parsed.answer, answers, [[ObjectTrack() for _ in answer.objects] for answer in answers])

    def _of_presence(self, answer: Answer, least: float) -> Answer:
        """The answer without the objects that the model is less sure of than asked for.

        Raises:
            ConfigError: the model does not say how sure it is.
        """
        if not least:
            return answer
        if any(obj.presence is None for obj in answer.objects):
            raise ConfigError(f"min_presence = {least}: model {self.segmenter.name!r} does not say how sure it is; leave it out")
        kept = tuple(obj for obj in answer.objects if obj.presence is not None and obj.presence >= least)
        left_out = [{"phrase": obj.phrase, "presence": obj.presence} for obj in answer.objects if (obj.presence or 0) < least]
        return replace(answer, objects=kept, notes={**answer.notes, "below_min_presence": left_out})

    @staticmethod
    def _trusted_on(answer: Answer, frame_idx: tuple[int, ...]) -> Answer:
        """The answer with other reference frames than the family has chosen."""
        return replace(answer, objects=tuple(replace(obj, reference_frames=frame_idx) for obj in answer.objects))

    def walk(self, call: Call) -> Iterator[tuple[int, Found]]:
        """Masks of all objects, each frame once."""
        if self.tracker is None:
            parts = self._own(call, range(len(call.objects)))
            yield from self._merged(parts, len(call.objects)) if parts else self._empty(0)
            return
        self.find_references(call)
        tracks = [track for of_answer in call.tracks for track in of_answer]
        tracked = [n for n, track in enumerate(tracks) if track.references]
        own = [n for n, track in enumerate(tracks) if not track.references]
        parts = [(tracked, self.tracked(call.tracks))] if tracked else []
        if own and (self.segmenter.family.default_tracker or self.every is not None):
            parts.append((own, self._empty(len(own))))
        else:
            parts += self._own(call, own)
        yield from self._merged(parts, len(tracks)) if parts else self._empty(0)

    def found_on(self, call: Call, frame_idx: int) -> Found:
        """Masks and scores of all the call's objects on one frame: the model's own, or tracked there from its reference frames."""
        if self.segmenter.family.default_tracker:
            return next(found for index, found in self.walk(call) if index == frame_idx)
        objects = [obj for answer in call.answers for obj in answer.objects]
        found = {place: obj.track_T[frame_idx] for place, obj in enumerate(objects) if obj.track_T}
        if decoded := [place for place in range(len(objects)) if place not in found]:
            logits = self.decoder.decode(self.image_features([frame_idx]), [frame_idx], self.video, call.only(decoded))
            found.update(zip(decoded, threshold(logits)[0], strict=True))
        return [found[place] for place in range(len(objects))]

    def _own(self, call: Call, places: Sequence[int]) -> list[tuple[Sequence[int], Iterator[tuple[int, Found]]]]:
        """Walks over the model's own masks of these of the call's objects: those it has tracked itself, and those to be decoded."""
        objects = [obj for answer in call.answers for obj in answer.objects]
        given = [place for place in places if objects[place].track_T]
        decoded = [place for place in places if not objects[place].track_T]
        parts: list[tuple[Sequence[int], Iterator[tuple[int, Found]]]] = []
        if given:
            tracks = [objects[place].track_T for place in given]
            parts.append((given, ((t, [track_T[t] for track_T in tracks]) for t in range(self.video.num_frames))))
        if decoded:
            parts.append((decoded, self._decoded(call.only(decoded), len(decoded))))
        return parts

    def _merged(self, parts: Sequence[tuple[Sequence[int], Iterator[tuple[int, Found]]]], num_objects: int) -> Iterator[tuple[int, Found]]:
        """Several walks over different objects as one: a frame is given when all of them have found it."""
        waiting: dict[int, dict[int, tuple[Rle, float]]] = {}
        for steps in zip(*(walk for _, walk in parts), strict=True):
            for (places, _), (frame_idx, of_frame) in zip(parts, steps, strict=True):
                waiting.setdefault(frame_idx, {}).update(zip(places, of_frame, strict=True))
            for frame_idx in [i for i, of_frame in waiting.items() if len(of_frame) == num_objects]:
                of_frame = waiting.pop(frame_idx)
                yield frame_idx, [of_frame[place] for place in range(num_objects)]

    def tracked(self, of_answers: Sequence[Sequence[ObjectTrack]]) -> Iterator[tuple[int, Found]]:
        """Masks of all frames for the objects with references, in order; objects of different answers are tracked apart, side by side."""
        tracker = self.refiner
        assert tracker is not None
        tracked = [track for tracks in of_answers for track in tracks if track.references]
        place_of = {id(track): place for place, track in enumerate(tracked)}
        parts = []
        for group in (group for tracks in of_answers for group in with_same_references(tracks)):
            frames = propagate_group(tracker, self.video, group, self.tracker_features(tracker))
            walk = ((frame.frame_idx, encode_masks(frame.masks_NHW, frame.scores_N)) for frame in frames)
            parts.append(([place_of[id(track)] for track in group], walk))
        for step in self._merged(parts, len(tracked)):
            self.guard.require_open()
            yield step

    def find_references(self, call: Call) -> None:
        """Enter the masks an answer has, or the model's masks of its reference frames, as references; or the reason why one is none."""
        objects = [
            (obj, track)
            for answer, tracks in zip(call.answers, call.tracks, strict=True)
            for obj, track in zip(answer.objects, tracks, strict=True)
        ]
        for obj, track in objects:
            track.references.update({i: torch.from_numpy(np.asarray(mask, dtype=bool)) for i, mask in obj.reference_masks.items()})
        wanted = sorted({i for obj, track in objects for i in obj.reference_frames if i not in track.references})
        for frame_idx in chunks(wanted, self._chunk_frames):
            logits = self.decoder.decode(self.image_features(frame_idx), frame_idx, self.video, call.answers)
            for row, index in enumerate(frame_idx):
                for (obj, track), logits_HW in zip(objects, logits.full_size(row), strict=True):
                    if index not in obj.reference_frames or index in track.references:
                        continue
                    sole = len({*obj.reference_frames, *obj.reference_masks}) == 1
                    mask_HW = logits_HW > 0
                    says_absent = self.every is not None and not mask_HW.any()
                    if not says_absent and (reason := flaw(logits_HW, min_stability=0 if sole else self.min_stability)):
                        track.dropped[index] = reason
                    else:
                        track.references[index] = mask_HW
        for _, track in objects:
            if not any(mask_HW.any() for mask_HW in track.references.values()):
                track.references.clear()  # nothing to track

    def _decoded(self, answers: Sequence[Answer], num_objects: int) -> Iterator[tuple[int, Found]]:
        """The model's own masks on all frames for all objects of these answers."""
        if not num_objects:
            yield from self._empty(0)
            return
        for frame_idx, features_TChw in self.feature_chunks():
            found = threshold(self.decoder.decode(features_TChw, frame_idx, self.video, answers))
            yield from zip(frame_idx, found, strict=True)

    def _empty(self, num_objects: int) -> Iterator[tuple[int, Found]]:
        """No pixel of these objects on any frame."""
        nowhere = (Rle.empty(self.video.height, self.video.width), 0.0)
        return ((frame_idx, [nowhere] * num_objects) for frame_idx in range(self.video.num_frames))

    @property
    def refiner(self) -> Tracker | None:
        """What `refine` tracks with: the session's tracker, or that of a family which tracks for itself."""
        return self.tracker or getattr(self.segmenter, "tracker", None)
