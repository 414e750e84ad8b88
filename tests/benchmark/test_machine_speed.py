"""How fast a machine is said to be."""

import math
import time

import torch

from saymask.benchmark.machine_speed import MachineSpeed
from saymask.storage import computing_dtype
from saymask.storage.computing_dtype import product_flops


def test_a_product_of_two_matrices_is_two_operations_for_each_of_n_cubed_pairs(monkeypatch):
    seconds = iter([8.0, 1.0, 4.0, 2.0])
    monkeypatch.setattr(computing_dtype, "seconds_of", lambda work: next(seconds))
    speeds = product_flops(torch.device("cpu"), [torch.float32, torch.float64], side=10, tries=2)
    assert speeds == {torch.float32: 2 * 10**3 / 4.0, torch.float64: 2 * 10**3 / 1.0}  # the best of each, in turns


def test_what_is_measured_is_finite_and_a_call_is_shorter_than_all_of_them():
    start = time.perf_counter()
    speed = MachineSpeed.measure(torch.device("cpu"), torch.float32)
    spent = time.perf_counter() - start
    assert all(0 < value < math.inf for value in (speed.product_flops, speed.bytes_per_second))
    assert 0 < speed.call_seconds < spent / 200
    assert 2 * 1024**3 / speed.product_flops < spent and 3 * 64 * 2**20 / speed.bytes_per_second < spent
