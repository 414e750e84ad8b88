"""Whether a probability means what it says: reliability, expected calibration error, and the temperature that sets it right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_BINS = 10
_EPSILON = 1e-6


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of nearly one probability: how many, their mean, and the share of them that was true."""

    count: int
    said: float
    true: float


def reliability(prob_K: np.ndarray, true_K: np.ndarray, num_bins: int = NUM_BINS) -> list[ReliabilityBin]:
    """Sort predictions into bins of equal width; empty bins are left out.

    Args:
        prob_K: probabilities, 0 ... 1.
        true_K: what was the case, bool.
    """
    prob_K, true_K = np.asarray(prob_K, dtype=np.float64), np.asarray(true_K, dtype=bool)
    bin_K = np.minimum((prob_K * num_bins).astype(int), num_bins - 1)
    in_bins = (bin_K == number for number in range(num_bins))
    return [ReliabilityBin(int(of.sum()), float(prob_K[of].mean()), float(true_K[of].mean())) for of in in_bins if of.any()]


def expected_calibration_error(prob_K: np.ndarray, true_K: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Mean distance of the probability from the share of true cases in its bin, weighted by the bins' counts (2017, arXiv 1706.04599)."""
    bins = reliability(prob_K, true_K, num_bins)
    return sum(each.count * abs(each.said - each.true) for each in bins) / sum(each.count for each in bins)


def fit_temperature(prob_K: np.ndarray, true_K: np.ndarray) -> float:
    """The number that the logits of these probabilities are to be divided by so that their log-likelihood is greatest.

    It lies between 1/20 and 20: probabilities that are never wrong have no best temperature.
    """
    prob_K = np.clip(np.asarray(prob_K, dtype=np.float64), _EPSILON, 1 - _EPSILON)
    logit_K, sign_K = np.log(prob_K / (1 - prob_K)), np.where(np.asarray(true_K, dtype=bool), 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -sign_K * logit_K * np.exp(-log_temperature)).mean())

    low, high = -np.log(20.0), np.log(20.0)
    ratio = (np.sqrt(5.0) - 1) / 2  # golden section: the loss is convex in 1 / temperature, so it has one minimum
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))
