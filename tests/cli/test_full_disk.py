"""A disk that takes no more, at any moment of writing weights: one line, and what was there is still there."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from killing import SMALL_TRAINING
from seeds import make_seed
from typer.testing import CliRunner

from saymask.cli.main import app
from saymask.errors import CheckpointError
from saymask.models.checkpoints import load_model, save_model
from saymask.runtime import Runtime


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """The system refuses to write more into one file, as a full disk does: Python's writes and those of safetensors alike."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seed("model", tmp_path_factory.mktemp("full"))


@pytest.mark.parametrize("num_bytes", [0, 1000, 100_000])
def test_a_model_that_is_saved_over_another_leaves_it_whole(num_bytes: int, model: Path, tmp_path: Path) -> None:
    loaded = load_model(model, Runtime("cpu", "float32"))
    save_model(loaded.model, loaded.processor, tmp_path / "model")
    before = contents(tmp_path)
    with files_of_at_most(num_bytes), pytest.raises(CheckpointError, match=str(tmp_path / "model")):
        save_model(loaded.model, loaded.processor, tmp_path / "model")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("num_bytes", [0, 100_000])
def test_convert_leaves_nothing(num_bytes: int, model: Path, tmp_path: Path) -> None:
    with files_of_at_most(num_bytes):
        ended = CliRunner().invoke(app, ["convert", str(model), str(tmp_path / "new")])
    assert ended.exit_code == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("saymask: error: ") and str(tmp_path) in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("num_bytes", [0, 10_000])
def test_a_training_says_so_and_goes_on_later(num_bytes: int, tmp_path: Path) -> None:
    command = ["train", "xmem_toy", *SMALL_TRAINING, "-o", str(tmp_path / "run"), "--device", "cpu"]
    with files_of_at_most(num_bytes):
        ended = CliRunner().invoke(app, command)
    assert ended.exit_code in (1, 2) and not isinstance(ended.exception, OSError)
    assert ended.stderr.splitlines()[-1].startswith(f"saymask: error: {tmp_path / 'run'}")
    assert not (tmp_path / "run" / "model").exists()
    has_begun = (tmp_path / "run" / "train.json").exists()
    assert has_begun == (num_bytes > 0)
    assert CliRunner().invoke(app, [*command, "--resume"] if has_begun else command).exit_code == 0
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()


def test_what_a_full_disk_raises_without_a_name_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("saymask.cli.train.free_folder", full)
    ended = CliRunner().invoke(app, ["train", "xmem_toy", "--device", "cpu"])
    assert ended.exit_code == 1
    assert [line.startswith("saymask: error: ") and "no space left" in line for line in ended.stderr.splitlines()] == [True]
