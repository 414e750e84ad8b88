"""The assignment is as cheap as the cheapest of all permutations, for every shape up to 6 x 6."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from saymask.metrics.matching import assign

SHAPES = [(n, m) for n in range(1, 7) for m in range(1, 7)]


def cheapest(cost_NM: np.ndarray) -> float:
    """The least total cost, by trying every one-to-one assignment of the shorter side."""
    if cost_NM.shape[0] > cost_NM.shape[1]:
        cost_NM = cost_NM.T
    num_rows, num_columns = cost_NM.shape
    choices = np.array(list(permutations(range(num_columns), num_rows)))
    return float(cost_NM[np.arange(num_rows), choices].sum(axis=1).min())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["reals", "ties", "mostly equal"])
def test_the_total_cost_is_the_least_of_all_permutations(shape, kind):
    rng = np.random.default_rng([*shape, len(kind)])
    for _ in range(10):
        costs = {
            "reals": rng.normal(size=shape),
            "ties": rng.integers(-2, 3, size=shape),
            "mostly equal": (rng.random(shape) < 0.2).astype(float),
        }[kind]
        rows, columns = assign(costs)
        assert len(rows) == len(columns) == min(shape)
        assert (np.diff(rows) > 0).all() and len(set(columns.tolist())) == len(columns)
        assert costs[rows, columns].sum() == pytest.approx(cheapest(costs), abs=1e-12)


def test_a_row_gives_up_its_best_column_where_that_helps_the_others():
    """Greedy would pair row 0 with column 0 and pay 1 + 10; the best costs 2 + 1."""
    rows, columns = assign(np.array([[1, 2], [1, 10]]))
    assert rows.tolist() == [0, 1] and columns.tolist() == [1, 0]


def test_the_expensive_row_stays_out_when_columns_are_few():
    rows, columns = assign(np.array([[9.0], [1.0], [5.0]]))
    assert rows.tolist() == [1] and columns.tolist() == [0]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_is_assigned_to_nothing(shape):
    rows, columns = assign(np.zeros(shape))
    assert rows.tolist() == columns.tolist() == []


@pytest.mark.parametrize("costs", [np.zeros(3), np.array([[1.0, np.nan]]), np.array([[1.0, np.inf]])])
def test_what_is_no_finite_matrix_is_refused(costs):
    with pytest.raises(ValueError, match=r"^expected a matrix of finite costs, got shape"):
        assign(costs)
