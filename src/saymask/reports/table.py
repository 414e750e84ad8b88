"""Results as text for the terminal, in per cent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from saymask.evaluation.summaries import GROUPINGS
from saymask.reports.report_tables import MEASURES, fate_of_failures, percent

_SHOWN = ("j_and_f", "j", "f", "giou", "ciou", "r", "r_x255", "n_acc", "t_acc", "instance_j_and_f")


def format_table(results: Mapping[str, Any]) -> str:
    """The scores, how many predictions are missing, and how much of the dataset could not be asked.

    Where questions come in families: J&F, a line per row, a column per family, the overall mean, and how often absent things get silence.
    Elsewhere: the measures of all expressions and of each group of them; where published numbers are no plain means, these as well.
    """
    rows: Mapping[str, Any] = results["rows"]
    blocks = [_family_table(rows)] if "families" in next(iter(rows.values())) else [_measure_table(*row) for row in rows.items()]
    remarks = [
        f"{row}: {len(scores['failed'])} of {scores['expected']} predictions are missing or failed; they {fate_of_failures(results)}\n"
        f"  the first: {scores['failed'][0]['reason']}"
        for row, scores in rows.items()
        if scores["failed"]
    ]
    if results["left_out"]:
        remarks.append(
            f"{len(results['left_out'])} entries of the dataset cannot be scored and are left out\n  the first: {results['left_out'][0]}"
        )
    return "\n".join(blocks + remarks)


def _family_table(rows: Mapping[str, Any]) -> str:
    """J&F by row and family."""
    first = next(iter(rows.values()))
    has_silence = "n_acc" in first["overall"]
    lines = [["J&F", *first["families"], "overall", *["silent"] * has_silence]]
    for row, scores in rows.items():
        cells = [scores["families"].get(family, {}).get("j_and_f") for family in first["families"]]
        cells += [scores["overall"].get("j_and_f"), *[scores["overall"].get("n_acc")] * has_silence]
        lines.append([row, *map(_percent, cells)])
    return _align(lines)


def _measure_table(row: str, scores: Mapping[str, Any]) -> str:
    """All measures of the whole and of every group, below them what the benchmark's own table has besides."""
    groups = {value: means for field in GROUPINGS for value, means in scores.get(field, {}).items()}
    published = {f"{name} *": means for name, means in scores.get("benchmark", {}).items() if name not in groups}
    parts = {"all": scores["overall"], **groups, **published}
    measures = [measure for measure in _SHOWN if any(measure in means for means in parts.values())]
    lines = [[row, *(MEASURES[measure] for measure in measures)]]
    lines += [[name, *(_percent(means.get(measure)) for measure in measures)] for name, means in parts.items()]
    return _align(lines) + ("\n* as the benchmark's authors define it" if published else "")


def _percent(share: float | None) -> str:
    return percent(share) or "-"


def _align(lines: Sequence[Iterable[str]]) -> str:
    """Columns of equal width, the first set left and the others right."""
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]) for first, *others in zip(*columns, strict=True)
    )
