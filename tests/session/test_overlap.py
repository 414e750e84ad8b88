"""Which new object is which old one, with overlaps worked out by hand."""

import numpy as np

from saymask.session.overlap import same_objects


def span(start: int, stop: int) -> np.ndarray:
    """A row of ten pixels, set from start to stop."""
    return ((np.arange(10) >= start) & (np.arange(10) < stop))[None]


NOWHERE = span(0, 0)


def test_the_largest_overlap_wins_whatever_the_order():
    old = [span(0, 4), span(2, 6)]
    # New 0 overlaps old 0 by 2/5 and old 1 by 3/4: it is old 1. New 1 overlaps old 0 by 1/4.
    assert same_objects(old, [span(3, 6), span(0, 1)]) == {0: 1, 1: 0}


def test_an_object_that_lies_elsewhere_is_new():
    assert same_objects([span(0, 3)], [span(5, 8)]) == {}


def test_one_that_is_out_of_view_or_comes_back_is_the_same():
    assert same_objects([NOWHERE], [span(5, 8)]) == {0: 0}
    assert same_objects([span(5, 8)], [NOWHERE]) == {0: 0}
    assert same_objects([span(0, 3), NOWHERE], [span(5, 8), span(1, 3)]) == {0: 1, 1: 0}


def test_every_object_has_at_most_one_partner():
    assert same_objects([span(0, 9)], [span(0, 8), span(0, 9)]) == {1: 0}
    assert same_objects([], [span(0, 2)]) == {}
