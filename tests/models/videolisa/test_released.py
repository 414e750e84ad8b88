"""Names, shapes and numbers of the release against its manifest (tests/golden/videolisa/manifest_videolisa_3.8b.json)."""

import json
import re
from pathlib import Path

import pytest
from accelerate import init_empty_weights
from torch import nn
from transformers import CLIPVisionConfig

from saymask.errors import CheckpointError
from saymask.models.lisa.names import TOWER_PREFIX, our_name, released_name
from saymask.models.videolisa.model import VideoLisaModel
from saymask.models.videolisa.published import CONFIG, TOWER_CONFIG
from saymask.models.videolisa.released import config_from_release
from saymask.recipes.videolisa_tuning import videolisa_phi3

MANIFEST = json.loads((Path(__file__).parents[2] / "golden/videolisa/manifest_videolisa_3.8b.json").read_text())
VALUES = {**MANIFEST["expected_config"], "sliding_window": 2047, "eos_token_id": 32000}


def configuration(**changes):
    return config_from_release({**VALUES, **changes}, CLIPVisionConfig(**TOWER_CONFIG), 32038, "config.json")


def test_what_is_known_without_a_download_is_the_published_configuration():
    shared = VALUES.keys() & CONFIG.keys()
    assert len(shared) > 20 and {name: CONFIG[name] for name in shared} == {name: VALUES[name] for name in shared}


def test_names_and_shapes_are_the_manifests():
    with init_empty_weights():
        model = VideoLisaModel(configuration())
    ours = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert {our_name(name): shape for name, (shape, _) in MANIFEST["state_dict"].items()} == ours
    assert sorted(map(released_name, ours)) == sorted(MANIFEST["state_dict"])
    counts = MANIFEST["counts"]
    assert (counts["runtime_keys"], counts["saved_keys"]) == (len(ours), 797)
    modules = {
        "embed_tokens": model.language_model.model.embed_tokens,
        "llm_layers": nn.ModuleList([model.language_model.model.layers, model.language_model.model.norm]),
        "vision_tower": model.visual.tower,
        "mm_projector": model.visual.projector,
        "visual_model.image_encoder": model.mask_head.sam.vision_encoder,
        "visual_model.mask_decoder": model.mask_head.sam.mask_decoder,
        "text_hidden_fcs": model.prompt_projector,
        "lm_head": model.language_model.lm_head,
    }
    state = {name: list(module.state_dict().values()) for name, module in modules.items()}
    sam = model.mask_head.sam
    state["visual_model.prompt_encoder"] = [*sam.prompt_encoder.state_dict().values(), *sam.shared_image_embedding.state_dict().values()]
    sizes = {name: {"tensors": len(tensors), "parameters": sum(t.numel() for t in tensors)} for name, tensors in state.items()}
    assert sizes == counts["by_module"]


def test_the_papers_recipe_trains_what_the_release_trained():
    training, recipe = MANIFEST["training"], videolisa_phi3()
    with init_empty_weights():
        model = VideoLisaModel(configuration())
    targets = {name: layer for name, layer in model.named_modules() if name.rsplit(".", 1)[-1] in recipe.lora.targets}
    assert sorted(our_name(f"{name}.weight").removesuffix(".weight") for name in training["lora_target_modules"]) == sorted(targets)
    matrices = [(recipe.lora.rank, layer.in_features) for layer in targets.values()]
    matrices += [(layer.out_features, recipe.lora.rank) for layer in targets.values()]
    assert set(matrices) == {tuple(shape) for shape in training["lora_shapes"].values()}
    trained = {
        "lora": [rows * columns for rows, columns in matrices],
        "embed_tokens": [p.numel() for p in model.language_model.model.embed_tokens.parameters()],
        "lm_head": [p.numel() for p in model.language_model.lm_head.parameters()],
        "mask_decoder": [p.numel() for p in model.mask_head.sam.mask_decoder.parameters()],
        "text_hidden_fcs": [p.numel() for p in model.prompt_projector.parameters()],
    }
    assert set(recipe.train_parts) == {"lora", "embeddings", "lm_head", "mask_decoder", "prompt_projector"}
    sizes = {name: {"tensors": len(counts), "parameters": sum(counts)} for name, counts in trained.items()}
    assert sizes == training["trainable_by_group"]
    assert sum(map(sum, trained.values())) == training["trainable_parameters"]


def test_what_is_not_saved_is_the_tower():
    not_saved = {name for name, (_, dtype) in MANIFEST["state_dict"].items() if dtype == "not saved"}
    assert {name for name in MANIFEST["state_dict"] if name.startswith(TOWER_PREFIX)} == not_saved
    assert len(MANIFEST["state_dict"]) - len(not_saved) == 797


def test_every_name_comes_back():
    assert [released_name(our_name(name)) for name in MANIFEST["state_dict"]] == list(MANIFEST["state_dict"])


@pytest.mark.parametrize(("translate", "name"), [(our_name, "modelling.norm.weight"), (released_name, "aux_heads.coarse_bias")])
def test_names_of_something_else(translate, name):
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        translate(name)


def test_numbers_are_read_from_the_releases_config():
    config = configuration(vocab_size=32012, sliding_window=2048)
    assert (config.text_config.vocab_size, config.text_config.sliding_window) == (32012, 2049)
    assert config.text_config.rope_parameters["rope_theta"] == 10000.0
    assert (config.num_sparse, config.num_dense, config.vision_select_layer) == (32, 4, -2)
    assert config.seg_token_id == MANIFEST["expected_seg_token_idx"] == 32038
    assert config.mask_config.mask_decoder_config.layer_norm_eps == 1e-5
    assert config.mask_config.vision_config.layer_norm_eps == 1e-6


def test_a_config_without_its_numbers():
    values = {key: value for key, value in VALUES.items() if key not in ("hidden_size", "sliding_window")}
    expected = "config.json: no hidden_size, sliding_window; a released VideoLISA model has them in its config.json"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        config_from_release(values, CLIPVisionConfig(**TOWER_CONFIG), 32038, "config.json")


def test_a_setting_that_would_be_computed_wrongly():
    expected = "config.json: mm_projector_type is 'linear'; only 'mlp2x_gelu' can be loaded"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        configuration(mm_projector_type="linear")
