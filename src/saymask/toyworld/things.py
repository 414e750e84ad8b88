"""One thing of a toy video, and the facts of its life that questions are about.

Facts are measured on the trajectory itself, never taken from the wish that made it: where a thing is, when it is seen, how far it travels
each way, when it stops. A fact that a viewer could argue about is `UNCLEAR`, and no question is asked that depends on it.
    xy_T2        float64 centre on the nominal 128 x 128 canvas, x right, y down
    present_T    bool, False = not in the scene on this frame
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from saymask.toyworld.motion import CANVAS, TIMELINE
from saymask.toyworld.shapes import sprite_area

UNCLEAR = -1
"""Event frame of a thing whose event a viewer could overlook or argue about."""


@dataclass(frozen=True, eq=False)
class Thing:
    """A thing: what it is, how large (side in nominal pixels), and where it is on each of the 24 frames."""

    kind: str
    colour: str
    size: int
    manner: str
    xy_T2: np.ndarray = field(repr=False)
    present_T: np.ndarray = field(repr=False)
    flip: bool = False
    brightness: int = 100

    @property
    def pair(self) -> tuple[str, str]:
        return self.colour, self.kind

    @cached_property
    def area(self) -> int:
        """Pixels of the whole sprite on the nominal canvas."""
        return sprite_area(self.kind, self.size)

    @cached_property
    def seen_T(self) -> np.ndarray:
        """Present, with its centre on the canvas."""
        inside_T2 = (self.xy_T2 >= 0) & (self.xy_T2 < CANVAS)
        return self.present_T & inside_T2[:, 0] & inside_T2[:, 1]

    @cached_property
    def seen_frames(self) -> int:
        return int(self.seen_T.sum())

    @cached_property
    def _steps(self) -> np.ndarray:
        """Displacements between consecutive frames on which the thing is seen."""
        steps = self.xy_T2[1:] - self.xy_T2[:-1]
        return steps[self.seen_T[1:] & self.seen_T[:-1]]

    @cached_property
    def travel(self) -> dict[str, float]:
        """Pixels travelled in each direction while seen, there and back counted apart."""
        right, down = np.maximum(self._steps, 0).sum(0).tolist()
        left, up = np.maximum(-self._steps, 0).sum(0).tolist()
        return {"left": left, "right": right, "up": up, "down": down}

    @cached_property
    def speed(self) -> float:
        """Mean pixels a frame while seen."""
        steps = self._steps
        return float(np.sqrt((steps * steps).sum(1)).mean()) if len(steps) else 0.0

    def event_frame(self, event: str) -> int | None:
        """Frame on which the thing stops, starts, appears or disappears.

        Returns:
            The first frame of the new state, None if there is no such event, `UNCLEAR` if a viewer could argue.
        """
        return self._events[event]

    @cached_property
    def _events(self) -> dict[str, int | None]:
        moves_T = (self.xy_T2[1:] != self.xy_T2[:-1]).any(1)
        moving = np.flatnonzero(moves_T)
        stop = start = None
        if len(moving):
            stop = int(moving[-1]) + 1 if moving[-1] < TIMELINE - 2 else None
            start = int(moving[0]) if moving[0] > 0 else None
        present = np.flatnonzero(self.present_T)
        gapless = len(present) == present[-1] - present[0] + 1
        appear = int(present[0]) if present[0] > 0 else None
        disappear = int(present[-1]) + 1 if present[-1] < TIMELINE - 1 else None
        crosses_edge = bool((self.present_T & ~self.seen_T).any())
        events = {"stop": stop, "start": start, "appear": appear, "disappear": disappear}
        for event in ("stop", "start"):
            frame = events[event]
            if frame is not None and not self.seen_T[max(frame - 4, 0) : frame + 5].all():
                events[event] = UNCLEAR
        for event in ("appear", "disappear"):
            if not gapless or crosses_edge:
                events[event] = UNCLEAR
        return events
