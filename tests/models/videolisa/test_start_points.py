"""The parts a training begins with: every tensor comes from its folder, what is fresh is fresh, and what does not fit is named."""

import json
import re
import runpy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SamConfig, SamModel

from saymask.errors import CheckpointError
from saymask.models.checkpoints import load_model, save_model
from saymask.models.videolisa.start_points import assemble
from saymask.runtime import Runtime
from saymask.storage.weight_files import weight_files

FAKE = runpy.run_path(str(Path(__file__).parents[3] / "bench/fake_release.py"))
CPU = Runtime("cpu", "float32")
NOT_LLAVAS = ("model.visual_model.", "model.text_hidden_fcs.")


@pytest.fixture
def parts(tmp_path):
    """LLaVA's folder, with 12 spare rows in its embeddings and without `[SEG]`; the tower's; Segment Anything's."""
    release, tower = FAKE["write_release"](
        tmp_path, FAKE["TINY_CONFIG"], FAKE["TINY_TOWER"], FAKE["random_tensors"](0), "safetensors", shard_bytes=10**9
    )
    (file,) = weight_files(release)
    tensors = {name: tensor for name, tensor in load_file(file).items() if not name.startswith(NOT_LLAVAS)}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = torch.cat([tensors[name], torch.full((12, 32), 9.0, dtype=torch.bfloat16)])
    save_file(tensors, file)
    settings = json.loads((release / "tokenizer_config.json").read_text())
    del settings["added_tokens_decoder"]["127"]
    (release / "tokenizer_config.json").write_text(json.dumps(settings))
    values = json.loads((release / "config.json").read_text())
    (release / "config.json").write_text(json.dumps(values | {"vocab_size": 140}))

    torch.manual_seed(0)
    numbers = FAKE["TINY_CONFIG"]["mask_config"]
    sam = SamModel(SamConfig(**{**numbers, "mask_decoder_config": {**numbers["mask_decoder_config"], "layer_norm_eps": 1e-6}}))
    sam.save_pretrained(tmp_path / "sam")
    file = tmp_path / "sam" / "model.safetensors"
    tensors = load_file(file)
    tensors["prompt_encoder.shared_embedding.positional_embedding"] = tensors["shared_image_embedding.positional_embedding"].clone()
    save_file(tensors, file)
    return release, tower, tmp_path / "sam"


def test_every_tensor_is_the_files(parts):
    model = assemble(*parts, CPU).model
    llava, tower, sam = (load_file(weight_files(folder)[0]) for folder in parts)
    state = model.state_dict()
    assert torch.equal(state["language_model.model.layers.1.mlp.down_proj.weight"], llava["model.layers.1.mlp.down_proj.weight"].float())
    assert torch.equal(state["visual.projector.2.bias"], llava["model.mm_projector.2.bias"].float())
    assert torch.equal(state["visual.tower.post_layernorm.bias"], tower["vision_model.post_layernorm.bias"])
    decoder = "mask_decoder.iou_token.weight"
    assert torch.equal(state[f"mask_head.sam.{decoder}"], sam[decoder])
    assert model.config.mask_config.mask_decoder_config.layer_norm_eps == 1e-5


def test_the_tokenizer_gets_seg_and_spare_rows_go(parts):
    segmenter = assemble(*parts, CPU)
    assert segmenter.config.seg_token_id == 127
    llava = load_file(weight_files(parts[0])[0])
    rows = segmenter.model.language_model.lm_head.weight
    assert torch.equal(rows, llava["lm_head.weight"][:128].float())
    assert segmenter.config.text_config.vocab_size == 128


def test_rows_that_are_missing_are_random(parts):
    (file,) = weight_files(parts[0])
    tensors = load_file(file)
    old = tensors["lm_head.weight"]
    save_file(tensors | {name: tensors[name][:127].clone() for name in ("model.embed_tokens.weight", "lm_head.weight")}, file)
    torch.manual_seed(0)
    rows = assemble(*parts, CPU).model.language_model.lm_head.weight
    assert torch.equal(rows[:127], old[:127].float())
    assert 0 < rows[127].std() < 0.1


def test_the_prompt_projector_is_fresh_and_the_whole_is_a_model_folder(parts, tmp_path):
    torch.manual_seed(1)
    first = assemble(*parts, CPU)
    torch.manual_seed(2)
    other = assemble(*parts, CPU)
    assert not torch.equal(first.model.prompt_projector[0].weight, other.model.prompt_projector[0].weight)
    assert 0 < first.model.prompt_projector[2].weight.std() < 1
    save_model(first.model, first.processor, tmp_path / "start", torch.float32)
    loaded = load_model(tmp_path / "start", CPU).model.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in first.model.state_dict().items())


@pytest.mark.parametrize(
    ("part", "edit", "problem"),
    [
        (0, lambda t: t.pop("model.norm.weight"), "missing language_model.model.norm.weight"),
        (2, lambda t: t.pop("mask_decoder.iou_token.weight"), "missing mask_head.sam.mask_decoder.iou_token.weight"),
        (2, lambda t: t.update(extra=torch.zeros(1)), "unexpected mask_head.sam.extra"),
        (
            0,
            lambda t: t.update({"lm_head.weight": torch.zeros(140, 5)}),
            "wrong shape language_model.lm_head.weight: [128, 5] in the file, [128, 32] in the model",
        ),
    ],
    ids=["missing", "missing of the mask model", "unexpected", "shape"],
)
def test_what_does_not_fit_is_named(parts, part, edit, problem):
    (file,) = weight_files(parts[part])
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)
    llava, tower, sam = parts
    expected = f"{llava} with {tower} and {sam}: the weights do not fit the configuration; nothing was loaded\n  {problem}"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        assemble(*parts, CPU)


def test_another_model_than_llava(parts):
    (file,) = weight_files(parts[0])
    save_file({"transformer.wte": torch.zeros(1)}, file)
    expected = f"{file}: 'transformer.wte' is no tensor of LLaVA-Phi-3; give the folder of that model"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        assemble(*parts, CPU)
