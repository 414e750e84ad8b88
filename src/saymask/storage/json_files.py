"""JSON files that others wrote: one reader, whose caller says which error a damaged file raises and what to do then.

Only regular files are opened, and their size is checked before they are read. Nesting is bounded by Python's own limit on recursion, or
tighter where the caller asks `is_nested_deeper`.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from saymask.errors import SaymaskError

MAX_BYTES = 2**32
"""Larger than any published annotation file that is read whole."""


def read_json(path: Path, error: type[SaymaskError], remedy: str, *, fallback_encoding: str = "utf-8", max_bytes: int = MAX_BYTES) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        error: what is raised if it cannot be read.
        remedy: what to do then; the end of the message.
        fallback_encoding: of a file that is not UTF-8.
        max_bytes: larger files are not read.

    Raises:
        error: there is no such file, it is too large, it is not JSON, or an object in it has one key twice (other readers silently drop
            the first value).
    """
    data = read_bytes(path, error, remedy, max_bytes=max_bytes)
    try:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode(fallback_encoding)
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except _DuplicateKey as problem:
        raise error(f"{path}: {problem.args[0]!r} occurs twice in one object; remove one of them, or {remedy}") from None
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: not valid JSON ({problem}); {remedy}") from None


def read_bytes(path: Path, error: type[SaymaskError], remedy: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file of any content; arguments of `read_json`, and `error` if it cannot be read."""
    try:
        return _read_regular_file(path, max_bytes)
    except FileNotFoundError:
        raise error(f"{path}: no such file; {remedy}") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem}); {remedy}") from None


def read_text(path: Path, error: type[SaymaskError], remedy: str, *, max_bytes: int = MAX_BYTES) -> str:
    """Read a text file in UTF-8; arguments of `read_json`, and `error` if it cannot be read or is no text."""
    try:
        return read_bytes(path, error, remedy, max_bytes=max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise error(f"{path}: not a text in UTF-8; {remedy}") from None


def read_json_object(path: Path, error: type[SaymaskError], remedy: str, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a JSON file that holds an object; arguments and errors of `read_json`, and `error` if it holds something else."""
    values = read_json(path, error, remedy, max_bytes=max_bytes)
    if not isinstance(values, dict):
        raise error(f"{path}: holds a {type(values).__name__}, expected an object; {remedy}")
    return values


def is_nested_deeper(values: Any, limit: int) -> bool:
    """Whether lists and objects lie in one another more than `limit` times."""
    level = [values]
    for _ in range(limit):
        level = [
            inner for outer in level if isinstance(outer, dict | list) for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(value, dict | list) for value in level)


def _read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Content of a file; a pipe or a device is not opened, since it may never end.

    Raises:
        OSError: it is absent, special, a folder or too large, or the system refuses.
    """
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError("a pipe or a device, not a regular file")
    if status.st_size > max_bytes:
        raise OSError(f"{status.st_size:,} bytes, at most {max_bytes:,} are read")
    return path.read_bytes()


class _DuplicateKey(Exception):
    """An object with one key twice."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKey(next(key for key in keys if keys.count(key) > 1))
    return found
