"""Bootstrap intervals cover what they promise, agree with exact probabilities and treat videos as wholes."""

from __future__ import annotations

import numpy as np
import pytest

from saymask.metrics.intervals import bootstrap_interval


def test_the_draws_follow_the_exact_distribution():
    """Two values, 0 and 1: the mean of a draw is 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4, so quartiles lie at the jumps."""
    assert bootstrap_interval(np.array([0.0, 1.0]), confidence=0.4) == (0.5, 0.5)
    assert bootstrap_interval(np.array([0.0, 1.0]), confidence=0.6) == (0.0, 1.0)


def test_the_width_is_that_of_the_normal_approximation():
    """For many values the interval of a mean is mean +- 1.96 standard errors."""
    values = np.random.default_rng(1).normal(0.6, 0.2, size=400)
    low, high = bootstrap_interval(values, num_draws=4000)
    expected = values.mean() + np.array([-1.96, 1.96]) * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx(tuple(expected), abs=0.002)


def test_about_95_of_100_intervals_hold_the_truth():
    rng = np.random.default_rng(2)
    intervals = [bootstrap_interval(rng.random(60), num_draws=300, seed=i) for i in range(120)]
    held = sum(low <= 0.5 <= high for low, high in intervals)
    assert 106 <= held <= 119


def test_expressions_of_one_video_are_drawn_together():
    """Ten copies of four values are no more than four values: as wide as without the copies, and wider than forty single ones."""
    values = np.array([0.1, 0.4, 0.6, 0.9])
    copies, videos = np.repeat(values, 10), np.repeat(["a", "b", "c", "d"], 10)
    assert bootstrap_interval(copies, groups=videos.tolist()) == pytest.approx(bootstrap_interval(values))
    low, high = bootstrap_interval(copies)
    grouped_low, grouped_high = bootstrap_interval(copies, groups=videos.tolist())
    assert grouped_high - grouped_low > 2 * (high - low)


def test_videos_weigh_as_many_expressions_as_they_have():
    """Draws of a video with one 0 and one with three 1s have the means 0, 3/4 or 1, and never 1/2."""
    values, videos = np.array([0.0, 1.0, 1.0, 1.0]), ["a", "b", "b", "b"]
    assert bootstrap_interval(values, groups=videos, confidence=0.4) == (0.75, 0.75)


def test_the_names_of_videos_do_not_matter_but_the_seed_does():
    values, videos = np.random.default_rng(3).random(30), [f"video {i // 3}" for i in range(30)]
    interval = bootstrap_interval(values, groups=videos)
    assert interval == bootstrap_interval(values, groups=videos)
    assert interval == bootstrap_interval(values, groups=[i // 3 for i in range(30)])
    assert interval != bootstrap_interval(values, groups=videos, seed=1)


def test_scores_that_are_no_mean():
    """cIoU of two images, 1 of 10 and 90 of 90 pixels: 1/10, 91/100 or 1."""
    counts = np.array([[1, 10], [90, 90]])

    def score(drawn: np.ndarray) -> float:
        return drawn[:, 0].sum() / drawn[:, 1].sum()

    assert bootstrap_interval(counts, score=score, confidence=0.4) == (0.91, 0.91)
    assert bootstrap_interval(counts, score=score, confidence=0.6) == (0.1, 1.0)


def test_draws_that_have_no_score_are_left_out():
    """Two values, 0 and 1, of which draws without the 1 (a quarter) have no score: what is left are 1/2 (two thirds) and 1 (one third)."""

    def score(drawn: np.ndarray) -> float:
        return drawn.mean() if drawn.any() else float("nan")

    assert bootstrap_interval(np.array([0.0, 1.0]), score=score, confidence=0.2) == (0.5, 0.5)
    assert bootstrap_interval(np.array([0.0, 1.0]), score=score, confidence=0.6) == (0.5, 1.0)
    assert bootstrap_interval(np.array([0.0, 0.0]), score=score) is None


def test_one_unit_says_nothing():
    assert bootstrap_interval(np.array([0.5])) is None
    assert bootstrap_interval(np.array([])) is None
    assert bootstrap_interval(np.array([0.2, 0.8]), groups=["a", "a"]) is None


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(ValueError, match=r"^expected 0 < confidence < 1 and at least one draw, got 95 and 2000$"):
        bootstrap_interval(np.array([0.0, 1.0]), confidence=95)
    with pytest.raises(ValueError, match=r"^2 values but 1 groups$"):
        bootstrap_interval(np.array([0.0, 1.0]), groups=["a"])
