"""How much a source may ask for before it is refused: checked on what headers claim, and again on what is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saymask.errors import VideoError


@dataclass(frozen=True)
class ReadLimits:
    """Largest frame and longest video that will be opened; a small file can otherwise demand any amount of memory."""

    max_pixels: int = 8192 * 8192
    max_frames: int = 100_000

    def check_size(self, path: Path, width: int, height: int) -> None:
        """Raises VideoError if a frame of this size is over `max_pixels`."""
        if width * height > self.max_pixels:
            raise VideoError(
                f"{path}: frames of {width}x{height} are over the limit of {self.max_pixels} pixels; "
                "scale it down or raise the limit (--max-pixels in the command line, ReadLimits in Python)"
            )

    def check_count(self, path: Path, num_frames: int) -> None:
        """Raises VideoError if there are more than `max_frames` frames."""
        if num_frames > self.max_frames:
            raise VideoError(
                f"{path}: more than {self.max_frames} frames; "
                "cut it into parts or raise the limit (--max-frames in the command line, ReadLimits in Python)"
            )
