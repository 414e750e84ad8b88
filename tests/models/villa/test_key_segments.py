"""Cutting, choosing and the cases in which frames are spread evenly."""

import numpy as np
import pytest

from saymask.models.villa.key_segments import choose_key_frames, frames_of, partition, select


def scenes(*lengths):
    """Unit descriptors that jump from one axis to the next."""
    return np.repeat(np.eye(4)[: len(lengths)], lengths, axis=0)


def test_cuts_are_where_the_content_changes():
    assert partition(scenes(7, 12, 5), 2, 100) == [(0, 7), (7, 19), (19, 24)]


def test_a_still_video_is_not_cut_but_for_its_length():
    assert partition(scenes(24), 2, 100) == [(0, 24)]
    assert partition(scenes(24), 2, 12) == [(0, 12), (12, 24)]


def test_no_segment_is_shorter_than_asked_for():
    lengths = [b - a for a, b in partition(scenes(1, 20, 3), 3, 100)]
    assert min(lengths) >= 3
    assert sum(lengths) == 24


def test_the_second_choice_is_not_a_twin_of_the_first():
    unit_TC = np.repeat(np.eye(2)[[0, 0, 1]], 4, axis=0)  # the first two segments look alike
    assert select([(0, 4), (4, 8), (8, 12)], [1.0, 0.9, 0.7], unit_TC, 2) == [0, 2]  # 0.9 - 0.3 < 0.7
    assert select([(0, 4), (4, 8), (8, 12)], [1.0, 0.9, 0.5], unit_TC, 2) == [0, 1]  # 0.9 - 0.3 > 0.5


def test_frames_of_a_segment_are_spread_and_moved_to_what_matters():
    relevance_T = np.zeros(20)
    assert frames_of((0, 20), 2, relevance_T).tolist() == [0, 19]
    relevance_T[[2, 3, 17]] = 1  # a quarter of the distance of 10 reaches 2.5 frames far
    assert frames_of((0, 20), 2, relevance_T).tolist() == [2, 17]
    assert frames_of((4, 6), 5, relevance_T).tolist() == [4, 5]  # it has no more


def test_relevant_segments_are_kept_and_what_was_chosen_stands_in_the_notes():
    relevance_T = np.r_[np.zeros(8), np.ones(8), np.zeros(8)]
    chosen = choose_key_frames(np.arange(24) * 10, scenes(8, 8, 8), relevance_T, 240, 1, 2, 4)
    assert set(chosen.frame_idx) <= set(range(80, 160))
    assert len(chosen.frame_idx) == 2
    assert chosen.segment.tolist() == [0, 0]
    assert chosen.notes["key_segments"] == [[80, 150]]
    assert chosen.context_idx.tolist() == [29, 89, 149, 209]  # the middles of four equal parts


@pytest.mark.parametrize(
    ("coarse", "relevance", "reason"), [(24, 0.0, "exceeds the mean"), (4, 1.0, "the video is short")], ids=["irrelevant", "short"]
)
def test_frames_are_spread_evenly_where_nothing_stands_out(coarse, relevance, reason):
    chosen = choose_key_frames(np.arange(coarse), scenes(coarse), np.full(coarse, relevance), coarse, 2, 2, 4)
    assert len(chosen.frame_idx) == 4
    assert chosen.segment.tolist() == [0] * 4
    assert reason in chosen.notes["key_segments"]


def test_a_video_of_one_frame_has_one_key_frame():
    chosen = choose_key_frames(np.arange(1), scenes(1), np.ones(1), 1, 2, 2, 4)
    assert chosen.frame_idx.tolist() == [0]
    assert chosen.context_idx.tolist() == [0] * 4
