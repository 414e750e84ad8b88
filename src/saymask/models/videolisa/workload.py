"""What VideoLISA has to do for a call: the video is read once, every query on top of it."""

from __future__ import annotations

from collections.abc import Sequence

from saymask.models.parts.chat import IMAGE_PLACEHOLDER, SEG_TOKEN
from saymask.models.videolisa.model import VideoLisaConfig
from saymask.models.videolisa.prompts import FORCED_ANSWER, chat, phrase
from saymask.models.workload import CountTokens, Reading, Workload
from saymask.video.sampling import sparse_dense


def workload(config: VideoLisaConfig, num_frames: int, queries: Sequence[str], answer: str, count_tokens: CountTokens) -> Workload:
    """See `Family.workload`."""
    num_seg = config.num_dense if config.token_per_frame else 1
    given = FORCED_ANSWER.replace(SEG_TOKEN, " ".join([SEG_TOKEN] * num_seg)) if answer == "forced" else ""
    chats = [chat(phrase(query), given, config.system_prompt).split(IMAGE_PLACEHOLDER) for query in queries]
    video = count_tokens(chats[0][0]) + config.num_visual
    asked = max(count_tokens(after) for _, after in chats)
    readings = [Reading(1, video), Reading(len(queries), asked, video)]
    if answer == "generate":
        readings.append(Reading.answer(len(queries), video + asked))
    chosen = sparse_dense(num_frames, config.num_sparse, config.num_dense)
    seen = chosen.sparse_frame_idx[:1] if config.frames_seen == "first" else chosen.sparse_frame_idx
    return Workload(len({*seen.tolist()}), tuple(readings), len({*chosen.dense_frame_idx.tolist()}), len(queries))
