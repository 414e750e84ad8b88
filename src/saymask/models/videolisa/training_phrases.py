"""How training words a sample: its question and the answer that announces a mask, drawn where there are several.

"auto" takes the words that answering uses. "paper" takes those of the released training, quirks included: "image" for videos, doubled
articles, one of five answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from saymask.models.videolisa.prompts import FORCED_ANSWER, phrase

SHORT_QUESTIONS = (
    "Can you segment the {} in this image?",
    "Please segment the {} in this image.",
    "What is {} in this image? Please respond with segmentation mask.",
    "What is {} in this image? Please output segmentation mask.",
)
LONG_QUESTIONS = ("{} Please respond with segmentation mask.", "{} Please output segmentation mask.")
EXPLANATORY_REQUESTS = (
    "Please output segmentation mask and explain why.",
    "Please output segmentation mask and explain the reason.",
    "Please output segmentation mask and give some explanation.",
)
ANSWERS = (
    "It is [SEG].",
    "Sure, [SEG].",
    "Sure, it is [SEG].",
    "Sure, the segmentation result is [SEG].",
    "[SEG].",
)

Phrases = Callable[[str, bool, np.random.Generator], tuple[str, str]]
"""(text, whether the dataset calls it a sentence, rng) -> question and affirming answer."""


def auto_phrases(text: str, is_sentence: bool, rng: np.random.Generator) -> tuple[str, str]:
    """The template that fits the text, and the answer that is forced when a question is asked; nothing is drawn."""
    return phrase(text, is_sentence=is_sentence), FORCED_ANSWER


def paper_phrases(text: str, is_sentence: bool, rng: np.random.Generator) -> tuple[str, str]:
    """One of the released training's questions, with a sentence as it is and anything else in small letters, and one of its answers."""
    templates, wording = (LONG_QUESTIONS, text) if is_sentence else (SHORT_QUESTIONS, " ".join(text.lower().split()))
    return _draw(templates, rng).format(wording), _draw(ANSWERS, rng)


PHRASES: dict[str, Phrases] = {"auto": auto_phrases, "paper": paper_phrases}


def explanatory_question(text: str, rng: np.random.Generator) -> str:
    """Ask for a mask and an explanation."""
    return f"{text} {_draw(EXPLANATORY_REQUESTS, rng)}"


def _draw(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
