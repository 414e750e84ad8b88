"""SAM 3 behind `base.Segmenter`: one pass over the video for all phrases of a query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from saymask.models.base import Answer, ObjectAnswer, VideoView
from saymask.models.parts.own_tracks import Sighting, TrackFrame, phrases_and_counts
from saymask.models.run_lengths import encode_masks
from saymask.models.sam3 import FAMILY
from saymask.models.sam3.options import Sam3Options
from saymask.models.sam3.phrases import noun_phrases
from saymask.models.sam3.session import LiveSession, PrunedSession, VideoFileSession
from saymask.records import FrameSource, Rle, Video


class Sam3Segmenter:
    """A loaded SAM 3.

    Args:
        model: a `Sam3VideoModel` in inference mode.
        tokenizer: pads to the length that the text encoder reads.
        name: what the model is called in reports.
    """

    family = FAMILY

    def __init__(self, model: Any, tokenizer: Any, name: str = "sam3", weights_files: tuple[Path, ...] = ()):
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.weights_files = weights_files

    def reason(self, view: VideoView, queries: Sequence[str], options: Sam3Options) -> list[Answer]:
        phrases_of = [noun_phrases(query) for query in queries]
        return [self._answer(view.video, phrases, options) for phrases in phrases_of]

    def _answer(self, video: Video, phrases: Sequence[str], options: Sam3Options) -> Answer:
        tracks, words, scores = self._track(video, phrases)
        kept = sorted(tracks, key=lambda obj_id: -scores[obj_id])[: options.max_objects]
        objects = tuple(_object(video, tracks[obj_id], words[obj_id], scores[obj_id]) for obj_id in sorted(kept))
        text = phrases_and_counts(sorted((obj.phrase for obj in objects), key=phrases.index))
        return Answer(text, objects, {"phrases": list(phrases), "scores": [round(scores[obj_id], 4) for obj_id in sorted(kept)]})

    @torch.inference_mode()
    def _track(self, video: Video, phrases: Sequence[str]) -> tuple[dict[int, dict[int, TrackFrame]], dict[int, str], dict[int, float]]:
        """Per object that was not withdrawn: mask and score by frame, its phrase, and its highest score."""
        session = VideoFileSession(self.model, video)
        self.prompt(session, phrases)
        tracks: dict[int, dict[int, TrackFrame]] = {}
        words: dict[int, str] = {}
        scores: dict[int, float] = {}
        for output in self.model.propagate_in_video_iterator(session, 0):
            session.forget(output.frame_idx)
            words |= {obj_id: phrases[prompt_id] for obj_id, prompt_id in session.obj_id_to_prompt_id.items()}
            shown = masks_of(output, session, words, (video.height, video.width))
            for obj_id, mask_HW in shown.items():
                score = float(output.obj_id_to_score[obj_id])
                tracks.setdefault(obj_id, {})[output.frame_idx] = encode_masks(mask_HW[None], torch.tensor([score]))[0]
                scores[obj_id] = max(score, scores.get(obj_id, 0.0))
        for obj_id in session.hotstart_removed_obj_ids:
            tracks.pop(obj_id, None)
        return tracks, words, scores

    def prompt(self, session: PrunedSession, phrases: Sequence[str]) -> None:
        """Tell a session what to look for."""
        length = self.model.config.detector_config.text_config.max_position_embeddings
        for phrase in phrases:
            prompt_id = session.add_prompt(phrase)
            text = self.tokenizer(phrase, return_tensors="pt", padding="max_length", truncation=True, max_length=length)
            session.prompt_input_ids[prompt_id] = text["input_ids"].to(self.model.device)
            session.prompt_attention_masks[prompt_id] = text["attention_mask"].to(self.model.device)

    def follow(self, source: FrameSource, query: str, options: Sam3Options) -> Sam3Walk:
        """See `FollowingSegmenter`; a question, or nothing that could be a phrase, is refused."""
        return Sam3Walk(self, source, noun_phrases(query), options)

    def notice(self, video: Video) -> str | None:
        return None

    def unknown_words(self, query: str) -> list[str]:
        return []


class Sam3Walk:
    """The library's streaming inference: the masks of a frame are given at once, and what was found is never withdrawn."""

    def __init__(self, segmenter: Sam3Segmenter, source: FrameSource, phrases: Sequence[str], options: Sam3Options):
        self._model = segmenter.model
        self._source = source
        self._phrases = phrases
        self._max_objects = options.max_objects
        self._session = LiveSession(segmenter.model, source)
        segmenter.prompt(self._session, phrases)
        self._presence: dict[int, float] = {}

    @torch.inference_mode()
    def step(self, frame_idx: int) -> list[Sighting]:
        """See `ForwardWalk`; beyond `max_objects` the ids that were seen first stay."""
        (frame_HWC,) = self._source.frames([frame_idx])
        output = self._model(inference_session=self._session, frame=self._session.prepared(frame_HWC), frame_idx=frame_idx)
        self._session.forget(frame_idx)
        words = {obj_id: str(self._phrases[prompt_id]) for obj_id, prompt_id in self._session.obj_id_to_prompt_id.items()}
        seen = []
        for obj_id, mask_HW in sorted(masks_of(output, self._session, words, (self._source.height, self._source.width)).items()):
            if obj_id in self._presence or len(self._presence) < self._max_objects:
                score = float(output.obj_id_to_score[obj_id])
                self._presence[obj_id] = max(score, self._presence.get(obj_id, 0.0))
                seen.append(Sighting(obj_id, words[obj_id], self._presence[obj_id], mask_HW, score))
        return seen


