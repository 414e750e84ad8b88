"""What commands have in common: lines on the terminal, progress bars, and output folders that never overwrite anything.

Results go to standard output, everything about the work itself (notices, warnings, progress) to standard error.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import typer

from saymask.errors import ConfigError, VideoError
from saymask.storage.atomic import fill_folder, is_vacant, new_folder, replaced_file, scratch_folder
from saymask.storage.drafts import draft_folder
from saymask.storage.json_files import read_json


def say(text: str) -> None:
    """Print a result."""
    typer.echo(_printable(text))


def note(text: str) -> None:
    """Print a line about the work; it does not end up in a pipe."""
    typer.echo(_printable(text), err=True)


def _printable(text: str) -> str:
    """Names of files may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()


def report_error(text: object) -> None:
    """Print the one line of a failure."""
    note(f"saymask: error: {text}")


class Update(Protocol):
    """How work reports its progress to a bar."""

    def __call__(self, done: int, total: int, label: str | None = None) -> None: ...


@contextmanager
def progress_bar(label: str, counted: bool = True) -> Iterator[Update]:
    """Show a bar while the block runs. Nothing is drawn when nobody watches.

    Args:
        label: stands before the bar; an update may change it.
        counted: show how many of how many and the time left; without, the label says what there is to say.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    numbers = (MofNCompleteColumn(), TimeRemainingColumn()) if counted else ()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *numbers)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def update(done: int, total: int, label: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=label)

        yield update


def free_folder(wanted: Path) -> Path:
    """Choose the output folder as `first_free` does, and say so if it is not the wanted one."""
    free = first_free(wanted)
    if free != wanted.resolve():
        note(f"{shown(wanted.resolve())} is taken; writing to {shown(free)}")
    return free


def first_free(wanted: Path) -> Path:
    """Return `wanted`, or its first numbered sibling (name-2, name-3, …) that does not exist or is an empty folder.

    Raises:
        ConfigError: the root of the disk, which has no siblings and belongs to nobody.
        VideoError: the folder could not be written to.
    """
    wanted = wanted.resolve()
    if wanted == wanted.parent:
        raise ConfigError(f"-o {wanted}: the root of the disk cannot be an output folder; name a folder in it")
    numbered = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    free = next(path for path in itertools.chain([wanted], numbered) if not path.exists() or (path.is_dir() and is_vacant(path)))
    _require_writable(free, "" if free == wanted else f"{shown(wanted)} is taken, and ")
    return free


def _require_writable(final: Path, why_this: str) -> None:
    """Try it: permission bits say nothing about a disk that is mounted read-only or lent by another machine."""
    try:
        existing = next(path for path in (final, *final.parents) if path.exists())
        with draft_folder(existing, within=True):  # which the next run removes if this one is killed just now
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise VideoError(f"{why_this}{final}: cannot be written ({reason}); choose another folder with -o") from None


def scratch_beside(wanted: Path) -> AbstractContextManager[Path]:
    """A hidden folder, on the disk where `free_folder(wanted)` will be, that is removed at the end."""
    free = first_free(wanted)
    parent = next(path for path in free.parents if path.exists())
    return scratch_folder(parent / free.name)


@contextmanager
def output_folder(final: Path) -> Iterator[Path]:
    """Give a hidden folder to fill, which becomes `final` (from `free_folder`) when the block ends without an exception."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with fill_folder(final) if final.exists() else new_folder(final) as draft:
        yield draft


def write_index(folder: Path, entries: Sequence[Mapping[str, str]]) -> None:
    """Say in index.json which source each folder is of, and why a source has none; sources of earlier runs stay in it."""
    path = folder / "index.json"
    sources = {entry["source"] for entry in entries}
    try:
        earlier = read_json(path, ConfigError, "")
    except ConfigError:
        earlier = []
    kept = (
        [entry for entry in earlier if isinstance(entry, dict) and entry.get("source") not in sources] if isinstance(earlier, list) else []
    )
    folder.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as draft:
        draft.write_text(json.dumps([*kept, *entries], indent=1) + "\n", encoding="utf-8")


def shown(path: Path) -> str:
    """A path as short as it can be pasted: relative to the working directory if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
