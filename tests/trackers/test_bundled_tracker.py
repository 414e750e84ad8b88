"""The bundled tracker is small, says what it is for, and follows drawn things."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from saymask.metrics.region_contour import region_similarity
from saymask.runtime import AS_STORED, Runtime
from saymask.toyworld.dataset import Thing, load_toyworld, to_samples
from saymask.trackers.loading import load_tracker
from saymask.trackers.xmem.tracker import TOY_WEIGHTS
from saymask.trackers.xmem.weights import load_xmem

CPU = Runtime("cpu", AS_STORED)


@pytest.fixture(scope="module")
def tracker():
    return load_tracker("xmem", CPU)


def track(tracker, video, reference_masks) -> np.ndarray:
    """Masks of all objects on all frames: bool (T, N, H, W)."""
    masks = {frame.frame_idx: frame.masks_NHW.numpy() for frame in tracker.propagate(video, reference_masks)}
    return np.stack([masks[i] for i in range(video.num_frames)])


def test_the_weights_are_small_and_load_strictly():
    assert (TOY_WEIGHTS / "model.safetensors").stat().st_size <= 3_000_000
    network = load_xmem(TOY_WEIGHTS, CPU)
    assert next(network.parameters()).dtype == torch.bfloat16
    assert network.config.domain_tag == "saymask-toyworld"


def test_it_says_so_when_a_video_is_not_drawn(tracker):
    sample = load_toyworld(None, "test")[0]
    assert tracker.notice(sample.video) is None
    assert "drawn scenes" in tracker.notice(replace(sample.video, tags={}))


@pytest.mark.slow
def test_it_follows_a_moving_thing_that_hold_loses(tracker):
    sample = load_toyworld(None, "test")[2]  # the first one that asks about a motion
    assert sample.expression.tags["family"] == "motion"
    truth_THW = sample.regions(range(24)) == sample.expression.obj_ids[0]
    given = int(truth_THW.any((1, 2)).argmax())
    reference_masks = {given: torch.from_numpy(truth_THW[given])[None]}
    j = {}
    for each in (tracker, load_tracker("hold", CPU)):
        masks_TNHW = track(each, sample.video, reference_masks)
        j[each.name] = np.mean([region_similarity(masks_TNHW[i, 0], truth_THW[i]) for i in range(given + 1, len(truth_THW))])
    assert j["xmem"] >= j["hold"] + 0.3


@pytest.mark.slow
def test_two_things_that_cross_keep_their_ids(tracker):
    """Two fish of different colours swim through each other along one line; the one in front hides the other for a while."""
    scene = load_toyworld(None, "test").scene(0)  # for its background
    present_T = np.ones(24, dtype=bool)
    x_T, y_T = np.linspace(20, 108, 24), np.full(24, 64.0)
    to_the_right = Thing("fish", "red", 30, "line", np.stack([x_T, y_T], 1), present_T)
    to_the_left = Thing("fish", "blue", 30, "line", np.stack([x_T[::-1], y_T], 1), present_T, flip=True)
    (sample,) = to_samples([replace(scene, things=(to_the_right, to_the_left))], ["crossing"], np.arange(24), 128)
    ids_THW = sample.regions(range(24))
    truth_TNHW = np.stack([ids_THW == 1, ids_THW == 2], axis=1)
    areas_TN = truth_TNHW.sum((2, 3))
    assert areas_TN[:, 0].min() < 0.2 * areas_TN[0, 0], "the scene must have a frame on which one hides the other"
    masks_TNHW = track(tracker, sample.video, {0: torch.from_numpy(truth_TNHW[0])})
    apart_again = range(int(areas_TN[:, 0].argmin()) + 6, 24)
    for n in range(2):
        assert np.mean([region_similarity(masks_TNHW[i, n], truth_TNHW[i, n]) for i in apart_again]) > 0.5
