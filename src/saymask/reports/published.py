"""Published results beside which our own are shown: who reported what, on which benchmark and split, and where it stands.

Scores are per cent, as printed. Their keys are those of `results.json` where the definition is the same; what a paper prints without
saying how it is computed has a name of its own (`r_printed`). Numbers of different sources rarely come from one script, so
`CAVEATS` says for each benchmark what to know before comparing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from saymask.reports.published_tables import SOURCES, TABLES, PrintedTable

WHOLE = "overall"
"""Key of the scores of a whole split, beside those of its parts (referring, reasoning, short, long)."""

MEASURES = {
    "j_and_f": "J&F",
    "j": "J",
    "f": "F",
    "giou": "gIoU",
    "ciou": "cIoU",
    "r_printed": "R as printed",
    "mc": "multiple choice",
}
"""Measures that are printed somewhere, with the names that reports give them."""

CAVEATS: Mapping[str, str] = {
    "reasonvos": "The released script leaves expressions without a prediction out of the mean, which can only raise it; here they "
    "count as 0.",
    "revos": "The published score of the whole is the mean of referring and reasoning. R as printed most likely weighs wrong pixels by "
    "255; it does not compare with R.",
    "mevis": "Published scores of valid come from the benchmark's server; those of valid_u from each author's own script.",
    "ref-youtube-vos": "Published scores come from the benchmark's server.",
    "ref-davis17": "Published scores follow the DAVIS protocol: the answers of one annotator are merged into one label map, and four "
    "annotators are averaged. `--protocol videolisa-release` computes that. "
    "Pixels with the number 255 are taken for void and do not count.",
    "refcocog": "The split is UMD's: publications call its parts val-U and test-U.",
    "videoreasonseg": "The data is not public; nobody else can compute these scores.",
}


@dataclass(frozen=True)
class PublishedRow:
    """What one source prints for one method on one split.

    Args:
        dataset: as in `DATASETS`, or the name of a benchmark that has no loader.
        split: as its loader calls it.
        method: the method, with what belongs to it, such as a tracker or "(IT)" for instruction tuning.
        size: backbone or number of parameters; "" if not said.
        scores: part of the split (`WHOLE` or its name) -> measure -> per cent.
        source: paper or repository, and the table in it.
        url: where it is.
        remark: what else has to be known; "" if nothing.
    """

    dataset: str
    split: str
    method: str
    size: str
    scores: Mapping[str, Mapping[str, float]]
    source: str
    url: str
    remark: str


def published_rows(dataset: str, split: str) -> list[PublishedRow]:
    """Return what is published about a split, in the order of `published_tables`; empty if nothing is known."""
    return [row for row in all_published_rows() if (row.dataset, row.split) == (dataset, split)]


@cache
def all_published_rows() -> tuple[PublishedRow, ...]:
    """Return every row of every table."""
    return tuple(row for table in TABLES for row in _rows(table))


def _rows(table: PrintedTable) -> Iterator[PublishedRow]:
    """One row per line and split, where the line has numbers for it."""
    columns = [_column(column) for column in table.columns.split("|")]
    for line in table.lines.strip().splitlines():
        method, size, *cells = (cell.strip() for cell in line.split("|"))
        numbers, rest = cells[: len(columns)], cells[len(columns) :]
        source = table.source or rest.pop(0)
        if len(numbers) != len(columns) or len(rest) > 1:
            raise ValueError(f"{table.source}, {table.place}: {line.strip()!r} does not have one cell for each of {table.columns!r}")
        by_split: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
        for (dataset, split, part, measures), cell in zip(columns, numbers, strict=True):
            if scores := _scores(cell, measures, line):
                by_split.setdefault((dataset, split), {})[part] = scores
        for (dataset, split), scores in by_split.items():
            yield PublishedRow(
                dataset=dataset,
                split=split,
                method=method,
                size="" if size == "-" else size,
                scores=scores,
                source=f"{source}, {table.place}" if table.place else source,
                url=SOURCES[source],
                remark=rest[0] if rest else "",
            )


def _column(column: str) -> tuple[str, str, str, list[str]]:
    """Dataset, split, part and measures of "dataset split [part]: measures"."""
    where, measures = column.split(":")
    dataset, split, *part = where.split()
    unknown = [measure for measure in measures.split() if measure not in MEASURES]
    if unknown:
        raise ValueError(f"column {column.strip()!r}: no measure is called {unknown[0]!r}")
    return dataset, split, part[0] if part else WHOLE, measures.split()


def _scores(cell: str, measures: list[str], line: str) -> dict[str, float]:
    """The numbers of one cell by measure, without those that are not printed."""
    values = ["-"] * len(measures) if cell == "-" else cell.split()
    if len(values) != len(measures):
        raise ValueError(f"{line.strip()!r}: {cell!r} are {len(values)} numbers, the column has {len(measures)} measures")
    return {measure: float(value) for measure, value in zip(measures, values, strict=True) if value != "-"}
