"""The list of jobs: a CSV, JSONL or Parquet file with a row per job, or a folder of videos and sentences that are asked of each.

    id, source, query (or queries), and any option of the model for this row alone

Everything that is wrong with the list is said at once, before a model is loaded. A relative `source` is searched from the list's folder.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import yaml

from saymask.batch.sources import source_names
from saymask.errors import ConfigError
from saymask.records import check_queries
from saymask.storage.json_files import read_text
from saymask.video.reader import find_sources

COLUMNS = ("id", "source", "query", "queries")
SEPARATOR = "|"
"""Between the queries of one cell of a CSV file."""
_SHOWN_PROBLEMS = 5
_ID_LENGTH = 100
_ID = re.compile(rf"[^\W_][\w.+-]{{0,{_ID_LENGTH - 1}}}")
_MAX_BYTES = 2**30


@dataclass(frozen=True)
class Job:
    """One video and what to ask of it.

    Args:
        id: names the folder of its result; no two jobs of a list have the same, upper and lower case being the same.
        source: a video, an image or a folder of frames; absolute.
        queries: at least one.
        options: of the model, for this job alone.
    """

    id: str
    source: str
    queries: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, a row of a JSONL list."""
        return {"id": self.id, "source": self.source, "queries": list(self.queries), **self.options}


def read_jobs(jobs: Path, queries: Sequence[str] = ()) -> list[Job]:
    """Read a list, or make one of a folder.

    Args:
        jobs: a .csv, .jsonl or .parquet file, or a folder of videos.
        queries: asked of every video of a folder; empty with a list, which has its own.

    Raises:
        ConfigError: the list cannot be read, a row is not a job, or two jobs have one id: the first problems, each with its row.
        VideoError: there are no videos in the folder.
    """
    if jobs.is_dir():
        check_queries(queries)
        paths = find_sources(str(jobs))
        return [Job(name, str(path.absolute()), tuple(queries)) for name, path in zip(_as_ids(source_names(paths)), paths, strict=True)]
    if queries:
        raise ConfigError(f"{jobs}: a list has its own queries; leave out {queries[0]!r}, or give a folder of videos")
    problems: list[str] = []
    found: dict[str, Job] = {}
    for where, row in _rows(jobs):
        try:
            job = job_of(row, where, jobs.absolute().parent)
            if job.id.casefold() in found:
                raise ConfigError(f"{where}: the id {job.id!r} is taken by an earlier row; ids name the folders of results, change one")
            found[job.id.casefold()] = job
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        more = [f"… and {len(problems) - _SHOWN_PROBLEMS} more"] if len(problems) > _SHOWN_PROBLEMS else []
        raise ConfigError("\n".join([*problems[:_SHOWN_PROBLEMS], *more]))
    if not found:
        raise ConfigError(f"{jobs}: holds no job; write a row with {', '.join(COLUMNS[:3])} for each")
    return list(found.values())


def job_of(row: Mapping[str, Any], where: str, folder: Path) -> Job:
    """A row as a job; cells that are None or empty are not there.

    Raises:
        ConfigError: what the row lacks or what cannot be used in it, with the row's place.
    """
    cells = {key: value for key, value in row.items() if value is not None and value != ""}
    missing = [name for name in ("id", "source") if name not in cells]
    if missing:
        raise ConfigError(f"{where}: has no {missing[0]!r}; columns are {', '.join(COLUMNS)}, and options of the model")
    job_id = str(cells["id"])
    if not _ID.fullmatch(job_id):
        raise ConfigError(
            f"{where}: the id {job_id!r} cannot name a folder; use up to {_ID_LENGTH} letters, digits, '-', '_', '.' and '+', and begin "
            "with a letter or digit"
        )
    if ("query" in cells) == ("queries" in cells):
        raise ConfigError(f"{where}: needs either a 'query' or 'queries' (several, {SEPARATOR!r} between them)")
    queries = [str(cells["query"])] if "query" in cells else _split(cells["queries"])
    try:
        check_queries(queries)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    options = {key: value for key, value in cells.items() if key not in COLUMNS}
    return Job(job_id, str(folder / Path(str(cells["source"])).expanduser()), tuple(queries), options)


def _split(cell: Any) -> list[str]:
    return [part.strip() for part in cell.split(SEPARATOR)] if isinstance(cell, str) else [str(part) for part in cell]


def _as_ids(names: Sequence[str]) -> list[str]:
    """Names of sources as ids: what cannot stand in one becomes a dash, and those that are alike then are numbered."""
    taken: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^\w.+-]", "-", name).lstrip("._-+")[: _ID_LENGTH - 6] or "video"
        candidates = chain([stem], (f"{stem}-{number}" for number in count(2)))
        job_id = next(candidate for candidate in candidates if candidate.casefold() not in taken)
        taken[job_id.casefold()] = job_id
    return list(taken.values())


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows of a list, each with its place for messages.

    Raises:
        ConfigError: it is of another kind, or damaged.
    """
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in readers:
        kinds = ", ".join(readers)
        raise ConfigError(f"{path}: a list of jobs is a file ending in {kinds}, or a folder of videos; rename or convert it")
    return readers[path.suffix.lower()](path)


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Options are read as on the command line: 3, 1e-4, true, text."""
    text = read_text(path, ConfigError, "give a CSV file in UTF-8", max_bytes=_MAX_BYTES)
    lines = csv.DictReader(io.StringIO(text))
    for row in lines:
        where = f"{path} line {lines.line_num}"
        if None in row:
            raise ConfigError(f"{where}: more cells than columns; put quotation marks around a sentence with a comma")
        yield where, {key: value if key in COLUMNS or not value else _scalar(value, where) for key, value in row.items()}


def _scalar(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"{where}: the cell {text!r} is no value of an option") from None


def _jsonl_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(read_text(path, ConfigError, "give one JSON object a line", max_bytes=_MAX_BYTES).splitlines(), start=1):
        if line.strip():
            where = f"{path} line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ConfigError(f"{where}: not valid JSON ({error}); give one object a line") from None
            if not isinstance(row, dict):
                raise ConfigError(f"{where}: holds a {type(row).__name__}, expected an object with {', '.join(COLUMNS[:3])}")
            yield where, row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError:
        raise ConfigError(f"{path}: Parquet needs the extra 'ray' (pip install 'saymask[ray]'); or give a .csv or .jsonl") from None
    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, ArrowInvalid) as error:
        raise ConfigError(f"{path}: cannot be read as Parquet ({error}); write it again") from None
    for number, row in enumerate(rows, start=1):
        yield f"{path} row {number}", row
