"""VideoLISA as a task: its batches, and numbers from which no model can be built."""

import pytest
import torch

from saymask.errors import ConfigError
from saymask.recipes.videolisa import videolisa_toy

TINY = [
    *("batch_size=2", "tokenizer_sentences=50", "vocab_size=400", "model.text_config.num_hidden_layers=1"),
    *("model.vision_config.num_hidden_layers=1", "model.mask_config.vision_config.num_hidden_layers=1"),
    *("model.num_sparse=3", "model.num_dense=1"),
]


def test_a_batch_is_a_function_of_seed_and_step():
    batches, other_seed = (videolisa_toy().override([*TINY, f"seed={seed}"]).task().batches for seed in (0, 1))
    pixels = [source[step]["tower_pixels_BSChw"] for source, step in ((batches, 1), (batches, 1), (batches, 2), (other_seed, 1))]
    assert torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])
    assert not torch.equal(pixels[0], pixels[3])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_supervised=20", "num_supervised = 20: a clip has only 3 frames (model.num_sparse)"),
        (
            "model.num_dense=3",
            "no model can be built from these numbers (num_dense = 3 must be at least 1 and less than num_sparse = 3); "
            "check the model.* overrides",
        ),
    ],
)
def test_numbers_that_cannot_work_are_refused(override, message):
    with pytest.raises(ConfigError) as caught:
        videolisa_toy().override([*TINY, override]).task()
    assert str(caught.value) == message
