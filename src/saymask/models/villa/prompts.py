"""The words around a query and the answers that are taught: noun phrases, each followed by `[SEG]`, or `[NOOBJ]`.

The question is followed by one `[FRM]` for each key frame. It stands behind the question, so its state has read the video and the query
although attention is causal; it costs no step of generation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from saymask.errors import ConfigError
from saymask.models.parts.chat import IMAGE_PLACEHOLDER, SEG_TOKEN

NOOBJ_TOKEN = "[NOOBJ]"
FRAME_TOKEN = "[FRM]"
ABSENT_ANSWER = f"There is no such object. {NOOBJ_TOKEN}"
FORCED_ANSWER = f"Sure, {SEG_TOKEN}."
TEMPLATES = ("auto", "raw")

_ARTICLE = re.compile(r"^(the|a|an)\s+", re.IGNORECASE)
_LINK = re.compile(r"^[\s,.;:]*(?:and\b)?\s*", re.IGNORECASE)


def question(query: str, template: str = "auto", is_sentence: bool | None = None) -> str:
    """Turn a query into the user's question.

    Args:
        query: what to find, a noun phrase or a whole sentence.
        template: "auto" asks for masks in words that fit the query, "raw" passes it unchanged.
        is_sentence: where a dataset knows it; otherwise a text that ends in `?` or `.` is a sentence.

    Raises:
        ConfigError: a query with a word in it that stands for something else.
    """
    for token in (IMAGE_PLACEHOLDER, SEG_TOKEN, NOOBJ_TOKEN, FRAME_TOKEN):
        if token in query:
            raise ConfigError(f"query {query!r} contains {token}, which has a meaning of its own in a chat; leave it out")
    text = query.strip()
    if template == "raw":
        return text
    if is_sentence or text.endswith(("?", ".")):
        return f"{text} Please output the segmentation masks."
    return f"Please segment the {_ARTICLE.sub('', text)} in this scene."


def chat(asked: str, num_frames: int, answer: str, system: str) -> str:
    """One turn in Phi-3's format, the video first, with `num_frames` registers behind the question."""
    opening = f"<|system|>\n{system}<|end|>\n" if system else ""
    return f"{opening}<|user|>\n{IMAGE_PLACEHOLDER}\n{asked}{FRAME_TOKEN * num_frames}<|end|>\n<|assistant|>\n{answer}<|end|>"


def naming_answer(phrases: Sequence[tuple[str, int]]) -> str:
    """Name objects: `phrases` are noun phrases with the number of objects each names -> "the fish [SEG] and the cups [SEG] [SEG]."."""
    said = [f"{text} {' '.join([SEG_TOKEN] * count)}" for text, count in phrases]
    return f"{' and '.join(filter(None, (', '.join(said[:-1]), said[-1])))}."


def named_phrases(answer: str) -> list[str]:
    """The words in front of each `[SEG]` of an answer; one that follows another at once shares its words."""
    phrases: list[str] = []
    for part in answer.split(SEG_TOKEN)[:-1]:
        text = _LINK.sub("", part).strip()
        phrases.append(text if text or not phrases else phrases[-1])
    return phrases
