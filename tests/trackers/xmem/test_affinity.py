"""Reading the memory: similarity, top-k softmax, usage and readout against the published numbers, and what they must not need."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from saymask.trackers.xmem.affinity import Affinity, readout, similarity, top_k_softmax
from saymask.trackers.xmem.network import aggregate

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "xmem" / "units" / "similarity_softmax_aggregate.npz")
MEM_KEY, QUERY_KEY, SELECTION = (torch.from_numpy(GOLDEN[name]) for name in ("mk", "qk", "qe"))


def dense(affinity: Affinity) -> torch.Tensor:
    """The affinity as a matrix with a zero for every element that is not kept: affinity_BMP."""
    matrix_BPM = torch.zeros(*affinity.weights_BPK.shape[:2], affinity.num_elements)
    return matrix_BPM.scatter(2, affinity.elements_BPK, affinity.weights_BPK).mT


@pytest.mark.parametrize("case", ["full", "noshr", "nosel", "neither"])
def test_similarity_affinity_and_usage_equal_the_published_ones(case):
    """Without a selection the published code leaves out the query's square, which is put back here before the comparison."""
    shrinkage = torch.from_numpy(GOLDEN["ms"]) if case in ("full", "nosel") else torch.ones(2, 1, 11)
    if case in ("full", "noshr"):
        similarity_BPM = similarity(MEM_KEY, shrinkage, QUERY_KEY, SELECTION)
    else:
        left_out_BPM = QUERY_KEY.square().sum(1)[:, :, None] * shrinkage / math.sqrt(MEM_KEY.shape[1])
        similarity_BPM = similarity(MEM_KEY, shrinkage, QUERY_KEY, torch.ones_like(QUERY_KEY)) + left_out_BPM
    assert np.allclose(similarity_BPM.mT, GOLDEN[f"sim_{case}"], atol=1e-5)
    best4 = top_k_softmax(similarity_BPM, 4)
    assert np.allclose(dense(best4), GOLDEN[f"aff_top4_{case}"], atol=1e-6)
    assert np.allclose(best4.usage_BM(), GOLDEN[f"usage_top4_{case}"], atol=1e-5)
    assert np.allclose(dense(top_k_softmax(similarity_BPM, 11)), GOLDEN[f"aff_{case}"], atol=1e-6)


@pytest.mark.parametrize("num_objects", [1, 2, 3, 4])
def test_aggregation_equals_the_published_one(num_objects):
    """The published logits are known up to what softmax takes away: their distance to the background's."""
    prob_KHW = aggregate(torch.from_numpy(GOLDEN[f"agg{num_objects}_in"])[None])[0]
    assert np.allclose(prob_KHW, GOLDEN[f"agg{num_objects}_prob"], rtol=0, atol=1e-6)
    logits_KHW = GOLDEN[f"agg{num_objects}_logits"]
    assert np.allclose((prob_KHW / prob_KHW[0]).log(), logits_KHW - logits_KHW[0], rtol=1e-5, atol=1e-5)


def test_a_grid_of_queries_is_read_row_by_row():
    query, selection = torch.rand(1, 3, 2, 4), torch.rand(1, 3, 2, 4)
    grid = similarity(torch.rand(1, 3, 5), torch.ones(1, 1, 5), query, selection)
    assert grid.shape == (1, 8, 5)
    memory = query[:, :, 1, 2, None]  # a memory of one element that equals the query at row 1, column 2
    same = similarity(memory, torch.ones(1, 1, 1), query, selection)[0, :, 0]
    assert same.argmax() == 1 * 4 + 2
    assert same[6] == pytest.approx(0, abs=1e-6)


def test_a_memory_smaller_than_top_k_is_used_whole():
    affinity = top_k_softmax(torch.zeros(1, 2, 3), top_k=30)
    assert torch.equal(affinity.weights_BPK, torch.full((1, 2, 3), 1 / 3))


def test_similarities_far_below_zero_still_give_weights():
    affinity = top_k_softmax(torch.tensor([[[-2000.0, -2001.0, -5000.0]]]), top_k=2)
    assert dense(affinity)[0, :, 0].tolist() == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0])


def test_readout_takes_each_samples_own_values_for_every_object():
    weights = torch.tensor([[[0.25, 0.75]], [[1.0, 0.0]]])  # two samples, one position each, two elements kept
    affinity = Affinity(weights, torch.tensor([[[2, 0]], [[1, 2]]]), num_elements=3)
    value_BMNC = torch.arange(2 * 3 * 2 * 1, dtype=torch.float32).reshape(2, 3, 2, 1)  # sample 0: objects (0, 1), (2, 3), (4, 5)
    assert readout(affinity, value_BMNC)[..., 0, 0].tolist() == [[0.25 * 4 + 0.75 * 0, 0.25 * 5 + 0.75 * 1], [8, 9]]


def test_reading_is_differentiable_in_keys_and_values():
    key, value = torch.rand(1, 4, 9, dtype=torch.float32, requires_grad=True), torch.rand(1, 9, 2, 3, requires_grad=True)
    query = torch.rand(1, 4, 6, requires_grad=True)
    affinity = top_k_softmax(similarity(key, torch.ones(1, 1, 9), query, torch.ones(1, 4, 6)), 5)
    (readout(affinity, value) * torch.rand(1, 2, 3, 6)).sum().backward()
    for tensor in (key, query, value):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0


def test_autocast_does_not_round_the_similarity():
    shrinkage = torch.from_numpy(GOLDEN["ms"])
    with torch.autocast("cpu", torch.bfloat16):
        similarity_BPM = similarity(MEM_KEY, shrinkage, QUERY_KEY, SELECTION)
    assert torch.equal(similarity_BPM, similarity(MEM_KEY, shrinkage, QUERY_KEY, SELECTION))


def test_half_precision_values_are_read_in_their_own_dtype():
    affinity = top_k_softmax(torch.zeros(1, 2, 3), top_k=2)
    assert readout(affinity, torch.ones(1, 3, 1, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
