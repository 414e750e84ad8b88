"""A model folder is read, never run or trusted: whatever its files say, the answer is a model or one error that names the file."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from saymask.errors import CheckpointError
from saymask.models.checkpoints import load_model, save_model
from saymask.runtime import Runtime

CPU = Runtime("cpu", "float32")
BIAS = "prompt_projector.0.bias"


@pytest.fixture
def saved(segmenter, tmp_path):
    save_model(segmenter.model, segmenter.processor, tmp_path / "m", dtype=torch.float32)
    return tmp_path / "m"


def change_config(folder, edit):
    values = json.loads((folder / "config.json").read_text())
    edit(values)
    (folder / "config.json").write_text(json.dumps(values))


def change_weights(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_code_in_a_folder_never_runs_and_nobody_is_asked(saved, tmp_path, monkeypatch):
    trap = tmp_path / "ran"
    code = f"open({str(trap)!r}, 'w').close()\nclass M: pass\n"
    for name in ("modeling_trap.py", "configuration_trap.py", "tokenization_trap.py"):
        (saved / name).write_text(code)
    auto = {"AutoConfig": "configuration_trap.M", "AutoModel": "modeling_trap.M", "AutoModelForCausalLM": "modeling_trap.M"}
    auto["AutoTokenizer"] = ["tokenization_trap.M", "tokenization_trap.M"]

    def claim(values):
        values["auto_map"] = auto
        values["text_config"]["auto_map"] = {name: f"somebody/model--{value}" for name, value in auto.items()}

    change_config(saved, claim)
    settings = json.loads((saved / "tokenizer_config.json").read_text())
    (saved / "tokenizer_config.json").write_text(json.dumps({**settings, "auto_map": auto}))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    load_model(saved, CPU)
    assert not trap.exists()


@pytest.mark.slow
def test_a_process_whose_input_says_yes_runs_nothing(saved, tmp_path):
    trap = tmp_path / "ran"
    (saved / "modeling_trap.py").write_text(f"open({str(trap)!r}, 'w').close()\nclass M: pass\n")
    change_config(saved, lambda values: values.update(auto_map={"AutoConfig": "modeling_trap.M", "AutoModel": "modeling_trap.M"}))
    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "image.png")
    command = [sys.executable, "-m", "saymask", "segment", "image.png", "the red fish", "-m", str(saved), "-o", "out"]
    ended = subprocess.run(command, cwd=tmp_path, input="y\n" * 10_000, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "png").is_dir() and not trap.exists()


def test_an_adapter_that_nobody_named_is_not_added(saved):
    (saved / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(CheckpointError, match=re.escape("adapter_config.json")):
        load_model(saved, CPU)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_finite_number_is_named(saved, value):
    change_weights(saved, lambda tensors: tensors[BIAS].__setitem__(0, value))
    with pytest.raises(CheckpointError, match=re.escape(BIAS)):
        load_model(saved, CPU)


def test_a_weight_that_was_relabelled_as_integers_is_named(saved):
    change_weights(saved, lambda tensors: tensors.update({BIAS: tensors[BIAS].view(torch.int32)}))
    with pytest.raises(CheckpointError, match=rf"{re.escape(BIAS)}.*int32"):
        load_model(saved, CPU)


@pytest.mark.parametrize(
    "part, key, value",
    [
        ("text_config", "num_hidden_layers", 2**63),
        ("text_config", "num_hidden_layers", 2**30),
        ("text_config", "hidden_size", 2**40),
        ("vision_config", "image_size", 2**40),
        ("text_config", "num_hidden_layers", "two"),
        ("text_config", "num_attention_heads", 0),
        ("mask_config", "vision_config", "none"),
        ("vision_config", "num_attention_heads", -2),
        ("vision_config", "num_hidden_layers", 2**15),
        ("text_config", "rms_norm_eps", float("nan")),
        ("text_config", "rope_parameters", {"rope_type": "default", "rope_theta": -1}),
        (None, "num_sparse", "many"),
        (None, "vision_select_layer", 7),
        (None, "num_dense", None),
        (None, "lexicon", "red"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_before_anything_is_built(saved, part, key, value):
    change_config(saved, lambda values: (values[part] if part else values).update({key: value}))
    with pytest.raises(CheckpointError, match=re.escape(str(saved / "config.json"))):
        load_model(saved, CPU)


def test_a_configuration_cannot_ask_for_a_part_that_the_weights_lack(saved):
    """Without the tower's tensors no shape would contradict a tower of any size."""
    change_weights(saved, lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("visual.tower")])
    change_config(saved, lambda values: values["vision_config"].update({"num_hidden_layers": 40, "intermediate_size": 32768}))
    with pytest.raises(CheckpointError, match=re.escape(str(saved / "config.json"))):
        load_model(saved, CPU)


@pytest.mark.parametrize("part", ["text_config", "vision_config", "mask_config"])
@pytest.mark.parametrize("value", [7, [], "phi3", {"model_type": "no such"}])
def test_a_damaged_part_of_the_configuration(saved, part, value):
    change_config(saved, lambda values: values.update({part: value}))
    with pytest.raises(CheckpointError, match=re.escape(str(saved))):
        load_model(saved, CPU)


def test_deep_json(saved):
    (saved / "config.json").write_text('{"model_type": ' + "[" * 900 + "]" * 900 + "}")
    with pytest.raises(CheckpointError, match=re.escape("config.json")):
        load_model(saved, CPU)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors", "generation_config.json"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(path.name)], ids=["pipe", "loop"])
def test_pipes_and_loops_are_not_opened(saved, name, make):
    (saved / name).unlink(missing_ok=True)
    make(saved / name)
    with pytest.raises(CheckpointError, match=re.escape(name)):
        load_model(saved, CPU)


@pytest.mark.parametrize("files", [["a"], {}, {"x": 7}, {"x": "../secret"}, {"x": ""}, {"x": "x" * 300}, {"x": "\ud800"}])
def test_an_index_names_files_beside_it(tmp_path, files):
    from saymask.storage.weight_files import weight_files

    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    with pytest.raises(CheckpointError, match=re.escape("model.safetensors.index.json")):
        weight_files(tmp_path)
