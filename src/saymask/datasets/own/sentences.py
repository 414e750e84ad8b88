"""The sentences of own data: `sentences.csv`, or `sentences.json` as a list of records or in the form of `meta_expressions.json`.

Whatever the file, a sentence is a `Row` with the words of its author: which video, which objects, what is said. Problems are collected,
each with its line and what to do; a check lists them all, a loader refuses to start while there is one. A table may come from a
spreadsheet, with a byte order mark, semicolons or tabs between its cells, empty lines, and empty cells at the end.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saymask.datasets.annotation_files import read_bytes, read_json
from saymask.errors import DataError
from saymask.lookup import suggest

COLUMNS = ("video", "objects", "sentence", "split")
SPLITS = ("train", "val")

_REQUIRED = COLUMNS[:3]
_SEPARATORS = (",", ";", "\t")
_OTHER_NAMES = {"object": "objects", "exp": "sentence", "obj_id": "objects"}
"""What a table with one object per sentence, and `meta_expressions.json`, call it."""
_NO_MEANING = ("frames", "expressions", "anno_id", "vid_id", "height", "width")
"""Further keys that are usual in a `meta_expressions.json`."""


@dataclass(frozen=True)
class Row:
    """One sentence as its author wrote it.

    Args:
        where: file and line, for messages.
        video: name or file name of the video, below the folder of the videos.
        objects: names of its targets; empty if nothing in the video matches.
        text: the sentence.
        split: one of `SPLITS`.
        exp_id: what the file calls the sentence, None if it does not say.
    """

    where: str
    video: str
    objects: str
    text: str
    split: str
    exp_id: str | None = None


@dataclass(frozen=True)
class Sentences:
    """What a file says.

    Args:
        path: the file.
        rows: sentences that can be understood, in its order.
        problems: what is wrong with the others: place, what it is, what to do.
    """

    path: Path
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def read_sentences(path: Path) -> Sentences:
    """Read `sentences.csv` or `sentences.json`, which exists."""
    problems: list[str] = []
    try:
        records = _read_json_records(path) if path.suffix == ".json" else _read_table(path, problems)
    except DataError as error:
        return Sentences(path, (), (str(error),))
    rows: list[Row] = []
    for record in records:
        found = _column_problems(record.values, record.where) + _value_problems(record)
        if not found:
            rows.append(_row(record))
        problems += found
    if not records and not problems:
        problems.append(f"{path}: there are no sentences in it; write one line for each, as in docs/own-data.md")
    return Sentences(path, tuple(rows), tuple(problems))


@dataclass(frozen=True)
class _Record:
    """A line or entry before it is checked: values by column."""

    where: str
    values: Mapping[str, str]
    exp_id: str | None = None


def _row(record: _Record) -> Row:
    values = record.values
    return Row(record.where, values["video"], values["objects"], values["sentence"], values.get("split", SPLITS[0]), record.exp_id)


def _column_problems(names: Iterable[str], where: str) -> list[str]:
    """Columns that mean nothing; if there are none, a column that is missing."""
    names = list(names)
    problems = [
        f"{where}: unknown column {name!r}; rename or remove it ({suggest(name, list(COLUMNS))})" for name in names if name not in COLUMNS
    ]
    missing = [name for name in _REQUIRED if name not in names]
    if missing and not problems:
        needed = ", ".join(_REQUIRED)
        problems.append(f"{where}: no column {missing[0]!r}; there must be {needed} (objects may be empty: nothing matches)")
    return problems


def _value_problems(record: _Record) -> list[str]:
    """What is wrong with one sentence by itself."""
    where, values = record.where, record.values
    problems = []
    if values.get("video") == "":
        problems.append(f"{where}: no video is named; write its name below videos/")
    if values.get("sentence") == "":
        problems.append(f"{where}: the sentence is empty; write what to look for, or remove the line")
    if values.get("split", SPLITS[0]) not in SPLITS:
        problems.append(f"{where}: split is {values['split']!r}; write {' or '.join(SPLITS)} in every line, or remove the column")
    return problems


# -- tables -----------------------------------------------------------------------------------------------------------------------------


def _read_table(path: Path, problems: list[str]) -> list[_Record]:
    """Lines of a CSV file below its header; lines that cannot be understood go to `problems`.

    Raises:
        DataError: no line can be understood: another encoding, no header, or columns that do not fit.
    """
    text = _decode(path)
    header_line = text.lstrip().partition("\n")[0]
    separator = max(_SEPARATORS, key=header_line.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    records = []
    start = 1
    try:
        for cells in lines:
            where, start = f"{path} line {start}", lines.line_num + 1
            cells = _without_empty_end([cell.strip() for cell in cells], len(header))
            if not any(cells):
                continue
            if not header:
                header = _header(cells, where)
                problems += _column_problems(header, where)
                if problems:
                    break
            elif len(cells) != len(header):
                problems.append(
                    f"{where}: {len(cells)} cells, but the header has {len(header)}; put quotation marks around a sentence that contains "
                    f"{separator!r}, and spaces between several objects"
                )
            else:
                records.append(_Record(where, _values(dict(zip(header, cells, strict=True)))))
    except csv.Error as error:
        problems.append(f"{path} line {start}: not readable as a table ({error}); a quotation mark may be opened there and never closed")
    return records


def _decode(path: Path) -> str:
    """Text of a file in UTF-8, with or without a byte order mark."""
    data = read_bytes(path)
    remedy = "save it as 'CSV UTF-8'"
    if not data.strip():
        raise DataError(f"{path}: the file is empty; begin it with the line {','.join(_REQUIRED)}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: it is in UTF-16, as a spreadsheet writes 'Unicode text'; {remedy}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} line {line}: byte {data[error.start]:#x} is not UTF-8, the file is in another encoding; {remedy}"
        ) from None


def _header(cells: Sequence[str], where: str) -> list[str]:
    """Names of the columns."""
    names = [_OTHER_NAMES.get(cell.lower(), cell.lower()) for cell in cells]
    if not set(names) & set(COLUMNS):
        raise DataError(f"{where}: no header, {cells[0]!r} is no column; begin the file with the line {','.join(_REQUIRED)}")
    _refuse_twice(names, where)
    return names


def _refuse_twice(names: Sequence[str], where: str) -> None:
    if len(set(names)) < len(names):
        raise DataError(f"{where}: two columns have one name; remove one of them")


def _without_empty_end(cells: list[str], wanted: int) -> list[str]:
    """Spreadsheets fill lines up to the longest one."""
    while len(cells) > wanted and cells and not cells[-1]:
        cells = cells[:-1]
    return cells


# -- JSON -------------------------------------------------------------------------------------------------------------------------------


def _read_json_records(path: Path) -> list[_Record]:
    """Entries of a list of records, or of a `meta_expressions.json`.

    Raises:
        DataError: it is neither.
    """
    content = read_json(path)
    if isinstance(content, list):
        return [_record(f"{path} record {number}", entry, {}, None) for number, entry in enumerate(content, start=1)]
    if not isinstance(content, Mapping) or not isinstance(content.get("videos"), Mapping):
        raise DataError(f'{path}: neither a list of records nor {{"videos": {{...}}}}; docs/own-data.md shows both forms')
    records = []
    for video, fields in content["videos"].items():
        where = f"{path}: video {video}"
        expressions = fields.get("expressions") if isinstance(fields, Mapping) else None
        if not isinstance(expressions, Mapping):
            raise DataError(f"{where}: 'expressions' is missing; write {{}} if there are none")
        shared = {"video": video, **{key: fields[key] for key in fields if key == "split"}}
        for exp_id, entry in expressions.items():
            records.append(_record(f"{where}, expression {exp_id}", entry, shared, exp_id))
    return records


def _record(where: str, entry: Any, shared: Mapping[str, Any], exp_id: str | None) -> _Record:
    """One sentence of a JSON file; `shared` is what its video says for all of them."""
    if not isinstance(entry, Mapping):
        raise DataError(f'{where}: {str(entry)[:40]!r} is no record; write {{"video": ..., "objects": ..., "sentence": ...}}')
    named = [(_OTHER_NAMES.get(str(key), str(key)), value) for key, value in entry.items() if key not in _NO_MEANING]
    _refuse_twice([name for name, _ in named], where)
    texts = {name: _as_text(name, value, where) for name, value in {**shared, **dict(named)}.items()}
    return _Record(where, _values(texts), exp_id)


def _as_text(name: str, value: Any, where: str) -> str:
    """What a cell of a table would say; objects may be a list."""
    if value is None:
        return ""
    if name == "objects" and isinstance(value, list):
        return "; ".join(map(str, value))
    if isinstance(value, list | Mapping):
        raise DataError(f"{where}: {name!r} is {str(value)[:40]}; write a text, only objects may be a list")
    return str(value).strip()


def _values(cells: Mapping[str, str]) -> dict[str, str]:
    """Cells with the split in small letters."""
    return {name: cell.lower() if name == "split" else cell for name, cell in cells.items()}
