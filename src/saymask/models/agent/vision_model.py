"""What a vision-language model is to the agent: a text and images in, a text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_ANSWER_TOKENS = 1024


@dataclass(frozen=True)
class Reply:
    """What it wrote, and how many tokens were read and written for it."""

    text: str
    tokens: int


class VisionModel(Protocol):
    """A model to be asked; it keeps no history."""

    name: str

    def ask(self, text: str, images: Sequence[bytes]) -> Reply:
        """One answer.

        Args:
            text: the question.
            images: JPEG files, in the order in which the text speaks of them.

        Raises:
            ServiceError: it cannot be reached, or refuses.
        """
        ...
