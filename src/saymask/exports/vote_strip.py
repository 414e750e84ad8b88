"""How a frame was chosen, as a strip below a row of frames: a bar for each part of the video, and a mark at the chosen frame.

A result's notes may hold `frame_votes`: {"bins": [how much speaks for each of n points from the first frame to the last], "chosen": index}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import ImageDraw

from saymask.exports.drawing import font

STRIP_HEIGHT = 46
_BARS, _LABEL = 26, 12
_GREY = (205, 205, 205)


@dataclass(frozen=True)
class FrameVotes:
    """What speaks for the frames of a video, and which one was chosen."""

    bins: tuple[float, ...]
    chosen: int

    @classmethod
    def of(cls, notes: Mapping[str, Any]) -> FrameVotes | None:
        """What a result's notes say, if anything."""
        found = notes.get("frame_votes")
        return cls(tuple(map(float, found["bins"])), int(found["chosen"])) if found else None

    def draw(
        self, draw: ImageDraw.ImageDraw, first_x: float, last_x: float, top: float, num_frames: int, colour: tuple[int, int, int]
    ) -> None:
        """Draw the strip.

        Args:
            draw: the sheet.
            first_x, last_x: where the first and the last frame of the video stand.
            top: upper edge.
            num_frames: of the video.
            colour: the query's.
        """
        span, foot, most = last_x - first_x, top + _BARS, max(self.bins) or 1.0
        half = max(2.0, min(14.0, span / max(1, len(self.bins)) / 3))
        draw.line((first_x - half, foot, last_x + half, foot), fill=_GREY)
        for place, amount in enumerate(self.bins):
            x = first_x + span * place / max(1, len(self.bins) - 1)
            if height := round(_BARS * amount / most):
                draw.rectangle((x - half, foot - height, x + half, foot - 1), fill=colour)
        x = first_x + span * self.chosen / max(1, num_frames - 1)
        draw.polygon(((x, foot + 1), (x - 5, foot + 8), (x + 5, foot + 8)), fill=(20, 20, 20))
        text, small = f"frame {self.chosen}", font(_LABEL)
        width = small.getlength(text)
        left = x + 9 if x + 9 + width <= last_x + half else x - 9 - width
        draw.text((left, foot + 1), text, font=small, fill=(20, 20, 20))
