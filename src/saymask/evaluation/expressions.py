"""Scores of expressions and their means: the tables of ReVOS, MeViS and ReasonVOS, and whether anything was rightly found at all.

An expression's J and F are means over all frames of its video; a table's are means over expressions, in which one without a
prediction counts as 0. Scores are dicts of shares 0 ... 1 by measure: j, f, j_and_f, for videos recall and decay of j and f as DAVIS
defines them, and where the video's foreground is known accuracy and r. Under a protocol that weighs pixels by 255, R is called r_x255:
the two scales do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from saymask.metrics.davis import series_statistics
from saymask.metrics.protocols import SAYMASK, Protocol
from saymask.metrics.region_contour import remaining_share, video_scores

Scores = Mapping[str, float]

REVOS_TYPES = ("referring", "reasoning", "hallucination")
_R_EPSILON = 1e-6


def expression_scores(
    masks_THW: np.ndarray,
    instances_NTHW: np.ndarray,
    void_THW: np.ndarray | None = None,
    foreground_THW: np.ndarray | None = None,
    protocol: Protocol = SAYMASK,
) -> dict[str, float]:
    """Score the predicted masks of one expression against the instances it names.

    Args:
        masks_THW: the prediction; any value other than 0 is the object.
        instances_NTHW: true masks, one per instance; N = 0 if nothing in the video matches.
        void_THW: pixels that do not count, for J and F.
        foreground_THW: all annotated instances of the video; with it, accuracy and R are computed as ReVOS does (VISA's protocol).
        protocol: the definitions, or a script's deviations from them.
    """
    truth_THW = protocol.merged(instances_NTHW)
    j_T, f_T = video_scores(masks_THW, truth_THW, void_THW)
    j, f = float(j_T.mean()), float(f_T.mean())
    scores = {"j": j, "f": f, "j_and_f": (j + f) / 2}
    if len(j_T) > 1:
        for measure, values_T in (("j", j_T), ("f", f_T)):
            statistics = series_statistics(values_T, protocol)
            scores |= {f"{measure}_{name}": statistics[name] for name in ("recall", "decay")}
    if foreground_THW is not None:
        pixels_THW = (masks_THW != 0).astype(np.uint8) * np.uint8(protocol.mask_value)
        scores["accuracy"] = float((pixels_THW == truth_THW).mean())
        scores[_r_name(protocol)] = _mean_robustness(pixels_THW, truth_THW, foreground_THW, protocol)
    return {measure: protocol.rounded(score) for measure, score in scores.items()}


def mean_scores(expressions: Sequence[Scores | None], protocol: Protocol = SAYMASK) -> dict[str, float]:
    """Average expressions, None standing for a missing prediction; J&F is that of the mean J and the mean F.

    A missing prediction, like a measure that an expression lacks, counts as 0 (a protocol may skip missing predictions).

    Raises:
        ValueError: nothing to average.
    """
    found = [scores for scores in expressions if scores is not None]
    count = len(found) if protocol.skip_missing else len(expressions)
    if not count:
        raise ValueError("no expressions to average")
    measures = dict.fromkeys(["j", "f", *(measure for scores in found for measure in scores)])
    means = {measure: float(sum(scores.get(measure, 0.0) for scores in found)) / count for measure in measures}
    return {**means, "j_and_f": (means["j"] + means["f"]) / 2}


def revos_table(expressions: Sequence[Scores | None], types: Sequence[str], protocol: Protocol = SAYMASK) -> dict[str, dict[str, float]]:
    """ReVOS: means of the referring and of the reasoning expressions, and overall, the mean of those two (VISA's protocol).

    Hallucinations, which ask for what is not there, have a row of their own and enter no other. A row without expressions is left out,
    and so is overall where one of the two is.

    Args:
        expressions: scores of `expression_scores`, None where the prediction is missing.
        types: of each expression: one of `REVOS_TYPES`.

    Raises:
        ValueError: another type.
    """
    if unknown := set(types) - set(REVOS_TYPES):
        raise ValueError(f"type {unknown.pop()!r} of an expression is none of {REVOS_TYPES}")
    table = {}
    for row in REVOS_TYPES:
        of_type = [scores for scores, its_type in zip(expressions, types, strict=True) if its_type == row]
        if of_type:
            table[row] = mean_scores(of_type, protocol)
    if "referring" in table and "reasoning" in table:
        table["overall"] = mean_scores([table["referring"], table["reasoning"]])
    return table


def presence_accuracies(has_target_N: Sequence[bool], answered_N: Sequence[bool]) -> dict[str, float]:
    """Tell whether silence and answers are in the right places (gRefCOCO's measures, on whole videos).

    Args:
        has_target_N: of each expression, whether anything matches it.
        answered_N: whether any pixel was predicted, on any frame.

    Returns:
        n_acc, the share of expressions without a target that got none, and t_acc, the share of those with a target that got an answer;
        each only if there are such expressions.
    """
    has_target, answered = np.asarray(has_target_N, dtype=bool), np.asarray(answered_N, dtype=bool)
    if has_target.shape != answered.shape:
        raise ValueError(f"{has_target.size} expressions but {answered.size} answers")
    right_by_measure = {"n_acc": ~answered[~has_target], "t_acc": answered[has_target]}
    return {measure: float(right.mean()) for measure, right in right_by_measure.items() if right.size}


def _r_name(protocol: Protocol) -> str:
    return "r" if protocol.mask_value == 1 else f"r_x{protocol.mask_value}"


def _mean_robustness(pixels_THW: np.ndarray, truth_THW: np.ndarray, foreground_THW: np.ndarray, protocol: Protocol) -> float:
    """R of a video in the scripts' own byte arithmetic, which for a truth of 0 and 1 is the definition."""
    false_THW = (np.uint8(1) - truth_THW) * pixels_THW
    false_areas_T = false_THW.sum(axis=(1, 2), dtype=np.int64)
    foreground_areas_T = np.count_nonzero(foreground_THW, axis=(1, 2))
    epsilon = _R_EPSILON if protocol.epsilons else 0.0
    frames = zip(false_areas_T, foreground_areas_T, strict=True)
    return float(np.mean([remaining_share(false, foreground, epsilon) for false, foreground in frames]))
