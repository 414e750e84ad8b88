"""From the entries of expressions to a row of `results.json`: counts, means, groups, uncertainty.

    expected, found     numbers of predictions
    failed              [{name, reason}] of each that is missing
    overall             means over all expressions
    families ...        means over those with a tag in common, {value: means}; see `GROUPINGS` and `Benchmark.groups`
    presence            where the model says how sure it is: {count, calibration_error, bins: [{count, said, true}]}
    benchmark           where published numbers are no plain means: the table as its authors define it, {row: {measure: share}}
    expressions         the entries, in the dataset's order

Means say over how many `expressions` they go and have the measures of `expression_scores`; images also giou and ciou; instance_j_and_f
goes over the expressions that have it, and identity_switches is their sum; n_acc and t_acc are there if some expressions have no target.
`overall` has j_and_f_interval, and giou_interval for images: [low, high], 95 % of what other videos would have given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from saymask.evaluation.expressions import mean_scores, presence_accuracies, revos_table
from saymask.evaluation.scoring import Entry
from saymask.metrics.calibration import expected_calibration_error, reliability
from saymask.metrics.davis import ObjectScores, summarise_annotators
from saymask.metrics.intervals import bootstrap_interval
from saymask.metrics.iou import ciou, giou
from saymask.metrics.protocols import SAYMASK, Protocol
from saymask.samples import Benchmark

GROUPINGS = {"families": "family", "types": "type", "sources": "source", "lengths": "length"}
"""Fields of a row that hold groups, each with the tag of the expressions that it groups."""

_AVERAGED = ("j", "f", "j_and_f", "j_recall", "j_decay", "f_recall", "f_decay", "accuracy", "r", "r_x255")


def summarise_row(
    entries: Sequence[Entry],
    benchmark: Benchmark,
    protocol: Protocol = SAYMASK,
    ref_davis: Sequence[Sequence[Sequence[ObjectScores]]] | None = None,
) -> dict[str, Any]:
    """Make a row of one predictor's entries.

    Args:
        entries: of `score_expression`, at least one.
        benchmark: of their dataset.
        protocol: may leave out missing predictions.
        ref_davis: of Ref-DAVIS17: the objects of every video, once per annotator.
    """
    failed = [{"name": entry["name"], "reason": entry["error"]} for entry in entries if "error" in entry]
    counted = [entry for entry in entries if "error" not in entry] if protocol.skip_missing else entries
    presence = not all(entry["has_target"] for entry in entries)
    row: dict[str, Any] = {
        "expected": len(entries),
        "found": len(entries) - len(failed),
        "failed": failed,
        "overall": {**_means(counted, protocol, presence), **_intervals(counted, protocol)},
    }
    for field, tag in GROUPINGS.items():
        if tag in benchmark.groups and counted:
            row[field] = {value: _means(group, protocol, presence) for value, group in _by_value(counted, tag).items()}
    if benchmark.table == "revos" and counted:
        row["benchmark"] = revos_table([_scores(entry) for entry in counted], [entry["tags"]["type"] for entry in counted], protocol)
    if ref_davis:
        row["benchmark"] = {"mean of annotators": summarise_annotators(ref_davis, protocol)}
    if said := [pair for entry in entries for pair in entry.get("presence", ())]:
        row["presence"] = _calibration(said)
    return {**row, "expressions": list(entries)}


def _calibration(said: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Reliability of what was said about presence."""
    prob_K, true_K = np.array(said).T
    bins = [asdict(each) for each in reliability(prob_K, true_K)]
    return {"count": len(said), "calibration_error": expected_calibration_error(prob_K, true_K), "bins": bins}


def _means(entries: Sequence[Entry], protocol: Protocol, presence: bool) -> dict[str, Any]:
    """Means over entries; nothing but the count if there are none."""
    means: dict[str, Any] = {"expressions": len(entries)}
    if not entries:
        return means
    means |= mean_scores([_scores(entry) for entry in entries], protocol)
    if _are_images(entries):
        means |= {"giou": giou(_pixel_counts(entries), protocol), "ciou": ciou(_pixel_counts(entries), protocol)}
    if switches := [entry["identity_switches"] for entry in entries if "identity_switches" in entry]:
        means["identity_switches"] = sum(switches)
    of_instances = [entry["instance_j_and_f"] for entry in entries if "instance_j_and_f" in entry]
    if of_instances:
        means["instance_j_and_f"] = float(np.mean(of_instances))
    if presence:
        has_target_N = [entry["has_target"] for entry in entries]
        # A missing prediction is wrong either way: no silence where that is right, no answer where one is due.
        means |= presence_accuracies(has_target_N, [entry.get("answered", not entry["has_target"]) for entry in entries])
    return means


def _intervals(entries: Sequence[Entry], protocol: Protocol) -> dict[str, Any]:
    """Bootstrap intervals; whole videos are drawn. None from fewer than two of them."""
    videos = [entry["video"] for entry in entries]
    if not entries:
        return {}
    intervals: dict[str, Any] = {"j_and_f_interval": bootstrap_interval(np.array([(e["j"] + e["f"]) / 2 for e in entries]), videos)}
    if _are_images(entries):
        intervals["giou_interval"] = bootstrap_interval(_pixel_counts(entries), videos, lambda counts_N2: giou(counts_N2, protocol))
    return {name: None if interval is None else list(interval) for name, interval in intervals.items()}


def _by_value(entries: Sequence[Entry], tag: str) -> dict[str, list[Entry]]:
    """The entries by the value of a tag, in order of appearance."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry["tags"][tag], []).append(entry)
    return groups


def _scores(entry: Entry) -> dict[str, float] | None:
    """What `mean_scores` takes: None for a missing prediction."""
    return None if "error" in entry else {measure: entry[measure] for measure in _AVERAGED if measure in entry}


def _are_images(entries: Sequence[Entry]) -> bool:
    return all("union" in entry for entry in entries)


def _pixel_counts(entries: Sequence[Entry]) -> np.ndarray:
    """Intersection and union of each image -> int64 counts_N2."""
    return np.array([(entry["intersection"], entry["union"]) for entry in entries], dtype=np.int64)
