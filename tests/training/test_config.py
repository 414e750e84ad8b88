"""Configurations of runs: what is in force when, and what is refused before anything starts."""

import pytest

from saymask.errors import ConfigError
from saymask.recipes.videolisa import videolisa_toy
from saymask.recipes.xmem import xmem_toy
from saymask.training.tasks.xmem_toy_config import BootstrapConfig


def test_phases_hand_over_at_their_share_of_the_run():
    data = videolisa_toy().data
    assert data.mix(29, 100) == data.phases[0].mix
    assert data.mix(30, 100) == data.phases[1].mix


def test_the_cross_entropy_counts_all_pixels_then_fewer_then_the_hardest():
    bootstrap = BootstrapConfig(start=0.2, end=0.6, share=0.2)
    assert [bootstrap.keep_share(progress) for progress in (0, 0.2, 0.3, 0.4, 0.6, 1)] == pytest.approx([1, 1, 0.8, 0.6, 0.2, 0.2])


@pytest.mark.parametrize(
    ("recipe", "assignment", "message"),
    [
        (videolisa_toy, "optim.Ir=1e-4", "unknown key 'optim.Ir'; did you mean 'optim.lr'?"),
        (
            videolisa_toy,
            "optim.lr=fast",
            "overrides: optim.lr = 'fast': input should be a valid number, unable to parse string as a number",
        ),
        (videolisa_toy, "steps", "override 'steps' is not of the form key=value"),
        (videolisa_toy, "num_supervised=0", "unknown key 'num_supervised'; did you mean 'processor.num_supervised'?"),
        (videolisa_toy, "kind=xmem_toy", "overrides: kind = 'xmem_toy': input should be 'questions'"),
        (xmem_toy, "data.num_frame=3", "unknown key 'data.num_frame'; did you mean 'data.num_frames'?"),
        (
            xmem_toy,
            "data.crop=129",
            "overrides: data: value error, crop = 129 must not exceed size = 128",
        ),
        (
            xmem_toy,
            "bootstrap.start=0.7",
            "overrides: bootstrap: value error, start = 0.7 must lie before end = 0.7",
        ),
    ],
)
def test_a_wrong_override_stops_before_anything_starts(recipe, assignment, message):
    with pytest.raises(ConfigError) as caught:
        recipe().override([assignment])
    assert str(caught.value) == message
