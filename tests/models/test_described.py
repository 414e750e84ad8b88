"""What is known of a model without its weights, and what is said of models of which nothing is."""

import json
import runpy
import shutil
from pathlib import Path

import pytest
import torch

from saymask.errors import CheckpointError, ConfigError, UnknownName
from saymask.models.checkpoints import bundled_folder
from saymask.models.described import describe_model

FAKE = runpy.run_path(str(Path(__file__).parents[2] / "bench/fake_release.py"))


def test_a_bundled_model_counts_with_its_own_tokenizer():
    toy = describe_model("toy")
    assert (toy.family.name, toy.config.num_sparse, toy.stored_dtype) == ("videolisa", 8, torch.bfloat16)
    assert toy.count_tokens("[SEG]") == 1
    assert next(toy.build(torch.float32).parameters()).device.type == "meta"


def test_a_folder_with_a_configuration_is_enough(tmp_path):
    shutil.copy(bundled_folder("visa-toy") / "config.json", tmp_path)
    described = describe_model(tmp_path)
    assert described.family.name == "visa"
    assert described.count_tokens("eight letters") == 4  # 13 characters, four a token


def test_a_released_layout_needs_its_towers_configuration_too(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(FAKE["TINY_CONFIG"]))
    with pytest.raises(CheckpointError, match="vision-tower"):
        describe_model(tmp_path / "model")
    tower = tmp_path / "clip"
    tower.mkdir()
    (tower / "config.json").write_text(json.dumps({"model_type": "clip_vision_model", **FAKE["TINY_TOWER"]}))
    config = describe_model(tmp_path / "model", tower).config
    assert (config.num_sparse, config.text_config.hidden_size, config.vision_config.image_size) == (4, 32, 28)


def test_the_published_model_is_known_by_its_name():
    config = describe_model("videolisa-3.8b").config
    assert (config.text_config.hidden_size, config.text_config.num_hidden_layers, config.vision_config.hidden_size) == (3072, 32, 1024)
    assert config.num_visual == 32 + 4 * 24**2


@pytest.mark.parametrize(
    "name, error, said",
    [
        ("tyo", UnknownName, "'toy'"),
        ("grounded", ConfigError, "saymask bench SOURCE -m grounded"),
        ("toy+adapter", ConfigError, "-m toy"),
        ("nobody/has-this", CheckpointError, "config.json"),
    ],
)
def test_what_cannot_be_planned_says_what_to_do(name, error, said):
    with pytest.raises(error) as caught:
        describe_model(name)
    assert name in str(caught.value) and said in str(caught.value)


def test_a_folder_without_a_configuration_or_with_another_one(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        describe_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "saymask-vila"}')
    with pytest.raises(CheckpointError, match="'saymask-villa'"):
        describe_model(tmp_path)
