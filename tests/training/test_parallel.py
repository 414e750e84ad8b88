"""Several processes make the run of one: the documented command, two processes on this machine's CPU."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from dot_task import DotConfig
from safetensors.torch import load_file

from saymask.errors import ConfigError
from saymask.lookup import resolve
from saymask.models.checkpoints import load_model
from saymask.runtime import Runtime
from saymask.training.checkpoint import newest_checkpoint
from saymask.training.loop import train

CPU = Runtime("cpu")
OVERRIDES = [
    *("steps=6", "batch_size=2", "micro_batches=4", "save_every=3", "log_every=2", "workers=0", "autocast=false", "shard_mb=4"),
    *("optim.warmup_steps=2", "optim.clip_norm=0.5", "tokenizer_sentences=50", "vocab_size=400", "gradient_checkpointing=true"),
    *("model.text_config.num_hidden_layers=2", "model.vision_config.num_hidden_layers=1", "model.num_sparse=3", "model.num_dense=1"),
    *("model.mask_config.vision_config.num_hidden_layers=1", "data.phases=[{until: 1, mix: {attribute: 1, absent: 3}}]", "validation=null"),
]
"""A VideoLISA that takes seconds, with clipping in force and, now and then, a micro-batch in which no answer has a mask."""

PROGRAM = """
from saymask import lookup
from saymask.cli.main import main

lookup.RECIPES["dot"] = "dot_task:DotConfig"
main()
"""


def torchrun(*args: str, program: tuple[str, ...] = ("-m", "saymask")) -> subprocess.CompletedProcess[str]:
    """Run `saymask train` in two processes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *program, "train"]
    return subprocess.run([*command, *args, "--device", "cpu"], env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    train(resolve("videolisa_toy", "recipe")().override(OVERRIDES), folder, runtime=CPU)
    return folder


@pytest.fixture(scope="module", params=["ddp", "fsdp"])
def together(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of two."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    done = torchrun("videolisa_toy", *OVERRIDES, f"parallel={request.param}", "-o", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {folder / 'model'}\n"
    assert done.stderr.count("training videolisa_toy in") == 1
    return folder


def tensors(run: Path) -> dict[str, torch.Tensor]:
    folder = newest_checkpoint(run)
    assert folder
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def losses(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("samples_per_s", "seconds")} for line in lines]


def assert_same_run(run: Path, other: Path) -> None:
    assert [line["step"] for line in losses(run)] == [2, 4, 6]
    for line, other_line in zip(losses(run), losses(other), strict=True):
        assert line == pytest.approx(other_line, rel=1e-5)
    found, expected = tensors(run), tensors(other)
    assert found.keys() == expected.keys()
    weights = [name for name in found if name.startswith("weights.")]
    assert weights
    for name in weights:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)


def without_its_end(run: Path, folder: Path) -> Path:
    """A copy of a run as it was after three steps."""
    shutil.copytree(run, folder)
    shutil.rmtree(folder / "checkpoints" / "step-000006")
    return folder


@pytest.fixture
def program(tmp_path: Path) -> tuple[str]:
    """A saymask that knows the recipe dot."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return (str(file),)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_dropout_and_frozen_parameters_are_those_of_one_process(tmp_path, program, mode):
    train(DotConfig(micro_batches=2, dropout=0.5), tmp_path / "alone", runtime=CPU)
    done = torchrun("dot", "micro_batches=2", "dropout=0.5", f"parallel={mode}", "-o", str(tmp_path / "run"), program=program)
    assert done.returncode == 0, done.stderr
    assert len(losses(tmp_path / "run")) == 6
    for line, other_line in zip(losses(tmp_path / "run"), losses(tmp_path / "alone"), strict=True):
        assert line == pytest.approx(other_line, rel=1e-5)
    frozen, trained = (load_file(tmp_path / "run" / "model" / "model.safetensors")[name].item() for name in ("v", "w"))
    assert frozen == 1.0 and trained != 2.0


@pytest.mark.slow
def test_two_processes_make_the_run_of_one(alone, together):
    assert_same_run(together, alone)


@pytest.mark.slow
def test_what_two_processes_save_loads_as_what_one_saves(alone, together):
    models = [load_model(folder / "model", Runtime("cpu", "float32")).model.state_dict() for folder in (alone, together)]
    assert models[0].keys() == models[1].keys()
    for name, tensor in models[0].items():
        torch.testing.assert_close(tensor, models[1][name], rtol=2**-7, atol=1e-5)  # they are kept in bf16


@pytest.mark.slow
def test_one_process_goes_on_where_two_stopped(alone, together, tmp_path):
    folder = without_its_end(together, tmp_path / "run")
    train(resolve("videolisa_toy", "recipe")().override(OVERRIDES), folder, resume=True, runtime=CPU)
    assert_same_run(folder, alone)


@pytest.mark.slow
def test_two_processes_go_on_where_one_stopped(alone, tmp_path):
    folder = without_its_end(alone, tmp_path / "run")
    done = torchrun("videolisa_toy", *OVERRIDES, "parallel=fsdp", "-o", str(folder), "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_run(folder, alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("broken_at=3", "video 3 is gone"),  # only the second process meets it
        (
            "nan_at=3",
            "step 2: micro-batch 3: the loss is nan for 3/second; look at the data, or try a lower optim.lr; "
            "the weights stay as of the last checkpoint",
        ),
    ],
)
def test_what_one_process_meets_ends_all_and_is_said(tmp_path, program, override, message):
    done = torchrun("dot", "micro_batches=2", override, "-o", str(tmp_path / "run"), program=program)
    assert done.returncode != 0
    assert set(re.findall("^saymask: error: .*$", done.stderr, re.M)) == {f"saymask: error: {message}"}
    assert newest_checkpoint(tmp_path / "run").name == "step-000000"


def test_micro_batches_that_cannot_be_shared_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    expected = "micro_batches = 3 cannot be shared by 2 processes; start as many as divide it, or set e.g. micro_batches=2"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(DotConfig(micro_batches=3), tmp_path, runtime=CPU)


def test_a_device_that_processes_cannot_share_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    expected = "several processes cannot share 'mps'; train on cuda or cpu, or without torchrun"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(DotConfig(micro_batches=2), tmp_path, runtime=Runtime("mps"))
