"""All or nothing: a file or folder appears under its name only when it is complete.

The work goes into a hidden draft that is renamed at the end; an error or Ctrl-C removes it. What already exists is never replaced, but by
`replaced_file`.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saymask.errors import VideoError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; it becomes `path` when the block ends without an exception.

    Raises:
        VideoError: `path` exists, its folder does not, or the disk refuses (full, no permission).
    """
    draft = _draft_of(path)
    try:
        yield draft
        _refuse_existing(path)
        draft.rename(path)
    except OSError as error:
        raise _not_writable(path, error, path.parent) from None
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Like `new_file`, for a file that nobody else writes: it takes the place of the one that is there, in one step.

    Drafts that an earlier writer of `path` has left because it was killed are removed.

    Raises:
        VideoError: its folder does not exist, or the disk refuses (full, no permission); what was there is still there.
    """
    draft = _draft_name(path)
    try:
        for left in path.parent.glob(f"{glob.escape(f'.{path.stem}.partial-')}*{glob.escape(path.suffix)}"):
            left.unlink(missing_ok=True)
        yield draft
        draft.replace(path)
    except OSError as error:
        raise _not_writable(path, error, path.parent) from None
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes `path` when the block ends without an exception.

    Raises:
        VideoError: `path` exists, its parent folder does not, or the disk refuses (full, no permission).
    """
    draft = _draft_of(path)
    try:
        draft.mkdir()
        yield draft
        _refuse_existing(path)
        draft.rename(path)
    except OSError as error:
        raise _not_writable(path, error, path.parent) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def fill_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; what it holds moves into `path` when the block ends without an exception.

    `path` exists and is empty. It stays the folder that it is, because somebody may stand in it; after an error it is empty again.

    Raises:
        VideoError: something else has put files of the same names there, or the disk refuses (full, no permission).
    """
    draft = path / f".partial-{os.getpid()}"
    children: list[Path] = []
    try:
        draft.mkdir()
        yield draft
        children = sorted(draft.iterdir())
        for child in children:
            _refuse_existing(path / child.name)
        for child in children:
            child.rename(path / child.name)
    except BaseException as error:
        for child in children:
            if not child.exists():
                (path / child.name).rename(child)
        if isinstance(error, OSError):
            raise _not_writable(path, error, path) from None
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _draft_of(path: Path) -> Path:
    """A hidden name beside `path`, with its suffix, that no other process uses."""
    _refuse_existing(path)
    return _draft_name(path)


def _draft_name(path: Path) -> Path:
    if not path.parent.is_dir():
        raise VideoError(f"{path}: no folder {path.parent} to write to; create it first")
    return path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")


def _not_writable(path: Path, error: OSError, folder: Path) -> VideoError:
    return VideoError(f"{path}: cannot be written ({error.strerror or error}); check the free space and permissions of {folder}")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise VideoError(f"{path}: already exists and is not overwritten; remove it or choose another folder")
