"""The released layout: names, shapes and training counts of VISA-7B (tests/golden/visa/manifest_visa_7b.json), and folders in it."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from golden_visa import FOLDER
from transformers import CLIPVisionConfig

from saymask.errors import CheckpointError
from saymask.models.checkpoints import load_model, save_model
from saymask.models.lisa.names import TOWER_PREFIX, our_name, released_name
from saymask.models.visa import FAMILY
from saymask.models.visa.model import VisaModel
from saymask.models.visa.released import ARCHITECTURE, MODEL_TYPE, VisaRelease, config_from_release
from saymask.recipes.visa import visa_7b
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.storage.weight_files import read_shapes, weight_files
from saymask.toyworld.dataset import load_toyworld

MANIFEST = json.loads((FOLDER / "manifest_visa_7b.json").read_text(encoding="utf-8"))
STATE, TRAINING = MANIFEST["state_dict"], MANIFEST["training"]
WRITTEN = MANIFEST["merge_script"]["config_written"]
FAKE = runpy.run_path(str(Path(__file__).parents[3] / "bench/fake_release.py"))
CPU = Runtime("cpu", "float32")
TABLES = ".rotary_emb.inv_freq"


@pytest.fixture(scope="module")
def full() -> VisaModel:
    """VISA-7B without memory for its weights."""
    values, tower = FAKE["VISA_SCALES"]["full"]
    with init_empty_weights():
        return VisaModel(config_from_release(values, CLIPVisionConfig(**tower), 32000, "a test"))


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A small release; weights large enough for masks with edges."""
    small = FAKE["random_tensors"](3)
    out = tmp_path_factory.mktemp("release")
    return FAKE["write_release"](out, *FAKE["VISA_SCALES"]["tiny"], lambda name, shape: 10 * small(name, shape))[0]


def test_every_name_and_shape_of_the_7b_model(full):
    released = {our_name(name): tuple(shape) for name, (shape, _) in STATE.items() if not name.endswith(TABLES)}
    assert released == {name: tuple(tensor.shape) for name, tensor in full.state_dict().items()}
    assert [released_name(our_name(name)) for name in STATE if not name.endswith(TABLES)] == [n for n in STATE if not n.endswith(TABLES)]
    assert sum(name.endswith(TABLES) for name in STATE) == MANIFEST["buffers_in_state_dict"]["inv_freq"] == 32
    assert {our_name(name) for name in MANIFEST["buffers_in_state_dict"]["other"]} <= released.keys()


def test_counts_of_the_manifest_hold():
    counts = MANIFEST["counts"]
    assert counts["keys"] == len(STATE)
    assert counts["elements"] == sum(torch.Size(shape).numel() for shape, _ in STATE.values())
    saved = {name: entry for name, entry in STATE.items() if entry[1] != "not saved"}
    assert counts["saved_keys"] == len(saved)
    assert {name for name in STATE if name not in saved} == {name for name in STATE if name.startswith(TOWER_PREFIX)}
    sizes = {"bfloat16": 2, "float32": 4}
    assert counts["saved_bytes"] == sum(torch.Size(shape).numel() * sizes[dtype] for shape, dtype in saved.values())
    for module, its in counts["by_module"].items():
        names = [name for name in STATE if name == module or name.startswith(f"{module}.")]
        assert (len(names), sum(torch.Size(STATE[name][0]).numel() for name in names)) == (its["keys"], its["elements"])


def test_expected_numbers(full):
    expected, config = MANIFEST["expected_config"], full.config
    text, vision, mask = config.text_config, config.vision_config, config.mask_config
    for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "rms_norm_eps"):
        assert getattr(text, key) == expected[key]
    assert text.rope_parameters["rope_theta"] == expected["rope_theta"]
    clip = {
        "hidden_size": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "image": "image_size",
        "patch": "patch_size",
    }
    assert {name: getattr(vision, ours) for name, ours in clip.items()} == expected["clip"]
    assert mask.vision_config.hidden_size == 1280
    assert full.mask_head.channels == expected["out_dim"]
    assert config.tokens_per_frame == 112


