"""Multiple choice, under two protocols: the model writes and its letter is read, or the likeliest option is taken.

Options are shuffled by a fixed seed, each question by its own stream, so a result does not depend on which questions are asked. An answer
in which no letter can be read counts as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

import numpy as np

from saymask.errors import DataError
from saymask.evaluation.exam import Exam
from saymask.models.base import OptionScorer, Segmenter
from saymask.samples import MultipleChoice
from saymask.session import VideoSession

SEED = 0
_LETTER = re.compile(r"\(([A-Z])\)|\b([A-Z])\b")


def evaluate_multiple_choice(exam: Exam, segmenter: Segmenter, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Ask every question of an exam that has options.

    Returns:
        {questions, chance, generated: share right, unreadable: share without a letter, likelihood: share right or None if the model cannot
        score options, lengths: the same by the tag `length`, where there is one}.

    Raises:
        DataError: no question has options.
    """
    indices = [index for index in range(len(exam)) if exam.item(index).expression.multiple_choice]
    if not indices:
        raise DataError(f"{exam.dataset} {exam.split}: no question has options to choose from")
    replies = []
    for done, index in enumerate(indices, start=1):
        sample = exam.samples[index]
        choice = shuffled(cast(MultipleChoice, sample.expression.multiple_choice), index)
        with closing(VideoSession(sample.video, segmenter)) as session:
            said = read_letter(session.segment(choice.text(), template="raw", answer="generate").results[0].text, len(choice.options))
            scores = segmenter.option_scores(session, choice) if isinstance(segmenter, OptionScorer) else None
        replies.append(
            {
                "length": sample.expression.tags.get("length", ""),
                "chance": 1 / len(choice.options),
                "readable": said is not None,
                "generated": said == choice.correct,
                "likelihood": None if scores is None else int(np.argmax(scores)) == choice.correct,
            }
        )
        if progress:
            progress(done, len(indices))
    lengths = dict.fromkeys(reply["length"] for reply in replies if reply["length"])
    by_length = {length: _shares([reply for reply in replies if reply["length"] == length]) for length in lengths}
    return _shares(replies) | ({"lengths": by_length} if by_length else {})


def shuffled(choice: MultipleChoice, index: int) -> MultipleChoice:
    """The same question with its options in the order that the seed gives question `index`."""
    order = np.random.default_rng([SEED, index]).permutation(len(choice.options)).tolist()
    return MultipleChoice(choice.question, tuple(choice.options[place] for place in order), order.index(choice.correct))


def read_letter(text: str, num_options: int) -> int | None:
    """The option that an answer names first, "(B)" or a lone "B"; None if it names none there is."""
    letters = (match[1] or match[2] for match in _LETTER.finditer(text))
    places = (ord(letter) - ord("A") for letter in letters)
    return next((place for place in places if place < num_options), None)


def _shares(replies: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over replies."""
    likelihood = [reply["likelihood"] for reply in replies]
    return {
        "questions": len(replies),
        "chance": float(np.mean([reply["chance"] for reply in replies])),
        "generated": float(np.mean([reply["generated"] for reply in replies])),
        "unreadable": float(np.mean([not reply["readable"] for reply in replies])),
        "likelihood": None if None in likelihood else float(np.mean(likelihood)),
    }
