"""The tables of a report, each from the content of a `results.json`; scores in per cent.

The first row of the results is the one reported on; the others, baselines, stand beside it where that says something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saymask.metrics.protocols import protocol_named
from saymask.reports.document import Cell, Table, TableRow
from saymask.reports.published import CAVEATS, WHOLE, PublishedRow, published_rows
from saymask.reports.published import MEASURES as PUBLISHED_MEASURES

Results = Mapping[str, Any]

MEASURES = {
    **PUBLISHED_MEASURES,
    "instance_j_and_f": "J&F per instance",
    "n_acc": "N-acc",
    "t_acc": "T-acc",
    "r": "R",
    "r_x255": "R x255",
    "accuracy": "accuracy",
    "j_recall": "J recall",
    "j_decay": "J decay",
    "f_recall": "F recall",
    "f_decay": "F decay",
}
"""Measures with the names that reports give them, in the order of their columns; any other is called as in `results.json`."""

_CHANGES = ("j_decay", "f_decay")
"""Measures that are differences of shares and may be negative."""

_TOTALS = {"identity_switches": "identity switches"}
"""Fields of the whole that are counts."""

_COUNTS = {"expressions": "expected", "predictions found": "found"}

_BASELINES = {
    "empty": "marks nothing.",
    "largest": "marks the thing that shows the most pixels, whatever was asked.",
    "union": "marks all things, whatever was asked.",
    "swapped": "is the same model, asked another video's question: what is left of its score does not come from following the sentence.",
}
_GROUPINGS = {
    "families": "kind of question",
    "types": "type of expression",
    "sources": "source of the video",
    "lengths": "length of the question",
}
"""Fields of a row that hold groups (`summaries.GROUPINGS`), with what they group by."""

_BENCHMARK_WHOLES = ("overall", "mean of annotators")
"""What tables of benchmarks call the line that is compared with publications."""


def own_row(results: Results) -> Mapping[str, Any]:
    """The row of the results that is reported on."""
    return next(iter(results["rows"].values()))


def percent(share: float | None) -> str:
    """A share as per cent with one decimal; nothing for what was not measured."""
    return "" if share is None else f"{100 * share:.1f}"


def main_measure(row: Mapping[str, Any]) -> str:
    """What a row is ranked by: gIoU if images were scored, otherwise J&F."""
    return "giou" if "giou" in row["overall"] else "j_and_f"


def interval_text(row: Mapping[str, Any]) -> str:
    """The 95% interval of a row's main measure; "" where there is none."""
    interval = row["overall"].get(f"{main_measure(row)}_interval")
    return f"{percent(interval[0])} to {percent(interval[1])}" if interval else ""


def score_table(results: Results) -> Table:
    """Every measure of the whole, a line each, with a column for every row of the results."""
    rows = list(results["rows"].values())
    main = main_measure(rows[0])
    lines = []
    for measure in _measures(row["overall"] for row in rows):
        cells = (_score_cell(row["overall"], measure) for row in rows)
        lines.append(TableRow((Cell(MEASURES.get(measure, measure)), *cells), highlighted=measure == main))
        if measure == main:
            lines.append(TableRow((Cell(f"95% interval of {MEASURES[main]}"), *(Cell(interval_text(row)) for row in rows))))
    for total, name in _TOTALS.items():
        if any(total in row["overall"] for row in rows):
            lines.append(TableRow((Cell(name), *(Cell(str(row["overall"].get(total, ""))) for row in rows))))
    lines += [TableRow((Cell(count), *(Cell(str(row[field])) for row in rows))) for count, field in _COUNTS.items()]
    return Table("Scores of the whole, in per cent", ("measure", *results["rows"]), tuple(lines))


def presence_blocks(results: Results) -> Iterator[str | Table]:
    """Whether the model is as sure as it is right: expected calibration error and reliability diagram."""
    presence = own_row(results).get("presence")
    if presence:
        yield f"Expected calibration error {percent(presence['calibration_error'])} over {presence['count']} statements about presence."
        lines = (
            TableRow(
                (Cell(percent(each["said"]), share=each["said"]), Cell(percent(each["true"]), share=each["true"]), Cell(str(each["count"])))
            )
            for each in presence["bins"]
        )
        header = ("mean probability that was said", "share that is there", "statements")
        yield Table("Reliability diagram: both bars are equally long where the model is calibrated", header, tuple(lines))


def describe_baselines(results: Results) -> list[str]:
    """What the rows beside the first one are."""
    return [f"\u201c{name}\u201d {_BASELINES[name]}" for name in results["rows"] if name in _BASELINES]


def published_table(results: Results) -> tuple[str | Table, ...]:
    """Our row among those of the same benchmark and split, best first, and what to know before comparing them."""
    dataset, split = results["dataset"], results["split"]
    published = published_rows(dataset, split)
    if not published:
        return (f"No published results are known for {dataset} {split}.",)
    columns = _comparable(published)
    own_scores = {column: _own_score(results, *column) for column in columns}
    ranked = [_published_row(row, columns) for row in published]
    cells = (Cell(percent(score)) for score in own_scores.values())
    ranked.append(
        (own_scores[columns[0]], TableRow((Cell(results["model"]), Cell(""), *cells, Cell("this run"), Cell("")), highlighted=True))
    )
    ranked.sort(key=lambda line: -1.0 if line[0] is None else line[0], reverse=True)
    header = ("method", "size", *(_column_name(*column) for column in columns), "source", "remark")
    table = Table(f"{dataset} {split}, in per cent", header, tuple(row for _, row in ranked), frozenset({"size", "source", "remark"}))
    caveats = [CAVEATS[dataset]] if dataset in CAVEATS else []
    if results["limit"]:
        caveats.append(
            f"This run saw only the first {own_row(results)['expected']} expressions of the split, so it does not compare with them."
        )
    return ("Published numbers are as printed; few of them come from one script.", *caveats, table)


