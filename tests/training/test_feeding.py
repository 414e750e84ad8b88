"""Which process computes which micro-batches, and what may happen to them."""

import pytest
import torch
from dot_task import DotConfig, Numbers, Pairs

from saymask.errors import DataError
from saymask.training.feeding import MicroBatch, feed, micro_batch


def indices(config, first_step, rank, world_size):
    return [one.index for one in feed(Pairs(), config, first_step, rank, world_size)]


def test_processes_share_the_micro_batches_of_every_step():
    config = DotConfig(steps=3, micro_batches=4)
    assert indices(config, 0, rank=0, world_size=1) == list(range(12))
    assert indices(config, 0, rank=0, world_size=2) == [0, 1, 4, 5, 8, 9]
    assert indices(config, 0, rank=1, world_size=2) == [2, 3, 6, 7, 10, 11]


def test_a_run_goes_on_with_the_first_micro_batch_of_its_next_step():
    assert indices(DotConfig(steps=3, micro_batches=4), 2, rank=1, world_size=2) == [10, 11]


@pytest.mark.parametrize("workers", [0, 1])
def test_the_order_and_the_errors_are_those_of_the_data(workers):
    source = feed(Pairs(broken_at=2), DotConfig(steps=4, workers=workers), 0, rank=0, world_size=1)
    assert [next(source).index, next(source).index] == [0, 1]
    with pytest.raises(DataError, match=r"^video 2 is gone$"):
        next(source)


def test_names_stand_beside_what_the_network_takes():
    one = micro_batch(Pairs(), 3)
    assert one.inputs.keys() == {"x", "weight", "extra"}
    assert one.sample_names == ["3/first", "3/second"]


def test_random_numbers_are_those_of_the_seed_and_the_micro_batch():
    def drawn(seed, index):
        MicroBatch(index, {}, []).seed(seed)
        return torch.rand(3).tolist()

    assert drawn(0, 1) == drawn(0, 1)
    assert len({tuple(drawn(seed, index)) for seed in (0, 1) for index in (0, 1)}) == 4


def test_a_micro_batch_falls_into_its_samples():
    inputs = {"x": Numbers(torch.tensor([[1.0], [2.0]])), "lists": ["a", "b"], "share": 0.5, "none": None}
    first, second = MicroBatch(7, inputs, ["one", "two"]).samples()
    assert (first.index, first.sample_names, second.sample_names) == (7, ["one"], ["two"])
    assert second.inputs["x"].values.tolist() == [[2.0]]
    assert {key: second.inputs[key] for key in ("lists", "share", "none")} == {"lists": ["b"], "share": 0.5, "none": None}


@pytest.mark.parametrize("value", [torch.zeros(3), torch.zeros(()), ["a"], Numbers(torch.zeros(1, 2))])
def test_one_that_does_not_is_left_whole(value):
    assert list(MicroBatch(0, {"x": value}, ["one", "two"]).samples()) == []
