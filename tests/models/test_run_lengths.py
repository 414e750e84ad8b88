"""From mask logits to run lengths: numbers that are none do not become empty masks."""

import numpy as np
import pytest
import torch

from saymask.errors import CheckpointError
from saymask.models.base import MaskLogits
from saymask.models.run_lengths import encode_masks, threshold
from saymask.records import Rle
from saymask.video.transforms import Geometry


def test_masks_come_back_with_their_scores():
    masks_NHW = torch.zeros(2, 3, 4, dtype=torch.bool)
    masks_NHW[0, 1, 2] = True
    (first, score), (second, _) = encode_masks(masks_NHW, torch.tensor([0.5, 0.0]))
    assert (first.decode() == masks_NHW[0].numpy()).all() and second.area == 0 and score == 0.5


def test_a_score_that_is_no_number_is_an_error():
    with pytest.raises(CheckpointError, match="float32"):
        encode_masks(torch.zeros(1, 3, 4, dtype=torch.bool), torch.tensor([float("nan")]))


GEOMETRIES = {
    "landscape": Geometry((37, 53), (72, 103), (103, 103)),
    "portrait": Geometry((53, 37), (103, 72), (103, 103)),
    "smaller than the logits": Geometry((5, 3), (16, 10), (16, 16)),
    "one row": Geometry((1, 5), (3, 16), (16, 16)),
}


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("bias", [-9.0, -0.5, 0.5, 9.0], ids=["empty", "few", "many", "full"])
def test_the_columns_that_are_left_out_hold_no_pixel(geometry, bias):
    """Masks and scores equal those of all logits at full size."""
    torch.manual_seed(0)
    logits = MaskLogits(torch.randn(2, 3, 8, 8) + bias, geometry)
    full_TNHW = logits.full_size(slice(None))
    for t, of_frame in enumerate(threshold(logits)):
        for n, (rle, score) in enumerate(of_frame):
            mask_HW = full_TNHW[t, n] > 0
            assert (rle.decode() == mask_HW.numpy()).all()
            expected = full_TNHW[t, n][mask_HW].sigmoid().mean().item() if mask_HW.any() else 0.0
            assert score == pytest.approx(expected, abs=1e-5)


def test_a_logit_that_is_no_number_is_no_empty_mask():
    lowres = torch.full((1, 2, 4, 4), -1.0)
    lowres[0, 1, 2, 2] = torch.nan
    with pytest.raises(CheckpointError, match="NaN"):
        threshold(MaskLogits(lowres, Geometry((8, 8), (8, 8), (8, 8))))


def test_columns_that_are_not_given_are_empty():
    """Two masks of 3 x 4: of the first columns 1 and 2 and of the second column 0 are given; runs go on over neighbouring columns."""
    columns_AH = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
    first, second = Rle.encode_columns(columns_AH, np.array([1, 2, 4]), num_masks=2, width=4)
    assert first.counts.tolist() == [4, 3, 1, 1, 3]
    assert second.counts.tolist() == [0, 3, 9]
