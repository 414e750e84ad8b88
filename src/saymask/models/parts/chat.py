"""What every chat about a video has: placeholder and special tokens, chunk-wise tokenisation, label masking, unknown words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

IMAGE_PLACEHOLDER = "<image>"
IMAGE_TOKEN_ID = -200
IGNORE_LABEL = -100
SEG_TOKEN = "[SEG]"


def encode(prompt: str, tokenize: Callable[[str], Sequence[int]], bos_token_id: int | None) -> list[int]:
    """Token ids of a chat text, with IMAGE_TOKEN_ID for every `<image>`.

    Each chunk between placeholders is tokenised on its own (the ids of a joined text would differ at the seams); the BOS that a
    tokenizer puts before every chunk is kept on the first only.
    """
    chunks = [list(tokenize(chunk)) for chunk in prompt.split(IMAGE_PLACEHOLDER)]
    has_bos = bos_token_id is not None and bool(chunks[0]) and chunks[0][0] == bos_token_id
    ids = chunks[0]
    for chunk in chunks[1:]:
        ids += [IMAGE_TOKEN_ID, *(chunk[1:] if has_bos else chunk)]
    return ids


def answer_labels(input_ids: Sequence[int], num_prompt_ids: int) -> list[int]:
    """Labels of a single-turn chat: the answer and its closing token are supervised, everything before is not."""
    return [IGNORE_LABEL] * num_prompt_ids + list(input_ids[num_prompt_ids:])


def unknown_words(query: str, lexicon: Sequence[str]) -> list[str]:
    """Words that are not in the lexicon, upper and lower case being the same; none if there is no lexicon."""
    known = {word.lower() for word in lexicon}
    words = re.findall(r"[\w'-]+", query.lower())
    return [word for word in dict.fromkeys(words) if known and word not in known]
