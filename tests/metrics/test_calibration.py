"""Calibration worked out by hand."""

import numpy as np
import pytest

from saymask.metrics.calibration import expected_calibration_error, fit_temperature, reliability


def test_bins_count_what_was_said_and_what_was_true():
    bins = reliability(np.array([0.1, 0.12, 0.95, 1.0]), np.array([False, True, True, True]))
    assert [(each.count, each.true) for each in bins] == [(2, 0.5), (2, 1.0)]
    assert [each.said for each in bins] == pytest.approx([0.11, 0.975])


def test_the_error_is_the_mean_gap():
    """Nine times 0.8 with four right: |0.8 - 4/9|; once 0.05 and wrong: 0.05."""
    prob_K = np.array([0.8] * 9 + [0.05])
    true_K = np.array([True] * 4 + [False] * 6)
    assert expected_calibration_error(prob_K, true_K) == pytest.approx((9 * (0.8 - 4 / 9) + 0.05) / 10)


def test_a_temperature_undoes_what_was_too_sure():
    """Said with logits of +-2, right 3 times of 4: the best logit is log 3."""
    prob = 1 / (1 + np.exp(-2.0))
    assert fit_temperature(np.array([prob] * 4), np.array([True, True, True, False])) == pytest.approx(2 / np.log(3), rel=1e-4)


def test_calibrated_predictions_are_left_alone():
    assert fit_temperature(np.array([0.75] * 4 + [0.25] * 4), np.array([1, 1, 1, 0, 1, 0, 0, 0])) == pytest.approx(1, rel=1e-4)


def test_who_is_never_wrong_gets_the_lowest_temperature():
    assert fit_temperature(np.array([0.9, 0.1]), np.array([True, False])) == pytest.approx(1 / 20, rel=1e-3)
