"""VideoLISA as a task: its batches, and numbers from which no model can be built."""

import pytest
import torch

from saymask.errors import ConfigError
from saymask.recipes.videolisa import videolisa_toy, videolisa_toy_more

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
        (
            "processor.num_supervised=20",
            "no model can be built from these numbers (num_supervised = 20: of a clip's frames only 3 can be supervised); "
            "check the model.* overrides",
        ),
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


def test_an_image_batch_shows_each_video_as_a_still_and_asks_nothing_about_time():
    task = videolisa_toy().override([*TINY, "data.image_share=1", "batch_size=8"]).task()
    batch = task.batches[0]
    pixels_BSChw = batch["tower_pixels_BSChw"]
    assert torch.equal(pixels_BSChw, pixels_BSChw[:, :1].expand_as(pixels_BSChw))
    assert not torch.equal(pixels_BSChw[0, 0], pixels_BSChw[1, 0])
    moving = videolisa_toy().override([*TINY, "batch_size=8"]).task().batches[0]["tower_pixels_BSChw"]
    assert not torch.equal(moving, moving[:, :1].expand_as(moving))


def test_questions_about_time_alone_leave_nothing_to_ask_about_stills():
    phases = '[{"until": 1, "mix": {"motion": 1}}]'
    with pytest.raises(ConfigError) as caught:
        videolisa_toy().override([*TINY, "data.image_share=1", f"data.phases={phases}"])
    expected = (
        "image_share = 1.0: no family of the mix can be asked about a still; add one of attribute, spatial, knowledge, plural, absent"
    )
    assert str(caught.value) == f"overrides: data: value error, {expected}"


def test_a_run_begins_with_the_weights_and_the_tokenizer_of_another(tmp_path):
    first = videolisa_toy().override([*TINY, "seed=1"]).task()
    first.save(tmp_path / "first")
    config = videolisa_toy().override([*TINY, f"init_from={tmp_path / 'first'}", "tokenizer_sentences=5", "model.num_sparse=4"])
    second = config.task().module.state_dict()
    for name, value in first.module.state_dict().items():
        # Saved in bfloat16; auxiliary heads are not saved and begin anew.
        assert torch.equal(second[name], value.bfloat16().float()) or name.startswith("aux_"), name


def test_weights_of_another_size_are_refused(tmp_path):
    videolisa_toy().override(TINY).task().save(tmp_path / "first")
    with pytest.raises(ConfigError) as caught:
        videolisa_toy().override([*TINY, f"init_from={tmp_path / 'first'}", "model.text_config.hidden_size=64"]).task()
    assert "no model can be built from these numbers" in str(caught.value)
    assert "size mismatch" in str(caught.value)


def test_weights_that_are_not_there_are_said_with_a_way_on():
    with pytest.raises(ConfigError) as caught:
        videolisa_toy_more().override(TINY).task()
    assert str(caught.value).startswith("init_from: unknown model 'runs/toy/model' (and no such folder)")
    assert str(caught.value).endswith("; give the model to begin with, or init_from=null to begin with none")
