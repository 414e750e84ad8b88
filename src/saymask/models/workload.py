"""What a call asks of a network, in counts: how many frames meet which encoder, how many tokens the language model reads.

A family's `workload` works it out from its configuration, a number of frames and the queries; `saymask plan` makes time and memory of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CountTokens = Callable[[str], int]
"""How many tokens a text has."""

ANSWER_TOKENS = 16
"""How long an answer that the model writes itself is taken to be, in tokens."""


@dataclass(frozen=True)
class Reading:
    """Passes of the language model.

    Args:
        rows: chats that go through it side by side.
        tokens: what each of them reads.
        past: tokens that all of them have read before, once.
        times: how often this is done, one pass after the other.
        written: the pass chooses the next token, so its last state goes through the vocabulary.
    """

    rows: int
    tokens: int
    past: int = 0
    times: int = 1
    written: bool = False

    @classmethod
    def answer(cls, rows: int, past: int, tokens: int = ANSWER_TOKENS) -> Reading:
        """An answer written token by token."""
        return cls(rows, 1, past, tokens, written=True)


@dataclass(frozen=True)
class Workload:
    """What the parts of a network have to do for one call.

    Args:
        tower_frames: frames that the vision tower sees.
        readings: of the language model, in order.
        reference_frames: frames that meet the mask encoder where a tracker finds the masks of the others.
        objects: masks that the decoder makes of each frame that it sees.
        frames_at_once: most frames that meet the mask encoder together; None = as many as the session decodes at a time.
    """

    tower_frames: int
    readings: tuple[Reading, ...]
    reference_frames: int
    objects: int
    frames_at_once: int | None = None
