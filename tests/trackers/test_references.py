"""Which of a model's masks may be tracked from."""

import pytest
import torch

from saymask.trackers.references import flaw, stability


def logits(*values):
    return torch.tensor(values)[None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [((5.0, 5.0, -5.0), 1.0), ((5.0, 0.5, -0.5, -5.0), 1 / 3), ((0.5, 0.5), 0.0), ((-3.0, -3.0), 0.0), ((1.0, 2.0), 0.5)],
)
def test_stability_is_the_overlap_of_two_thresholds(values, expected):
    assert stability(logits(*values)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "least", "expected"),
    [
        ((5.0, -5.0), 0.5, None),
        ((-0.5, -5.0), 0.5, "its mask is empty"),
        ((5.0, 0.5, 0.5), 0.5, "its mask is unstable (0.33, 0.50 is needed)"),
        ((5.0, 0.5, 0.5), 0.3, None),
        ((0.0, -9.0), 0.0, "its mask is empty"),
        ((5.0, 0.5), 0.5, None),
    ],
)
def test_a_flaw_is_said_in_words(values, least, expected):
    assert flaw(logits(*values), least) == expected
