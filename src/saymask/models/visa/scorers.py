"""Who chooses the target frame: each scorer looks at a video and a query and ranks frames.

A scorer that fails (no network, answers that name no mark) says so in its remarks and chooses the middle of the video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from saymask.errors import ConfigError, ServiceError
from saymask.models.base import VideoView
from saymask.models.visa import votes
from saymask.models.visa.context import spread
from saymask.models.visa.options import VisaOptions
from saymask.models.visa.prompts import RELEASED
from saymask.models.visa.similarity import frame_similarities
from saymask.models.visa.video_service import ask_service

OwnVotes = Callable[[], list[str]]
"""Asks the model itself the sampler's question, several times."""

MOST_SCORED = 64
"""Frames of a video that a dual encoder looks at."""


class ScorerFailure(Exception):
    """A scorer could not look at the video; its message is shown to the user."""


@dataclass(frozen=True)
class FrameChoice:
    """Frames in the order in which they are to be tried.

    Args:
        candidates: the target frame, and another one for the case that the target's mask is empty.
        bins: how much speaks for each of equally long parts of the video, from its beginning to its end; empty = not asked.
        remarks: what did not go as it should.
    """

    candidates: tuple[int, ...]
    bins: tuple[float, ...] = ()
    remarks: tuple[str, ...] = ()


def choose_target(view: VideoView, query: str, options: VisaOptions, own_votes: OwnVotes) -> FrameChoice:
    """Rank frames by the scorer that the options name.

    Raises:
        ConfigError: the oracle's frame is outside the video.
    """
    num_frames = view.video.num_frames
    middle = votes.frame_at(votes.MIDDLE, num_frames)
    try:
        if options.scorer == "oracle":
            return _told(options, num_frames)
        if options.scorer == "votes":
            return _by_votes(view, query, options, own_votes)
        if options.scorer == "similarity":
            return _by_similarity(view, query, options)
    except ScorerFailure as failure:
        return FrameChoice((middle,), remarks=(f"{failure}; the middle of the video is taken",))
    return FrameChoice((0 if options.scorer == "first" else middle,))


def _told(options: VisaOptions, num_frames: int) -> FrameChoice:
    assert options.target_frame is not None  # options are checked
    if options.target_frame >= num_frames:
        raise ConfigError(f"target_frame = {options.target_frame}: the video has {num_frames} frames, numbered from 0")
    return FrameChoice((options.target_frame,))


def _by_votes(view: VideoView, query: str, options: VisaOptions, own_votes: OwnVotes) -> FrameChoice:
    """The mark that most answers name."""
    num_frames = view.video.num_frames
    try:
        responses = ask_service(view, RELEASED.sampler_question(query), options) if options.votes_url else own_votes()
    except ServiceError as error:
        raise ScorerFailure(f"no votes: {_first_line(error)}") from None
    bins = votes.histogram(responses)
    if not any(bins):
        raise ScorerFailure(f"none of {len(responses)} answers names a percentage, the first is {_shortened(responses)!r}")
    if options.vote_choice == "released":
        candidates = [votes.released_frame(votes.released_fraction(responses), num_frames)]
    else:
        candidates = list(dict.fromkeys(votes.frame_at(mark, num_frames) for mark in votes.ranked_marks(bins)))[:2]
    missing = len(responses) - sum(bins)
    remarks = (f"{missing} of {len(responses)} votes name no percentage",) if missing else ()
    return FrameChoice(tuple(candidates), tuple(bins), remarks)


def _by_similarity(view: VideoView, query: str, options: VisaOptions) -> FrameChoice:
    """The frame whose image is most like the text; the second one is the best of those that are not close to it."""
    num_frames = view.video.num_frames
    frame_idx = spread(num_frames, MOST_SCORED)
    try:
        scores_K = frame_similarities(view, frame_idx, query, options.similarity_model)
    except (OSError, ValueError) as error:
        raise ScorerFailure(f"{options.similarity_model} cannot be loaded as a dual encoder ({_first_line(error)})") from None
    best = int(scores_K.argmax())
    far = [place for place, frame in enumerate(frame_idx) if abs(frame - frame_idx[best]) > num_frames / votes.NUM_MARKS]
    places = [best, *sorted(far, key=lambda place: -scores_K[place])[:1]]
    return FrameChoice(tuple(frame_idx[place] for place in places), tuple(_above_least(scores_K)))


def _above_least(scores_K: np.ndarray) -> list[float]:
    return [round(float(score), 4) for score in scores_K - scores_K.min()]


def _shortened(responses: Sequence[str]) -> str:
    return responses[0][:60] if responses else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
