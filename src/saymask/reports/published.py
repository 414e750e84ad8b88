"""Published results beside which our own are shown: who reported what, on which benchmark and split, and where it stands.

They stand in `published_scores.tsv`, a line for each part of a split, an empty cell for what is not printed; `published_sources.tsv` has
the addresses. Scores are per cent, as printed: nothing is computed or corrected, a misprint stays and carries a remark, and where a method
has several numbers all are listed. Their columns are called as in `results.json` where the definition is the same; what a paper prints
without saying how it is computed has a name of its own (`r_printed`). Numbers of different sources rarely come from one script, so
`CAVEATS` says for each benchmark what to know before comparing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

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

_COLUMNS = ["dataset", "split", "part", "method", "size", *MEASURES, "place", "remark", "source"]

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
    """Return what is published about a split, in the order of the file; empty if nothing is known."""
    return [row for row in all_published_rows() if (row.dataset, row.split) == (dataset, split)]


@cache
def all_published_rows() -> tuple[PublishedRow, ...]:
    """Return every row."""
    urls = {line["source"]: line["url"] for line in _lines(_text("published_sources.tsv"), ["source", "url"])}
    return tuple(_rows(_text("published_scores.tsv"), urls))


def _rows(text: Iterable[str], urls: Mapping[str, str]) -> list[PublishedRow]:
    """The rows of a table of scores; the parts of a split that one source prints for one method are one row."""
    scores_by_row: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    for line in _lines(text, _COLUMNS):
        key = tuple(line[column] for column in ("dataset", "split", "method", "size", "place", "remark", "source"))
        parts = scores_by_row.setdefault(key, {})
        if line["part"] in parts:
            raise ValueError(f"{line}: this part occurs twice")
        parts[line["part"]] = {measure: float(line[measure]) for measure in MEASURES if line[measure]}
    rows = []
    for (dataset, split, method, size, place, remark, source), scores in scores_by_row.items():
        if source not in urls:
            raise ValueError(f"source {source!r} has no address")
        where = f"{source}, {place}" if place else source
        rows.append(PublishedRow(dataset, split, method, size, scores, where, urls[source], remark))
    return rows


def _lines(text: Iterable[str], columns: list[str]) -> Iterator[dict[str, str]]:
    """The lines of a table below its header, by column."""
    header, *lines = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
    if header != columns:
        raise ValueError(f"columns {header}, expected {columns}")
    for cells in lines:
        if len(cells) != len(columns):
            raise ValueError(f"{cells}: {len(cells)} cells under {len(columns)} columns")
        yield dict(zip(columns, cells, strict=True))


def _text(name: str) -> list[str]:
    """The lines of a file in this folder."""
    return files("saymask.reports").joinpath(name).read_text(encoding="utf-8").splitlines()
