"""What ViLLa has to do for a call: key frames and their context are read for each query, every frame is segmented."""

from __future__ import annotations

from collections.abc import Sequence

from saymask.models.parts.chat import IMAGE_PLACEHOLDER
from saymask.models.villa.config import VillaConfig
from saymask.models.villa.key_segments import COARSE_FRAMES
from saymask.models.villa.prompts import FORCED_ANSWER, chat, question
from saymask.models.workload import CountTokens, Reading, Workload


def workload(config: VillaConfig, num_frames: int, queries: Sequence[str], answer: str, count_tokens: CountTokens) -> Workload:
    """See `Family.workload`. Each query chooses key frames of its own, out of a coarse stream that all share; one object answers to it."""
    key_frames = min(num_frames, config.num_key_frames)
    coarse = min(num_frames, COARSE_FRAMES) if config.key_segments else 0
    side, patch = config.tower_size
    visual = config.num_context + key_frames * (side // patch // config.token_pool) ** 2
    readings: list[Reading] = []
    for query in queries:
        given = FORCED_ANSWER if answer == "forced" else ""
        before, after = map(count_tokens, chat(question(query), key_frames, given, config.system_prompt).split(IMAGE_PLACEHOLDER))
        readings += [Reading(1, before + visual), Reading(1, after, before + visual)]
        if answer == "generate":
            readings.append(Reading.answer(1, before + visual + after))
    looked_at = min(num_frames, len(queries) * (key_frames + config.num_context))
    return Workload(coarse + looked_at, tuple(readings), key_frames, len(queries))
