"""The baseline's masks are the references themselves, moved to other frames and nowhere else."""

import numpy as np
import pytest
import torch

from saymask.errors import ConfigError
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.trackers.hold import load_hold

VIDEO = Video.from_frames(np.zeros((7, 4, 6, 3), np.uint8), name="seven")


def column(*columns: int | None) -> torch.Tensor:
    """An object per column number, one pixel wide; None = absent."""
    masks_NHW = torch.zeros(len(columns), 4, 6, dtype=torch.bool)
    for obj_idx, at in enumerate(columns):
        if at is not None:
            masks_NHW[obj_idx, :, at] = True
    return masks_NHW


def test_every_frame_has_the_nearest_earlier_reference_and_the_first_ones_the_first():
    results = list(load_hold(Runtime(), None).propagate(VIDEO, {5: column(3), 2: column(1)}))
    assert [result.frame_idx for result in results] == [0, 1, 2, 3, 4, 5, 6]
    for result, expected in zip(results, [1, 1, 1, 1, 1, 3, 3], strict=True):
        assert torch.equal(result.masks_NHW, column(expected))


def test_an_absent_object_scores_0_and_others_1():
    results = list(load_hold(Runtime(), None).propagate(VIDEO, {0: column(0, None), 3: column(0, 5)}))
    assert [result.scores_N.tolist() for result in results] == [[1, 0]] * 3 + [[1, 1]] * 4


def test_soft_masks_count_above_one_half_and_a_shared_pixel_goes_to_the_larger():
    soft_NHW = torch.zeros(2, 4, 6)
    soft_NHW[0, 0] = torch.tensor([0.6, 0.6, 0.5, 0.0, 0.9, 0.7])
    soft_NHW[1, 0] = torch.tensor([0.0, 0.8, 0.4, 0.9, 0.8, 0.7])
    masks_NHW = next(load_hold(Runtime(), None).propagate(VIDEO, {0: soft_NHW})).masks_NHW
    assert masks_NHW[:, 0].int().tolist() == [[1, 0, 0, 0, 1, 1], [0, 1, 0, 1, 0, 0]]
    assert not masks_NHW[:, 1:].any()


def test_it_has_no_weights_to_take():
    with pytest.raises(ConfigError, match=r"^tracker 'hold' has no weights; leave out 'some/folder'$"):
        load_hold(Runtime(), "some/folder")