def masks_of(output: Any, session: Any, words: dict[int, str], size: tuple[int, int]) -> dict[int, Tensor]:
    """Object -> bool mask_HW at video size, as the library's processor makes them (which needs torchvision).

    Objects that are suppressed or were withdrawn are left out; those of one phrase do not overlap.
    """
    hidden = {*(output.suppressed_obj_ids or ()), *session.hotstart_removed_obj_ids}
    obj_ids = [obj_id for obj_id in sorted(output.obj_id_to_mask) if obj_id not in hidden]
    if not obj_ids:
        return {}
    lowres_N1hw = torch.cat([output.obj_id_to_mask[obj_id] for obj_id in obj_ids])[:, None].float()
    masks_NHW = functional.interpolate(lowres_N1hw, size=size, mode="bilinear", align_corners=False)[:, 0] > 0
    shown = [row for row in range(len(obj_ids)) if masks_NHW[row].any()]
    confidence = {row: float(output.obj_id_to_tracker_score.get(obj_ids[row], 0.0)) for row in shown}
    if len(shown) > 1:
        shown = [row for row in shown if confidence[row] > 0]  # the library compares with 0, unless there is nothing to compare
    found: dict[int, Tensor] = {}
    taken: dict[str, Tensor] = {}
    for row in sorted(shown, key=lambda row: -confidence[row]):
        phrase = words.get(obj_ids[row], "")
        before_HW = taken.get(phrase, torch.zeros_like(masks_NHW[row]))
        found[obj_ids[row]] = masks_NHW[row] & ~before_HW
        taken[phrase] = before_HW | masks_NHW[row]
    return {obj_id: mask_HW for obj_id, mask_HW in found.items() if mask_HW.any()}


def _object(video: Video, by_frame: dict[int, TrackFrame], phrase: str, score: float) -> ObjectAnswer:
    """One track as an answer; other trackers start from the frame where it is largest."""
    nowhere = (Rle.empty(video.height, video.width), 0.0)
    best = max(by_frame, key=lambda t: by_frame[t][0].area)
    track_T = tuple(by_frame.get(t, nowhere) for t in range(video.num_frames))
    return ObjectAnswer(phrase, presence=score, reference_masks={best: by_frame[best][0].decode()}, track_T=track_T)
