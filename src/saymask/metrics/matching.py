"""Optimal one-to-one assignment: rows to columns at the least total cost.

The Hungarian method with potentials (Kuhn, 1955; shortest augmenting paths after Jonker and Volgenant, 1987): rows enter one by one,
each along the cheapest path that makes room for it. O(N^2 M) for N <= M; a step looks at all columns at once.
"""

from __future__ import annotations

import numpy as np


def assign(cost_NM: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 rows (ascending) and columns of the min(N, M) pairs whose costs have the least sum; costs must be finite."""
    cost_NM = np.asarray(cost_NM, dtype=np.float64)
    if cost_NM.ndim != 2 or not np.isfinite(cost_NM).all():
        raise ValueError(f"expected a matrix of finite costs, got shape {cost_NM.shape}")
    if cost_NM.shape[0] > cost_NM.shape[1]:
        columns, rows = assign(cost_NM.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    num_rows, num_columns = cost_NM.shape
    row_price, column_price = np.zeros(num_rows), np.zeros(num_columns + 1)
    row_of = np.full(num_columns + 1, -1)  # the extra last column is where every path starts
    for start in range(num_rows):
        row_of[-1], column = start, num_columns
        distance, previous = np.full(num_columns, np.inf), np.full(num_columns, num_columns)
        reached = np.zeros(num_columns + 1, dtype=bool)
        while row_of[column] >= 0:
            reached[column] = True
            slack = cost_NM[row_of[column]] - row_price[row_of[column]] - column_price[:-1]
            shorter = (slack < distance) & ~reached[:-1]
            distance[shorter], previous[shorter] = slack[shorter], column
            column = int(np.where(reached[:-1], np.inf, distance).argmin())
            step = distance[column]
            row_price[row_of[reached]] += step
            column_price[reached] -= step
            distance[~reached[:-1]] -= step
        while column != num_columns:  # hand every row of the path on to its new column
            row_of[column], column = row_of[previous[column]], int(previous[column])
    return np.arange(num_rows), np.argsort(row_of[:-1])[num_columns - num_rows :]  # free columns hold -1 and come first
