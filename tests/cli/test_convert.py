"""`saymask convert`: what it writes and prints, from whatever it takes, and that it leaves nothing behind when it fails."""

import runpy
from pathlib import Path

import pytest
import torch
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from saymask.cli.convert import convert
from saymask.errors import CheckpointError, ConfigError, VideoError
from saymask.models.adapters import AdapterConfig, LoraConfig, add_adapter, save_adapter, weights_digest
from saymask.models.checkpoints import load_model
from saymask.models.videolisa.model import VideoLisaModel
from saymask.models.videolisa.release_loading import load_release
from saymask.runtime import Runtime

FAKE = runpy.run_path(str(Path(__file__).parents[2] / "bench/fake_release.py"))


@pytest.fixture
def release(tmp_path):
    return FAKE["write_release"](tmp_path / "release", *FAKE["SCALES"]["tiny"], FAKE["random_tensors"](0))


def run(*arguments):
    app = typer.Typer()
    app.command()(convert)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_it_writes_our_layout_and_reports(release, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(release[0], "ours")
    assert result.exit_code == 0, result.output
    tensors = load_file("ours/model.safetensors")
    numel = sum(tensor.numel() for tensor in load_release(release[0], Runtime("cpu"), "fake").model.state_dict().values())
    lines = result.stdout.splitlines()
    assert lines[:3] == [f"tensors     {len(tensors)}", f"parameters  {numel:,}", "dtype       bfloat16"]
    assert lines[-1] == "wrote ours"
    ours, released = load_model("ours", Runtime("cpu")), load_release(release[0], Runtime("cpu"), "fake")
    assert ours.name == "ours"
    assert ours.processor.encode_question("a  red fish [SEG]") == released.processor.encode_question("a  red fish [SEG]")


def test_dtype_and_vision_tower(release, tmp_path):
    elsewhere = release[1].rename(tmp_path / "tower")
    result = run(release[0], tmp_path / "ours", "--vision-tower", elsewhere, "--dtype", "float32")
    assert "dtype       float32" in result.stdout


def test_a_model_and_its_adapter_are_merged(tmp_path):
    toy = load_model("toy", Runtime("cpu", "float32"))
    files = toy.weights_files
    add_adapter(toy.family, toy.model, ("lora", "prompt_projector"), LoraConfig())
    with torch.no_grad():
        for parameter in toy.model.parameters():
            parameter.add_(0.1 * parameter.requires_grad)
    config = AdapterConfig(base="toy", base_sha256=weights_digest(files), parts=("lora", "prompt_projector"))
    save_adapter(toy.family, toy.model, config, tmp_path / "adapter")
    result = run(f"toy+{tmp_path / 'adapter'}", tmp_path / "merged", "--dtype", "float32")
    assert result.exit_code == 0, result.output
    merged, expected = load_file(tmp_path / "merged" / "model.safetensors"), load_model("toy", Runtime("cpu", "float32")).model.state_dict()
    assert torch.equal(merged["prompt_projector.0.bias"], expected["prompt_projector.0.bias"] + 0.1)
    # A is random + 0.1, B is 0.1 in all 8 rows, alpha / rank is 2: every row of the matrix has gained the same.
    name = "language_model.model.layers.0.self_attn.qkv_proj.weight"
    gained = merged[name] - expected[name]
    assert gained.abs().max() > 0.01
    assert torch.allclose(gained, gained[:1].expand_as(gained), atol=1e-5)


def test_the_parts_of_a_training_need_a_tower_as_well(release, tmp_path):
    result = run(release[0], tmp_path / "start", "--mask-model", tmp_path)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "--mask-model goes with --vision-tower: SRC is then a LLaVA folder, which has neither"


def test_an_existing_target_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "ours").mkdir()
    result = run("no/such", tmp_path / "ours")
    assert isinstance(result.exception, VideoError)
    assert str(result.exception).startswith(f"{tmp_path / 'ours'}: already exists and is not overwritten")


def test_a_failure_leaves_nothing(release, tmp_path):
    (release[0] / "tokenizer.model").unlink()
    result = run(release[0], tmp_path / "ours")
    assert isinstance(result.exception, CheckpointError)
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_ctrl_c_while_writing_leaves_nothing(release, tmp_path, monkeypatch):
    def interrupted(self, folder):
        Path(folder).mkdir(exist_ok=True)
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoLisaModel, "save_pretrained", interrupted)
    assert run(release[0], tmp_path / "ours").exit_code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["release"]
