"""Context frames: exact counts and ends, and the released code's lists (tests/golden/visa/sampling.json)."""

import json

import numpy as np
import pytest
from golden_visa import FOLDER

from saymask.models.visa.context import context_frames, part_edges, training_frames

SAMPLING = json.loads((FOLDER / "sampling.json").read_text(encoding="utf-8"))


def test_strided_is_the_released_choice():
    for num_frames, count, target, expected in SAMPLING["test_reference_frames"]["rows"]:
        assert context_frames("strided", num_frames, target, count) == expected


def test_strided_gives_the_released_counts():
    for num_frames, (least, most) in enumerate(SAMPLING["test_reference_count_min_max_for_T_1_to_200_default_12"], start=1):
        counts = {len(context_frames("strided", num_frames, target, 12)) for target in range(num_frames)}
        assert {least, most} <= counts | {min(counts), max(counts)}
        assert least >= min(counts)
        assert most <= max(counts)


@pytest.mark.parametrize("policy", ["global", "local", "global-local"])
def test_exactly_as_many_different_frames_as_there_can_be(policy):
    for num_frames in range(1, 30):
        for count in range(1, 14):
            for target in range(num_frames):
                found = context_frames(policy, num_frames, target, count)
                assert len(set(found)) == len(found) == min(count, num_frames)
                assert found == sorted(found)
                assert 0 <= found[0]
                assert found[-1] < num_frames


@pytest.mark.parametrize("policy", ["global", "local", "global-local", "strided"])
def test_no_context(policy):
    assert context_frames(policy, 10, 4, 0) == []


@pytest.mark.parametrize(
    ("policy", "target", "expected"),
    [
        ("global", 7, [0, 33, 66, 99]),
        ("local", 50, [48, 49, 50, 51]),
        ("local", 0, [0, 1, 2, 3]),
        ("local", 99, [96, 97, 98, 99]),
        ("global-local", 50, [0, 49, 50, 99]),
        ("global-local", 0, [0, 1, 2, 99]),
    ],
)
def test_where_four_of_a_hundred_frames_lie(policy, target, expected):
    assert context_frames(policy, 100, target, 4) == expected


def test_training_takes_a_frame_of_each_part():
    for case in SAMPLING["uniform_bins"]:
        edges = part_edges(case["num_frames"], case["n"])
        assert edges == case["edges"]
        found = training_frames(case["num_frames"], case["n"], np.random.default_rng(0))
        assert all(first <= frame < end for first, frame, end in zip(edges[:-1], found, edges[1:], strict=True))


def test_training_takes_all_frames_of_a_short_video():
    assert training_frames(3, 8, np.random.default_rng(0)) == [0, 1, 2]
