"""What VISA has to do for a call: votes on a frame for each query, then that frame with its context, and one mask."""

from __future__ import annotations

from collections.abc import Sequence

from saymask.models.parts.chat import IMAGE_PLACEHOLDER
from saymask.models.visa.context import spread
from saymask.models.visa.model import VisaConfig
from saymask.models.visa.votes import NUM_VOTES
from saymask.models.workload import CountTokens, Reading, Workload

VOTE_TOKENS = 8
"""How long the longest of the votes is taken to be."""


def workload(config: VisaConfig, num_frames: int, queries: Sequence[str], answer: str, count_tokens: CountTokens) -> Workload:
    """See `Family.workload`. The frames of the votes are the same for all queries; each query has a target of its own."""
    words = config.words
    voted_on = len(spread(num_frames, max(1, config.num_context)))
    context = min(config.num_context, num_frames)
    readings: list[Reading] = []
    for number, query in enumerate(queries):
        about_video = words.about_video(words.sampler_question(query), voted_on)
        shown, vote = _read(words.asked((), about_video, config.system_prompt, config.end_of_turn), config, count_tokens)
        readings += [] if number else [Reading(1, shown)]
        readings += [Reading(NUM_VOTES, vote, shown), Reading.answer(NUM_VOTES, shown + vote, VOTE_TOKENS)]
        about_target = words.about_target(words.instruct(query), context)
        given = words.forced_answer if answer == "forced" else ""
        shown, asked = _read(words.chat([(about_target, given)], config.system_prompt, config.end_of_turn), config, count_tokens)
        readings += [Reading(1, shown), Reading(1, asked, shown)]
        if answer == "generate":
            readings.append(Reading.answer(1, shown + asked))
    return Workload(min(num_frames, voted_on + len(queries)), tuple(readings), len(queries), 1, frames_at_once=1)


def _read(text: str, config: VisaConfig, count_tokens: CountTokens) -> tuple[int, int]:
    """Tokens up to the last frame, that included, and behind it."""
    before, _, after = text.rpartition(IMAGE_PLACEHOLDER)
    texts = before.split(IMAGE_PLACEHOLDER)
    return sum(map(count_tokens, texts)) + len(texts) * config.tokens_per_frame, count_tokens(after)