def test_the_recipe_trains_what_the_release_does(full):
    recipe = visa_7b()
    linear = {name for name, layer in full.language_model.named_modules() if isinstance(layer, torch.nn.Linear)}
    targets = {name for name in linear if name.endswith(recipe.lora.targets)}
    theirs = {our_name(f"{name}.weight").removesuffix(".weight") for name in MANIFEST["lora_target_modules"]}
    assert {f"language_model.{name}" for name in targets} == theirs
    assert len(targets) == TRAINING["lora_target_modules_count"]
    lora = recipe.lora
    numbers = {"r": lora.rank, "alpha": lora.alpha, "dropout": lora.dropout, "scale": lora.alpha / lora.rank, "bias": "none"}
    assert numbers == TRAINING["lora"]
    whole = [part for part in recipe.train_parts if part != "lora"]
    sizes = {part: sum(p.numel() for p in full.get_submodule(FAMILY.train_parts[part]).parameters()) for part in whole}
    adapted = sum(recipe.lora.rank * sum(full.language_model.get_submodule(name).weight.shape) for name in targets)
    names = {"lm_head": "lm_head", "embeddings": "embed_tokens", "mask_decoder": "mask_decoder", "prompt_projector": "text_hidden_fcs"}
    assert {theirs: sizes[ours] for ours, theirs in names.items()} == {theirs: TRAINING[theirs] for theirs in names.values()}
    assert adapted == TRAINING["lora_parameters"]
    assert adapted + sum(sizes.values()) == TRAINING["trainable_total"]


def test_what_the_merge_script_writes_is_recognised():
    assert VisaRelease().recognises(WRITTEN)
    assert (WRITTEN["model_type"], WRITTEN["architectures"]) == (MODEL_TYPE, [ARCHITECTURE])
    values, tower = FAKE["VISA_SCALES"]["tiny"]
    numbers = {
        key: values[key]
        for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    }
    config = config_from_release({**numbers, **WRITTEN}, CLIPVisionConfig(**tower), 127, "a test")
    assert config.merge_rates == [64, 32, 16]
    assert config.vision_select_layer == WRITTEN["mm_vision_select_layer"]
    assert not VisaRelease().recognises({"model_type": "llava_phi"})


def test_a_release_answers_and_converts(release, tmp_path):
    first = load_model(release, CPU)
    assert first.family.name == "visa"
    files = weight_files(release)
    assert any(name.endswith(TABLES) for file in files for name in read_shapes(file))
    save_model(first.model, first.processor, tmp_path / "ours", torch.float32)
    second = load_model(tmp_path / "ours", CPU)
    video = load_toyworld(None, "test")[3].video
    options: dict[str, Any] = {"answer": "forced", "scorer": "middle"}
    masks = []
    for segmenter in (first, second):
        with VideoSession(video, segmenter) as session:
            result = session.segment("the red fish", **options).results[0]
        masks.append(result.mask(12))
        assert result.notes["target_frame"] == 12
    assert (masks[0] == masks[1]).all()
    assert second.processor.tokenizer.encode("It is [SEG].") == first.processor.tokenizer.encode("It is [SEG].")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mm_vision_select_feature": "cls"}, "mm_vision_select_feature is 'cls'; only 'patch' can be loaded"),
        ({"rope_scaling": {"factor": 2}}, "rope_scaling is {'factor': 2}; only None can be loaded"),
        ({"config": {}}, "no config.spatial_cluster_rate0, config.spatial_cluster_rate1, config.spatial_cluster_rate2"),
        ({"rms_norm_eps": None}, "no rms_norm_eps"),
    ],
)
def test_settings_that_are_not_known_are_refused(change, message):
    values, tower = FAKE["VISA_SCALES"]["tiny"]
    values = {key: value for key, value in {**values, **change}.items() if value is not None or key == "rope_scaling"}
    with pytest.raises(CheckpointError, match=re.escape(message)):
        config_from_release(values, CLIPVisionConfig(**tower), 127, "config.json")


def test_a_missing_tensor_is_named_as_in_the_release(release, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in release.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (tower,) = [path for path in release.parent.iterdir() if path != release]
    (shard, *_) = [file for file in weight_files(folder) if file.suffix == ".bin"]
    tensors = torch.load(shard)
    del tensors["model.mm_projector.bias"]
    torch.save(tensors, shard)
    with pytest.raises(CheckpointError, match=r"model\.mm_projector\.bias"):
        load_model(folder, CPU, vision_tower=tower)


def test_without_a_network_sizes_and_places_are_named():
    with pytest.raises(CheckpointError) as error:
        VisaRelease().load_hub("someone/visa-7b", CPU, "visa-7b", None)
    said = str(error.value)
    assert "someone/visa-7b (16.1 GB)" in said
    assert "openai/clip-vit-large-patch14 (1.7 GB)" in said
    assert "--vision-tower DIR" in said
