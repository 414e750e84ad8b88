"""What a prompter is to the rest of the package: clicks and boxes on one frame become a mask.

frame_HWC ─ encode, once ─┐
clicks, box, earlier mask ┴─ mask ─ mask_HW, score

Points are x y in pixels of the frame, boxes x0 y0 x1 y1. A prompter knows single frames; a tracker carries its masks to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from saymask.errors import ConfigError
from saymask.records import Video


@dataclass(frozen=True)
class Click:
    """A point x y in pixels that belongs to the object (`adds`) or does not."""

    x: float
    y: float
    adds: bool = True


@dataclass(frozen=True)
class Prompt:
    """All that a user has said about one object on one frame.

    Args:
        clicks: in any number, unless there is no box: then at least one that adds, or a mask to correct.
        box: x0 y0 x1 y1 around the object.
        mask_HW: bool, the mask that clicks correct; None = there is none yet.
    """

    clicks: tuple[Click, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask_HW: NDArray[np.bool_] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class PromptedMask:
    """bool mask_HW at the frame's size, and how good the prompter expects it to be (IoU, 0 ... 1)."""

    mask_HW: NDArray[np.bool_]
    score: float


class Prompter(Protocol):
    """A loaded prompter."""

    name: str
    weights_files: tuple[Path, ...]
    """Where the weights were read from, for reports."""

    def encode(self, frame_HWC: NDArray[np.uint8]) -> Any:
        """What `mask` needs of a frame: made once, used for any number of clicks."""
        ...

    def mask(self, encoded: Any, prompt: Prompt) -> PromptedMask:
        """The mask of what is pointed at.

        Raises:
            ConfigError: a prompt that says nothing, or points outside the frame; see `check_prompt`.
        """
        ...

    def notice(self, video: Video) -> str | None:
        """One line a user should read before trusting this prompter on this video, if any."""
        ...


def check_prompt(prompt: Prompt, height: int, width: int) -> None:
    """Refuse a prompt that no prompter can make a mask of; every `mask` begins with this.

    Raises:
        ConfigError: no click and no box, only clicks that take away and nothing to take from, a point outside the frame, a box without
            an inside, or a mask of another size.
    """
    if not prompt.clicks and prompt.box is None:
        raise ConfigError("nothing is pointed at; give a click or a box")
    if prompt.box is None and prompt.mask_HW is None and not any(click.adds for click in prompt.clicks):
        raise ConfigError("all clicks take away, and there is no mask to take from; give a click that adds, or a box")
    for click in prompt.clicks:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise ConfigError(f"click ({click.x:g}, {click.y:g}) is outside the frame; x is 0 to {width - 1}, y is 0 to {height - 1}")
    if prompt.box is not None:
        check_box(prompt.box, height, width)
    if prompt.mask_HW is not None and prompt.mask_HW.shape != (height, width):
        raise ConfigError(f"the mask to correct has shape {prompt.mask_HW.shape}; give ({height}, {width}), the frame's own size")


def check_box(box: Sequence[float], height: int, width: int) -> None:
    """Raise ConfigError unless the box x0 y0 x1 y1 has an inside and lies in the frame."""
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        shown = ", ".join(f"{value:g}" for value in box)
        raise ConfigError(f"box ({shown}) is none of a {width} x {height} frame; give x0 < x1 <= {width} and y0 < y1 <= {height} in pixels")