def benchmark_tables(results: Results) -> Iterator[Table]:
    """The table of the benchmark's authors, where its means are not those of the scores above."""
    table = own_row(results).get("benchmark", {})
    if table:
        measures = _measures(table.values())
        lines = (TableRow((Cell(part), *(_score_cell(scores, measure) for measure in measures))) for part, scores in table.items())
        header = ("part", *(MEASURES.get(measure, measure) for measure in measures))
        yield Table("As the benchmark's authors compute it, in per cent", header, tuple(lines))


def group_tables(results: Results) -> Iterator[Table]:
    """For each tag that divides the expressions, the main score of every row on each group."""
    own = own_row(results)
    measure = main_measure(own)
    for field, name in _GROUPINGS.items():
        groups = own.get(field, {})
        if len(groups) < 2:
            continue
        lines = []
        for value, scores in groups.items():
            cells = (_score_cell(row.get(field, {}).get(value, {}), measure) for row in results["rows"].values())
            lines.append(TableRow((Cell(value), *cells, Cell(str(scores["expressions"])))))
        yield Table(f"{MEASURES[measure]} by {name}, in per cent", (name, *results["rows"], "expressions"), tuple(lines))


def fate_of_failures(results: Results) -> str:
    """What the protocol does with predictions that are missing."""
    return "are left out of the means" if protocol_named(results["protocol"]).skip_missing else "count as 0"


def failed_table(results: Results) -> Table:
    """Every prediction that is missing or failed, with the reason."""
    lines = (TableRow((Cell(failure["name"]), Cell(failure["reason"]))) for failure in own_row(results)["failed"])
    return Table(f"Predictions that {fate_of_failures(results)}", ("expression", "reason"), tuple(lines), frozenset({"reason"}))


def left_out_table(results: Results) -> Table:
    """Every entry of the dataset that is not among its expressions, with the reason."""
    lines = tuple(TableRow((Cell(reason),)) for reason in results["left_out"])
    return Table("Entries of the dataset that cannot be scored", ("entry and reason",), lines)


def run_table(results: Results) -> Table:
    """What someone needs to repeat the run."""
    said = {key: value for key, value in results.items() if key not in ("rows", "left_out", "run")} | dict(results["run"])
    lines = tuple(TableRow((Cell(name), Cell(value))) for name, value in _flat(said))
    return Table("Settings and environment", ("what", "value"), lines, frozenset({"value"}))


def _measures(scores: Any) -> list[str]:
    """Every measure that any of the scores has: those of `MEASURES` first, in its order."""
    found = {measure for group in scores for measure, value in group.items() if isinstance(value, float)}
    return [measure for measure in MEASURES if measure in found] + sorted(found - MEASURES.keys())


def _score_cell(scores: Mapping[str, Any], measure: str) -> Cell:
    """One of the scores; with its bar, if it is a share of something."""
    share = scores.get(measure)
    return Cell(percent(share), share=None if measure in _CHANGES else share)


def _comparable(published: Sequence[PublishedRow]) -> list[tuple[str, str]]:
    """(part, measure) of the columns: all measures of the whole, then the main ones of its parts."""
    found = {(part, measure) for row in published for part, scores in row.scores.items() for measure in scores}
    parts = dict.fromkeys(part for row in published for part in row.scores if part != WHOLE)
    of_parts = [(part, measure) for part in parts for measure in ("j_and_f", "giou", "ciou", "mc")]
    return [column for column in [*((WHOLE, measure) for measure in PUBLISHED_MEASURES), *of_parts] if column in found]


def _column_name(part: str, measure: str) -> str:
    return MEASURES[measure] if part == WHOLE else f"{part} {MEASURES[measure]}"


def _published_row(row: PublishedRow, columns: Sequence[tuple[str, str]]) -> tuple[float | None, TableRow]:
    """The score to rank by (a share) and the line."""
    scores = [row.scores.get(part, {}).get(measure) for part, measure in columns]
    cells = (Cell("" if score is None else f"{score:g}" if round(score, 1) != score else f"{score:.1f}") for score in scores)
    line = TableRow((Cell(row.method), Cell(row.size), *cells, Cell(row.source, url=row.url), Cell(row.remark)))
    return None if scores[0] is None else scores[0] / 100, line


def _own_score(results: Results, part: str, measure: str) -> float | None:
    """Our score of the whole or of a part that is a group of that name; as the benchmark's authors compute it, where that differs."""
    own = own_row(results)
    benchmark = own.get("benchmark", {})
    if part == WHOLE:
        # Means of all expressions are no substitute where the benchmark has a table of its own that lacks this line.
        tables = [benchmark[line] for line in _BENCHMARK_WHOLES if line in benchmark] if benchmark else [own["overall"]]
    else:
        tables = [table[part] for table in (benchmark, *(own.get(field, {}) for field in _GROUPINGS)) if part in table]
    return next((table[measure] for table in tables if measure in table), None)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Fields of fields by their path, those without a value left out."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}: ")
        elif value is not None:
            yield f"{prefix}{key}", str(value)
