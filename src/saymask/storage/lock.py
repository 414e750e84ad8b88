"""One run per folder: a file says who is at work there, on which host and since when.

The file appears in one step and is touched every few seconds. A lock of this host is stale if its process is gone, one of another host if
nobody has touched it for minutes; ages are measured by the disk's own clock, since the hosts' clocks differ.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from saymask.errors import ConfigError, SaymaskError
from saymask.storage.json_files import read_json_object

LOCK = ".lock"
_TOUCH_SECONDS = 15
_STALE_SECONDS = 300
_MAX_BYTES = 2**12


@contextmanager
def lock_folder(folder: Path, doing: str, name: str = LOCK) -> Iterator[None]:
    """Hold the folder of a run, which is made if it is not there, while the block runs.

    Args:
        folder: where the run writes.
        doing: what it does there, such as "training", for messages.
        name: of the lock; runs that may share the folder have different ones.

    Raises:
        ConfigError: another process holds it; names its host, its number and since when.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / name
    own = json.dumps(_identity())
    while not _create(lock, own):
        if not _is_stale(lock):
            raise ConfigError(
                f"{folder}: {_holder(lock)} is {doing} there; wait for it, or choose another folder (if nothing runs, delete {lock})"
            )
        _remove_stale(lock)
    ended = threading.Event()
    toucher = threading.Thread(target=_keep_fresh, args=(lock, ended), name="saymask-lock", daemon=True)
    toucher.start()
    try:
        yield
    finally:
        ended.set()
        toucher.join()
        lock.unlink(missing_ok=True)
        if is_new and not any(folder.iterdir()):  # it was refused before it began
            folder.rmdir()


def _create(lock: Path, content: str) -> bool:
    """Make the lock, whole and in one step; False if there is one."""
    draft = lock.with_name(f"{lock.name}.{secrets.token_hex(8)}")
    try:
        draft.write_text(content, encoding="utf-8")
        os.link(draft, lock)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(f"{lock}: cannot be written ({error.strerror}); check the free space and permissions of {lock.parent}") from None
    finally:
        draft.unlink(missing_ok=True)
    return True


def _identity() -> dict[str, str | int]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S UTC}",
    }


def _started(pid: int) -> str:
    """When a process of this host began, so that another one with its number is told from it; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _read(lock: Path) -> dict[str, str | int]:
    try:
        return read_json_object(lock, ConfigError, "delete it if nothing runs there", max_bytes=_MAX_BYTES)
    except SaymaskError:
        return {}


def _is_stale(lock: Path) -> bool:
    """Whether nobody is behind a lock any more."""
    holder = _read(lock)
    if holder.get("host") == socket.gethostname() and isinstance(holder.get("pid"), int):
        return _started(int(holder["pid"])) != holder.get("started")
    probe = lock.with_name(f"{lock.name}.{secrets.token_hex(8)}")
    probe.touch()
    try:
        return probe.stat().st_mtime - lock.stat().st_mtime > _STALE_SECONDS
    except FileNotFoundError:
        return True
    finally:
        probe.unlink()


def _remove_stale(lock: Path) -> None:
    """Take a stale lock away; of several processes that do, one moves it, and what is moved by mistake comes back."""
    before = _read(lock)
    moved = lock.with_name(f"{lock.name}.{secrets.token_hex(8)}")
    try:
        lock.rename(moved)
    except FileNotFoundError:
        return
    if _read(moved) != before:
        os.link(moved, lock)
    moved.unlink()


def _keep_fresh(lock: Path, ended: threading.Event) -> None:
    while not ended.wait(_TOUCH_SECONDS):
        try:
            os.utime(lock)
        except OSError:
            continue  # a disk that is away for a moment


def _holder(lock: Path) -> str:
    holder = _read(lock)
    return f"process {holder.get('pid', '?')} of host {holder.get('host', '?')} (since {holder.get('since', '?')})"
