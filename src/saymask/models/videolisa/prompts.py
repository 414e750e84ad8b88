"""The words around a query: templates and the Phi-3 chat format.

A query becomes a question (`phrase`), question and answer become one chat text (`chat`); `parts.chat` makes token ids of it. All strings of
the released scripts are kept in `RELEASED` and used only when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from saymask.errors import ConfigError
from saymask.models.parts.chat import IMAGE_PLACEHOLDER, SEG_TOKEN

SYSTEM_PROMPT = "You are a helpful AI assistant."
FORCED_ANSWER = f"Sure, {SEG_TOKEN}."
ABSENT_ANSWER = "There is no such object."

_ARTICLE = re.compile(r"^(the|a|an)\s+", re.IGNORECASE)


def phrase(query: str, template: str = "auto", is_sentence: bool | None = None) -> str:
    """Turn a query into the user's question.

    Args:
        query: what to find, a noun phrase or a whole sentence.
        template: "auto" asks for masks in words that fit the query, "raw" passes it unchanged, a key of `RELEASED` words it as that script.
        is_sentence: where a dataset knows it; otherwise a text that ends in `?` or `.` is a sentence.

    Raises:
        ConfigError: a query with the placeholder of the video in it.
    """
    if IMAGE_PLACEHOLDER in query:
        raise ConfigError(f"query {query!r} contains {IMAGE_PLACEHOLDER}, which stands for the video itself; leave it out")
    text = query.strip()
    ends_like_one = text.endswith(("?", "."))
    if template in RELEASED:
        return RELEASED[template](query, ends_like_one if is_sentence is None else is_sentence)
    if template == "raw":
        return text
    if is_sentence or ends_like_one:
        return f"{text} Please output the segmentation masks."
    return f"Please segment the {_ARTICLE.sub('', text)} in this scene."


def forced_answer(template: str) -> str:
    """The answer that is given with a question worded by `template`; one released script leaves out the "Sure"."""
    return RELEASED_IMAGE_ANSWER if template == "videolisa-image-val" else FORCED_ANSWER


# Exact strings of the released VideoLISA scripts, quirks included: doubled articles, "image" for videos, "?." after questions.
RELEASED: dict[str, Callable[[str, bool], str]] = {
    "videolisa-chat": lambda text, is_sentence: text,
    "videolisa-mevis": lambda text, is_sentence: f"Please segment the {text.lower()} in this image.",
    "videolisa-ref-davis": lambda text, is_sentence: f"Please segment the {text.lower()} in this image.",
    "videolisa-ref-ytvos": lambda text, is_sentence: f"Please segment the {text.lower()} in this image.",
    "videolisa-reason-vos": lambda text, is_sentence: (
        f"{text}. Please output the segmentation masks." if is_sentence else f"Please segment the {text.lower()} in this scene."
    ),
    "videolisa-image-val": lambda text, is_sentence: (
        f" {text.strip()} Please output segmentation mask."
        if is_sentence
        else f" What is {text.strip()} in this video? Please output segmentation mask."
    ),
}
RELEASED_IMAGE_ANSWER = f"{SEG_TOKEN}."
TEMPLATES = ("auto", "raw", *RELEASED)


def chat(question: str, answer: str, system: str = SYSTEM_PROMPT) -> str:
    """One turn in Phi-3's format, the video first: `<|system|>...<|end|> <|user|> <image> question <|end|> <|assistant|> answer <|end|>`.

    With an empty `system` the system block is left out (the toy model has none).
    """
    opening = f"<|system|>\n{system}<|end|>\n" if system else ""
    return f"{opening}<|user|>\n{IMAGE_PLACEHOLDER}\n{question}<|end|>\n<|assistant|>\n{answer}<|end|>"
