"""Identity switches counted by hand on two squares that pass each other."""

import numpy as np

from saymask.metrics.identity import identity_switches, pairwise_iou


def squares(*columns_T):
    """Bool masks_NTHW: object n is a square of 4 pixels whose left edge is columns_T[n][t]; None = not there."""
    masks_NTHW = np.zeros((len(columns_T), len(columns_T[0]), 4, 20), dtype=bool)
    for n, columns in enumerate(columns_T):
        for t, column in enumerate(columns):
            if column is not None:
                masks_NTHW[n, t, :, column : column + 4] = True
    return masks_NTHW


TRUTH = squares([0, 4, 8, 12], [12, 8, 4, 0])


def test_who_follows_the_right_thing_never_switches():
    assert identity_switches(TRUTH, TRUTH) == 0
    assert identity_switches(TRUTH[::-1], TRUTH) == 0  # names mean nothing


def test_predictions_that_bounce_off_each_other_switch_once_each():
    assert identity_switches(squares([0, 4, 4, 0], [12, 8, 8, 12]), TRUTH) == 2


def test_a_frame_without_the_object_does_not_end_its_identity():
    assert identity_switches(squares([0, None, None, 12], [12, 8, 4, 0]), TRUTH) == 0
    assert identity_switches(squares([0, None, None, 0], [12, 8, 4, 12]), TRUTH) == 2


def test_too_little_overlap_stands_for_nothing():
    """3 of 4 columns shared: 12 / 20 pixels; 2 of 4: 8 / 24."""
    assert pairwise_iou(squares([1])[:, 0], TRUTH[:1, 0])[0, 0] == np.float32(12 / 20)
    assert identity_switches(squares([2, 6, 2, 14]), TRUTH) == 0


def test_nothing_predicted_is_no_switch():
    assert identity_switches(TRUTH[:0], TRUTH) == 0
    assert pairwise_iou(TRUTH[:0, 0], TRUTH[:, 0]).shape == (0, 2)
