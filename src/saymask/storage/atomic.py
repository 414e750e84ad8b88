"""All or nothing: a file or folder appears under its name only when it is complete.

The work goes into a hidden draft that is renamed at the end; an error or Ctrl-C removes it, and what a killed writer has left of a folder
goes when it is written again. Every call has a draft of its own, so threads and processes may write to one folder at the same time. What
already exists is never replaced, except by `replaced_file`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saymask.errors import VideoError
from saymask.storage.drafts import draft_beside, draft_folder, is_draft, published, remove_drafts

_publishing = threading.Lock()
"""Held from asking whether a name is free to taking it."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; it becomes `path` when the block ends without an exception.

    Raises:
        VideoError: `path` exists, its folder does not, or the disk refuses (full, no permission).
    """
    _refuse_existing(path)
    with _draft(path) as draft:
        yield draft
        _publish(draft, path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes `path` when the block ends without an exception.

    Raises:
        VideoError: `path` exists, its parent folder does not, or the disk refuses (full, no permission).
    """
    _refuse_existing(path)
    with _draft_folder(path) as draft:
        yield draft
        _publish(draft, path)


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
    with _draft_folder(path) as draft:
        yield draft
        draft.chmod(path.stat().st_mode & 0o7777)
        draft.rename(path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder on the disk of `path`, named like a draft of it, that is removed at the end: what is to stay is moved out of it.

    It lies beside `path`, or in it if `fill_folder` would fill that in place: then what is beside may be another disk, or not ours.

    Raises:
        VideoError: its parent folder does not exist, or the disk refuses (full, no permission).
    """
    with _draft_folder(path, within=path.is_dir() and _is_fixed(path)) as draft:
        yield draft


def is_vacant(folder: Path) -> bool:
    """Whether a folder holds nothing but what a killed writer may have left."""
    return all(is_draft(path) for path in folder.iterdir())


def _is_fixed(folder: Path) -> bool:
    return folder.samefile(Path.cwd()) or folder.is_mount() or any(folder.iterdir()) or not os.access(folder.parent, os.W_OK)


@contextmanager
def _filled_in_place(path: Path) -> Iterator[Path]:
    """What the draft in `path` holds moves into `path`; after an error nothing of it is left there."""
    with _draft_folder(path, within=True) as draft:
        yield draft
        children = sorted(draft.iterdir())
        try:
            with _publishing:
                for child in children:
                    _refuse_existing(path / child.name)
                for child in children:
                    child.rename(path / child.name)
        except BaseException:
            for child in children:
                if not child.exists():
                    (path / child.name).rename(child)
            raise


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` for a file; whatever still has it at the end is removed."""
    _require_parent(path)
    draft = draft_beside(path)
    try:
        yield draft
    except OSError as error:
        raise _not_writable(path, error, path.parent) from None
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _draft_folder(path: Path, within: bool = False) -> Iterator[Path]:
    """A hidden folder beside `path`, or in it; if it still has its name at the end, it is removed."""
    _require_parent(path)
    try:
        with draft_folder(path, within) as draft:
            yield draft
    except OSError as error:
        raise _not_writable(path, error, path if within else path.parent) from None


def _publish(draft: Path, path: Path) -> None:
    """Give a draft its name, which must not exist yet."""
    with _publishing:
        _refuse_existing(path)
        draft.rename(path)


def _require_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise VideoError(f"{published(path)}: no folder {published(path.parent)} to write to; create it first")


def _not_writable(path: Path, error: OSError, folder: Path) -> VideoError:
    there = next(parent for parent in (published(folder), *published(folder).parents) if parent.exists())
    return VideoError(f"{published(path)}: cannot be written ({error.strerror or error}); check the free space and permissions of {there}")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise VideoError(f"{published(path)}: already exists and is not overwritten; remove it or choose another folder")
