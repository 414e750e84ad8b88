"""Saving a model over its predecessor: whenever the work stops, one whole model is on the disk."""

from __future__ import annotations

import glob
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from saymask.errors import CheckpointError


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of `folder`, if that exists, when the block ends without an exception.

    Every call has a draft of its own; those of killed ones are removed.

    Raises:
        CheckpointError: the disk refuses (full, no permission); what was there is still there.
    """
    draft = folder.with_name(f".{folder.name}.partial-{secrets.token_hex(8)}")
    retired = folder.with_name(f".{folder.name}.retired")
    try:
        for left in folder.parent.glob(f"{glob.escape(f'.{folder.name}.partial')}*"):
            shutil.rmtree(left, ignore_errors=True)
        draft.mkdir(parents=True)
        yield draft
        _share(draft)
        if folder.exists():
            shutil.rmtree(retired, ignore_errors=True)
            folder.rename(retired)
        draft.rename(folder)
        shutil.rmtree(retired, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{folder}: cannot be written ({reason}); check the free space and permissions of {folder.parent}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _share(folder: Path) -> None:
    """Give every file the permissions of any new file; safetensors' own are for their owner alone."""
    probe = folder / ".probe"
    probe.touch()
    mode = probe.stat().st_mode
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)
