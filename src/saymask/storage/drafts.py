"""Hidden drafts of files and folders: their names, and which of them nobody writes any more.

A draft beside `path` is called `.<stem>.partial-<token><suffix>`, one in `path` `.partial-<token>`. The writer of a draft folder holds a
lock on it that ends with its process, so that what a killed one has left is told from what is being written. The token begins with a mark
of the host: some networked disks show a lock to its own host alone.
"""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is held, and nothing is taken for abandoned
    fcntl = None

_MARK = ".partial-"
_TOKEN_DIGITS = 16
_HOST_DIGITS = _TOKEN_DIGITS // 2
_DIGIT = "[0-9a-f]"
_DRAFT_BESIDE = re.compile(rf"\.(.+){re.escape(_MARK)}{_DIGIT}{{{_TOKEN_DIGITS}}}(.*)")
_DRAFT_WITHIN = re.compile(rf"{re.escape(_MARK)}{_DIGIT}{{{_TOKEN_DIGITS}}}")


def draft_beside(path: Path) -> Path:
    """A hidden name for a draft of a file or folder, with its suffix, that nobody else uses."""
    return path.with_name(f".{path.stem}{_MARK}{_token()}{path.suffix}")


def is_draft(path: Path) -> bool:
    return bool(_DRAFT_BESIDE.fullmatch(path.name) or _DRAFT_WITHIN.fullmatch(path.name))


def published(path: Path) -> Path:
    """Where something in a draft will be, for messages: the draft itself is gone when they are read."""
    names = (_DRAFT_BESIDE.sub(r"\1\2", name) for name in path.parts if not _DRAFT_WITHIN.fullmatch(name))
    return Path(*names)


def remove_drafts(path: Path) -> None:
    """Remove what killed writers of a file or folder have left beside it; nobody may be writing it."""
    for left in path.parent.glob(_beside(path, _DIGIT * _TOKEN_DIGITS)):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def draft_folder(path: Path, within: bool = False) -> Iterator[Path]:
    """Make an empty draft of a folder and hold it; if it still has its name at the end, it is removed.

    Drafts of the same folder that writers of this host have left because they were killed are removed first.

    Args:
        path: whose draft it is.
        within: it lies in `path` and not beside it.

    Raises:
        OSError: the disk refuses.
    """
    _remove_abandoned(path, within)
    draft, lock = _make_held(path, within)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _make_held(path: Path, within: bool) -> tuple[Path, int | None]:
    """A new draft folder, and the open lock on it; None where folders cannot be locked."""
    while True:
        draft = path / f"{_MARK}{_token()}" if within else draft_beside(path)
        draft.mkdir()
        if fcntl is None:
            return draft, None
        lock = None
        try:
            lock = os.open(draft, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            continue  # taken for abandoned before it was held
        except OSError:  # a disk without locks
            if lock is not None:
                os.close(lock)
            return draft, None
        if draft.exists():
            return draft, lock
        os.close(lock)


def _remove_abandoned(path: Path, within: bool) -> None:
    """Remove the draft folders of `path` that nobody on this host holds any more."""
    if fcntl is None:
        return
    of_host = _host() + _DIGIT * (_TOKEN_DIGITS - _HOST_DIGITS)
    for left in path.glob(f"{_MARK}{of_host}") if within else path.parent.glob(_beside(path, of_host)):
        try:
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # a file, or gone meanwhile
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            pass  # held, or a disk without locks
        finally:
            os.close(lock)


def _beside(path: Path, token: str) -> str:
    """The pattern of a file's or folder's drafts whose token has a pattern, and of no other whose name merely begins alike."""
    return f"{glob.escape(f'.{path.stem}{_MARK}')}{token}{glob.escape(path.suffix)}"


def _token() -> str:
    return f"{_host()}{secrets.token_hex((_TOKEN_DIGITS - _HOST_DIGITS) // 2)}"


def _host() -> str:
    return blake2b(socket.gethostname().encode(), digest_size=_HOST_DIGITS // 2).hexdigest()
