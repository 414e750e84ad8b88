"""All or nothing: a file or folder appears under its name only when it is complete.

The work goes into a hidden draft that is renamed at the end; an error or Ctrl-C removes it. Every call has a draft of its own, so threads
and processes may write to one folder at the same time. What already exists is never replaced, except by `replaced_file`.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saymask.errors import VideoError

_DRAFT_MARK = ".partial-"
_TOKEN_BYTES = 8
_publishing = threading.Lock()
"""Held from asking whether a name is free to taking it."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; it becomes `path` when the block ends without an exception.

    Raises:
        VideoError: `path` exists, its folder does not, or the disk refuses (full, no permission).
    """
    with _new(path) as draft:
        yield draft


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes `path` when the block ends without an exception.

    Raises:
        VideoError: `path` exists, its parent folder does not, or the disk refuses (full, no permission).
    """
    with _new(path) as draft:
        draft.mkdir()
        yield draft


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Like `new_file`, for a file that nobody else writes: it takes the place of the one that is there, in one step.

    Drafts that an earlier writer of `path` has left because it was killed are removed.

    Raises:
        VideoError: its folder does not exist, or the disk refuses (full, no permission); what was there is still there.
    """
    with _draft(path) as draft:
        remove_drafts(path)
        yield draft
        draft.replace(path)


@contextmanager
def fill_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of `path`, which exists and is empty, when the block ends without an exception.

    One step replaces a folder, so that a kill at any moment leaves nothing of the work under its name. A folder that cannot be replaced
    (the working directory, the root of a disk, one in a folder that is not ours) is filled instead, entry by entry.

    Raises:
        VideoError: something else has put files there, or the disk refuses (full, no permission).
    """
    if _is_fixed(path):
        with _filled_in_place(path) as draft:
            yield draft
        return
    with _draft(path) as draft:
        draft.mkdir()
        yield draft
        draft.chmod(path.stat().st_mode & 0o7777)
        draft.rename(path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`, named like a draft of it, that is removed at the end: what is to stay is moved out of it.

    Raises:
        VideoError: its parent folder does not exist, or the disk refuses (full, no permission).
    """
    with _draft(path) as draft:
        draft.mkdir()
        yield draft


def remove_drafts(path: Path) -> None:
    """Remove what killed writers of a file or folder have left; nobody may be writing it."""
    any_token = "[0-9a-f]" * (2 * _TOKEN_BYTES)  # and no other file's draft whose name merely begins alike
    for left in path.parent.glob(f"{glob.escape(f'.{path.stem}{_DRAFT_MARK}')}{any_token}{glob.escape(path.suffix)}"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def is_vacant(folder: Path) -> bool:
    """Whether a folder holds nothing but what a killed writer may have left."""
    return all(_DRAFT_MARK in path.name and path.name.startswith(".") for path in folder.iterdir())


def _is_fixed(folder: Path) -> bool:
    return folder.samefile(Path.cwd()) or folder.is_mount() or any(folder.iterdir()) or not os.access(folder.parent, os.W_OK)


@contextmanager
def _filled_in_place(path: Path) -> Iterator[Path]:
    """What the draft in `path` holds moves into `path`; after an error nothing of it is left there."""
    draft = path / f"{_DRAFT_MARK}{secrets.token_hex(_TOKEN_BYTES)}"
    children: list[Path] = []
    try:
        draft.mkdir()
        yield draft
        children = sorted(draft.iterdir())
        with _publishing:
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


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    """A draft of what must not exist yet, neither now nor at the end."""
    _refuse_existing(path)
    with _draft(path) as draft:
        yield draft
        with _publishing:
            _refuse_existing(path)
            draft.rename(path)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A hidden name beside `path`, with its suffix, that nobody else uses; whatever still has it at the end is removed."""
    if not path.parent.is_dir():
        raise VideoError(f"{path}: no folder {path.parent} to write to; create it first")
    draft = path.with_name(f".{path.stem}{_DRAFT_MARK}{secrets.token_hex(_TOKEN_BYTES)}{path.suffix}")
    try:
        yield draft
    except OSError as error:
        raise _not_writable(path, error, path.parent) from None
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def _not_writable(path: Path, error: OSError, folder: Path) -> VideoError:
    return VideoError(f"{path}: cannot be written ({error.strerror or error}); check the free space and permissions of {folder}")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise VideoError(f"{path}: already exists and is not overwritten; remove it or choose another folder")
