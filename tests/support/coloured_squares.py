"""A moving world for sessions: squares of plain colours on black."""

from __future__ import annotations

import numpy as np

from saymask.records import Video

HEIGHT, WIDTH, SIDE = 24, 40, 6
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def frame(*squares: tuple[tuple[int, int, int], int, int]) -> np.ndarray:
    """Squares of a colour, each with its upper left corner (top, left), on black."""
    frame_HWC = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    for colour, top, left in squares:
        frame_HWC[top : top + SIDE, left : left + SIDE] = colour
    return frame_HWC


def square(top: int, left: int) -> np.ndarray:
    """bool mask_HW of a square."""
    mask_HW = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask_HW[top : top + SIDE, left : left + SIDE] = True
    return mask_HW


def video(*frames: np.ndarray, fps: float = 10.0) -> Video:
    return Video.from_frames(np.stack(frames), fps=fps)
