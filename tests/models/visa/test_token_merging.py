"""Token merging equals the reference's, decision by decision (tests/golden/visa/README.md); ties are tested by what must hold."""

import json

import numpy as np
import pytest
import torch
from golden_visa import FOLDER

from saymask.models.visa.token_merging import frame_events, merge, merge_events, merge_frame, num_clusters, num_neighbours

MERGE = np.load(FOLDER / "merge.npz")
META = json.loads(str(MERGE["meta_json"]))
VIDEOS = [name for name in META if name.startswith("video")]
AMBIGUOUS = ("kone30", "kone12", "force12", "tie_dup20", "tie_const")
"""Which token becomes a centre is not defined for these: equal scores."""
EXACT = [name for name in META if name not in (*VIDEOS, *AMBIGUOUS, "single9")]


def golden(name: str) -> torch.Tensor:
    return torch.from_numpy(MERGE[name])


def levels(case: str) -> list[int]:
    return [level for level in range(3) if f"{case}_l{level}_out" in MERGE.files]


def settings(case: str, level: int) -> tuple[float, int]:
    """Rate and neighbours of one level."""
    rates = META[case].get("rates", (64, 32, 16))
    return rates[level], META[case].get("ks", (5, 3, 3))[level]


def run(case: str):
    """Every level of a case: the merge and the index of each original token's row."""
    tokens, row_of_BN = golden(f"{case}_x"), None
    tokens = tokens.bfloat16() if case == "bf16_256" else tokens
    for level in levels(case):
        jitter = f"{case}_l{level}_jitter_unit"
        merged = merge(tokens, *settings(case, level), golden(jitter) if jitter in MERGE.files else None)
        cluster_BN = merged.clusters.cluster_of_BN
        row_of_BN = cluster_BN if row_of_BN is None else cluster_BN.gather(1, row_of_BN)
        yield level, merged, row_of_BN
        tokens = merged.tokens_BMC


@pytest.mark.parametrize("case", EXACT)
def test_merges_are_those_of_the_reference(case):
    weights_BN = 1.0
    for level, merged, row_of_BN in run(case):
        name = f"{case}_l{level}"
        assert (merged.clusters.centres_BM == golden(f"{name}_centers")).all()
        cluster_BN = merged.clusters.cluster_of_BN
        assert (cluster_BN == golden(f"{name}_idx_cluster")).all()
        assert (row_of_BN == golden(f"{name}_idx_token")).all()
        torch.testing.assert_close(merged.tokens_BMC.float(), golden(f"{name}_out"), atol=1e-6, rtol=0)
        torch.testing.assert_close(merged.clusters.scores_BN, golden(f"{name}_score"), atol=1e-5, rtol=0)
        # The weight of a token in its row: the product of 1 / (cluster size + 1e-6) over the levels.
        sizes_BM = torch.zeros(merged.tokens_BMC.shape[:2]).scatter_add(
            1, merged.clusters.cluster_of_BN, torch.ones(merged.clusters.cluster_of_BN.shape)
        )
        weights_BN = weights_BN * (1 / (sizes_BM + 1e-6)).gather(1, row_of_BN)
        rounding = 1e-2 if case == "bf16_256" else 1e-6
        torch.testing.assert_close(weights_BN, golden(f"{name}_agg_weight")[..., 0], atol=0, rtol=rounding)


@pytest.mark.parametrize("case", [case for case in META if case not in VIDEOS])
def test_numbers_of_clusters_and_neighbours(case):
    num_tokens = MERGE[f"{case}_x"].shape[1]
    for level in levels(case):
        rate, neighbours = settings(case, level)
        clusters = num_clusters(num_tokens, rate)
        assert (clusters, num_neighbours(neighbours, clusters)) == (int(MERGE[f"{case}_l{level}_M"]), int(MERGE[f"{case}_l{level}_k"]))
        num_tokens = clusters


@pytest.mark.parametrize("case", [name.removesuffix("_dist0") for name in MERGE.files if name.endswith("_dist0") and MERGE[name].size])
def test_distances_are_per_channel(case):
    tokens = golden(f"{case}_x")
    distance_BNN = torch.cdist(tokens, tokens) / tokens.shape[-1] ** 0.5
    torch.testing.assert_close(distance_BNN, golden(f"{case}_dist0"), atol=1e-6, rtol=0)


def test_one_row_is_the_mean_of_all_tokens():
    ((_, merged, _),) = run("single9")
    torch.testing.assert_close(merged.tokens_BMC, golden("single9_l0_out"), atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_ties_leave_no_row_empty_and_every_token_in_one_row(case):
    for level, merged, row_of_BN in run(case):
        num_rows = int(MERGE[f"{case}_l{level}_M"])
        assert sorted(set(row_of_BN[0].tolist())) == list(range(num_rows))
        tokens = golden(f"{case}_x")[0]
        if level == 0:
            means = torch.stack([tokens[row_of_BN[0] == row].mean(0) for row in range(num_rows)])
            torch.testing.assert_close(merged.tokens_BMC[0], means, atol=1e-4, rtol=1e-5)


def test_equal_tokens_that_are_both_centres_keep_a_row_each():
    """Without the forced self-assignment one of the two rows would be zero."""
    ((_, merged, _),) = run("force12")
    assert merged.tokens_BMC[0].sort(dim=0).values.numpy() == pytest.approx(
        golden("force12_l0_out")[0].sort(dim=0).values.numpy(), abs=1e-6
    )


def test_merging_is_the_same_each_time():
    tokens = golden("tie_dup20_x")
    assert torch.equal(merge(tokens, 64, 5).tokens_BMC, merge(tokens.clone(), 64, 5).tokens_BMC)


def test_a_frame_is_112_tokens():
    tokens = torch.randn(2, 256, 8, generator=torch.Generator().manual_seed(0))
    assert sum(level.shape[1] for level in merge_frame(tokens)) == 112


def test_gradients_pass_through_the_means():
    tokens = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    merge(tokens, 2, 3).tokens_BMC.sum().backward()
    assert tokens.grad is not None
    # Each token counts 1 / (size of its cluster), each of the two clusters once in all, in each channel.
    assert tokens.grad.sum().item() == pytest.approx(8, abs=1e-4)


@pytest.mark.parametrize("case", VIDEOS)
def test_events_of_long_videos(case):
    tokens, name = golden(f"{case}_x"), f"{case}_event_jitter_unit"
    jitter = golden(name)[0] if name in MERGE.files else None
    torch.testing.assert_close(merge_events(tokens, jitter_T=jitter), golden(f"{case}_out")[0], atol=1e-6, rtol=0)
    events = frame_events(tokens, jitter)
    # The golden file numbers events by descending score; `order` lists them as they follow each other in time.
    order, event_of = MERGE[f"{case}_event_order"].tolist(), MERGE[f"{case}_event_of_frame"]
    assert [event.tolist() for event in events] == [np.flatnonzero(event_of == number).tolist() for number in order]
    assert [int(event_of[centre]) for centre in MERGE[f"{case}_event_centers"].tolist()] == list(range(len(order)))
