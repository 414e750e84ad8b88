"""Truths and baselines do what their names say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from squares import BLUE, RED, sample, things

from saymask.errors import DataError
from saymask.evaluation.predictors import WITHOUT_MODEL, empty, first_frame_held, largest, oracle, union
from saymask.records import Prediction
from saymask.samples import in_memory


def masks_THW(prediction: Prediction) -> np.ndarray:
    return np.stack([prediction.masks(t).any(axis=0) for t in range(prediction.video.num_frames)])


def test_the_oracle_knows_every_object():
    both = sample("v/0", "both", RED, BLUE)
    assert [masklet.rle_T[0].area for _, masklet in oracle(both).objects()] == [100, 300]
    assert list(oracle(sample("v/0", "green")).objects()) == []


def test_the_first_frame_is_held_from_where_the_target_shows():
    """It shows from the second of four frames on, one column further on each."""
    truth = np.zeros((4, 40, 40), dtype=bool)
    for t in (1, 2, 3):
        truth[t, 5:15, t : t + 10] = True
    held = masks_THW(first_frame_held(replace(sample("v/0", "red", RED, num_frames=4), load_masks=in_memory(truth[:, None]))))
    assert not held[0].any()
    assert all(np.array_equal(held[t], truth[1]) for t in (1, 2, 3))
    assert not masks_THW(first_frame_held(sample("v/0", "green"))).any()


def test_baselines_ignore_the_question():
    for asked in (sample("v/0", "red", RED), sample("v/0", "green")):
        assert not masks_THW(empty(asked)).any()
        assert np.array_equal(masks_THW(largest(asked)), things() == BLUE)
        assert np.array_equal(masks_THW(union(asked)), things() > 0)


def test_baselines_say_when_the_dataset_does_not_outline_everything():
    plain = replace(sample("v/0", "red", RED), load_regions=None)
    for baseline in (largest, union):
        with pytest.raises(DataError, match=r"^v/0: the dataset does not outline everything"):
            baseline(plain)


def test_a_prediction_is_the_one_result_for_the_samples_question():
    for predictor in WITHOUT_MODEL.values():
        (result,) = predictor(sample("v/0", "red", RED)).results
        assert result.query == "red"
