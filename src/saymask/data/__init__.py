"""Datasets: each loader turns (root, split) into a lazy sequence of `records.Sample`."""
