"""Image files are opened here: only formats that were asked for, and nothing behind the end of the file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image


@contextmanager
def opened_image(path: Path, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open an image file whose format is one of these; errors are Pillow's.

    Raises:
        OSError: it cannot be opened, is no image, or is no regular file (a pipe may never end).
    """
    if path.exists() and not path.is_file():
        raise OSError("not a regular file")
    with _Bounded(io.FileIO(path)) as file, Image.open(file, formats=formats) as image:
        yield image


class _Bounded(io.BufferedReader):
    """Whoever believes a damaged header asks for gigabytes, and Python would make room for them before it looks for the end."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))
