"""From mask logits to run lengths: numbers that are none do not become empty masks."""

import pytest
import torch

from saymask.errors import CheckpointError
from saymask.models.run_lengths import encode_masks


def test_masks_come_back_with_their_scores():
    masks_NHW = torch.zeros(2, 3, 4, dtype=torch.bool)
    masks_NHW[0, 1, 2] = True
    (first, score), (second, _) = encode_masks(masks_NHW, torch.tensor([0.5, 0.0]))
    assert (first.decode() == masks_NHW[0].numpy()).all() and second.area == 0 and score == 0.5


def test_a_score_that_is_no_number_is_an_error():
    with pytest.raises(CheckpointError, match="float32"):
        encode_masks(torch.zeros(1, 3, 4, dtype=torch.bool), torch.tensor([float("nan")]))
