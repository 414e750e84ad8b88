"""`saymask convert`: what it writes and prints, and that it leaves nothing behind when it fails."""

import runpy
from pathlib import Path

import pytest
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from saymask.cli.convert import convert
from saymask.errors import CheckpointError, VideoError
from saymask.models.checkpoints import load_model
from saymask.models.release_loading import load_release
from saymask.models.videolisa import VideoLisaModel
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
    assert load_model("ours", Runtime("cpu")).name == "ours"


def test_dtype_and_vision_tower(release, tmp_path):
    elsewhere = release[1].rename(tmp_path / "tower")
    result = run(release[0], tmp_path / "ours", "--vision-tower", elsewhere, "--dtype", "float32")
    assert "dtype       float32" in result.stdout


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
