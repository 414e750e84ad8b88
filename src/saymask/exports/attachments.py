"""Files that a model wants beside a saved result, such as a trace of how the answer was found."""

from __future__ import annotations

from pathlib import Path

from saymask.records import Prediction
from saymask.storage.atomic import new_file


def write_attachments(prediction: Prediction, directory: Path) -> list[Path]:
    """Write every result's `files` and return where they are.

    Raises:
        VideoError: something of that name is there already, or cannot be written.
    """
    written = []
    for result in prediction.results:
        for name, content in result.files.items():
            path = directory / name
            with new_file(path) as draft:
                draft.write_bytes(content)
            written.append(path)
    return written
