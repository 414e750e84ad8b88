"""What operations are counted to cost, beside numbers worked out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from saymask.benchmark.costs import Cost, Operation, counting
from saymask.benchmark.machine_speed import MachineSpeed


def counted(work) -> Cost:
    with counting() as found:
        work()
    return found.cost


def empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


ROWS_58, IMAGE_13HW = empty(5, 8), empty(1, 3, 10, 10)


def test_a_linear_layer_multiplies_and_reads_its_weights():
    layer = nn.Linear(8, 16, device="meta")
    (operation,) = counted(lambda: layer(ROWS_58)).operations
    assert operation == Operation(flops=2 * 5 * 8 * 16, nbytes=4 * (5 * 8 + 8 * 16 + 16 + 5 * 16))


def test_attention_is_one_operation_whose_scores_are_not_written():
    """Two heads, 6 positions, width 4: scores and their sums are 2 x 6 x 6 x 4 multiplications and additions each."""
    heads_1JHE = empty(1, 2, 6, 4)
    (operation,) = counted(lambda: functional.scaled_dot_product_attention(heads_1JHE, heads_1JHE, heads_1JHE)).operations
    assert operation.flops == 2 * (2 * 2 * 6 * 6 * 4)
    assert operation.nbytes == 2 * 4 * (2 * 6 * 4)  # the tensor once in, one out


def test_a_convolution_multiplies_a_window_for_each_pixel():
    layer = nn.Conv2d(3, 8, 3, padding=1, device="meta")
    assert counted(lambda: layer(IMAGE_13HW)).flops == 2 * (10 * 10) * 8 * (3 * 3 * 3)


def test_a_view_moves_nothing_and_what_changes_in_place_is_read():
    rows = empty(4, 6)
    view, written = counted(lambda: rows.transpose(0, 1).add_(1)).operations
    assert (view, written) == (Operation(0, 0), Operation(0, 4 * 4 * 6))


def test_memory_is_what_is_held_at_a_time():
    rows = empty(10, 10)

    def one_after_the_other():
        for _ in range(3):
            made = rows + 1
            del made

    assert counted(one_after_the_other).peak_bytes == 400
    assert counted(lambda: [rows + 1, rows + 2, rows + 3]).peak_bytes == 3 * 400


def test_an_operation_takes_the_longer_of_products_and_memory_and_a_call():
    speed = MachineSpeed(product_flops=100.0, bytes_per_second=10.0, call_seconds=0.5)
    assert Operation(flops=400, nbytes=20).seconds(speed) == 4.5
    assert Operation(flops=400, nbytes=70).seconds(speed) == 7.5
    assert Cost((Operation(400, 20), Operation(400, 70)), 0).seconds(speed) == pytest.approx(12.0)
