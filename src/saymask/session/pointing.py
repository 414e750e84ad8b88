"""Clicks and boxes on a frame, gathered per object until another frame or object is pointed at, and the masks they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from saymask.errors import ConfigError
from saymask.models.prompters.base import Click, Prompt, PromptedMask, Prompter

Pointed = tuple[str, int | None]
"""Query and id of an object; no id while it is new."""


class Pointing:
    """What is being pointed at: one object on one frame, encoded once for all clicks.

    Args:
        prompter: None = nothing can be pointed at.
    """

    def __init__(self, prompter: Prompter | None):
        self.prompter = prompter
        self._frame: tuple[int, Any] | None = None
        self._object: Pointed | None = None
        self._prompt = Prompt()

    def click(
        self, obj: Pointed, frame_idx: int, frame_HWC: np.ndarray, mask_HW: np.ndarray | None, x: float, y: float, adds: bool
    ) -> PromptedMask:
        """The mask after one more click.

        Args:
            obj, frame_idx, frame_HWC: what is pointed at, and where.
            mask_HW: the object's mask there before the first click; None or an empty one = there is nothing to correct.

        Raises:
            ConfigError: there is no prompter, or it cannot make a mask of the prompt.
        """
        self._turn_to(obj, frame_idx, frame_HWC)
        if not self._prompt.clicks and self._prompt.box is None and mask_HW is not None and mask_HW.any():
            self._prompt = replace(self._prompt, mask_HW=mask_HW)
        return self._mask(replace(self._prompt, clicks=(*self._prompt.clicks, Click(x, y, adds))))

    def box(self, obj: Pointed, frame_idx: int, frame_HWC: np.ndarray, box: Sequence[float]) -> PromptedMask:
        """The mask of a box x0 y0 x1 y1, which takes the place of what was pointed at before. Errors as for `click`."""
        self._turn_to(obj, frame_idx, frame_HWC)
        if len(box) != 4:
            raise ConfigError(f"a box has 4 numbers, x0 y0 x1 y1; got {len(box)}")
        x0, y0, x1, y1 = box
        return self._mask(Prompt(box=(x0, y0, x1, y1)))

    def keep(self, obj: tuple[str, int]) -> int:
        """The mask was accepted as this object's, so later clicks go on from here; its id."""
        self._object = obj
        return obj[1]

    def turn_away(self) -> None:
        """The next click begins anew."""
        self._object = None

    def _mask(self, prompt: Prompt) -> PromptedMask:
        assert self.prompter is not None and self._frame is not None
        made = self.prompter.mask(self._frame[1], prompt)
        self._prompt = replace(prompt, mask_HW=made.mask_HW)  # the next click corrects it; one that was refused is not gathered
        return made

    def _turn_to(self, obj: Pointed, frame_idx: int, frame_HWC: np.ndarray) -> None:
        if self.prompter is None:
            raise ConfigError("clicks and boxes need a prompter; open the session with one, e.g. prompter='toy-prompter'")
        if self._frame is None or self._frame[0] != frame_idx:
            self._frame, self._object = (frame_idx, self.prompter.encode(frame_HWC)), None
        if obj != self._object:
            self._object, self._prompt = None, Prompt()


def require_mask(mask_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask as bool mask_HW.

    Raises:
        ConfigError: another size.
    """
    if mask_HW.shape != (height, width):
        raise ConfigError(f"the mask has shape {mask_HW.shape}; give ({height}, {width}), the frames' own size")
    return np.ascontiguousarray(mask_HW, dtype=bool)
