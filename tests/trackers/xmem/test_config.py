from typing import Any

import pytest

from saymask.trackers.xmem.config import XMemConfig


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"key_encoder_depths": (3, 4)}, r"key_encoder_depths = \[3, 4\] must be three numbers"),
        ({"value_encoder_depths": (2, 0, 2)}, r"value_encoder_depths = \[2, 0, 2\] must be three numbers"),
        ({"min_mid_term_frames": 10}, "min_mid_term_frames = 10 must be at least 1 and less than max_mid_term_frames = 10"),
        ({"num_prototypes": 64, "max_long_term_elements": 64}, "num_prototypes = 64 must be less than max_long_term_elements = 64"),
    ],
)
def test_numbers_that_contradict_each_other(numbers: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        XMemConfig(**numbers)


def test_the_defaults_of_the_published_tracker():
    config = XMemConfig()
    assert (config.short_side, config.mem_every, config.deep_update_every, config.top_k) == (480, 10, -1, 30)
    assert (config.max_mid_term_frames, config.min_mid_term_frames) == (10, 5)
    assert (config.num_prototypes, config.max_long_term_elements) == (128, 10_000)
