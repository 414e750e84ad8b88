"""A run is a function of its configuration: it can be stopped and continued, and refuses what would spoil it."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from dot_task import DotConfig
from safetensors.torch import load_file

from saymask.errors import ConfigError, DataError
from saymask.lookup import resolve
from saymask.runtime import Runtime
from saymask.training.checkpoint import newest_checkpoint
from saymask.training.config import TrainConfig, ValidationConfig
from saymask.training.feeding import micro_batch
from saymask.training.loop import train

CPU = Runtime("cpu")


@pytest.fixture
def config() -> DotConfig:
    return DotConfig()


RECIPES = {
    "videolisa_toy": [
        *("tokenizer_sentences=50", "vocab_size=400", "model.text_config.num_hidden_layers=1", "model.vision_config.num_hidden_layers=1"),
        *("model.mask_config.vision_config.num_hidden_layers=1", "model.num_sparse=3", "model.num_dense=1"),
    ],
    "videolisa_toy_more": [
        *("init_from=null", "tokenizer_sentences=50", "vocab_size=400", "model.text_config.num_hidden_layers=1", "model.num_sparse=3"),
        *("model.vision_config.num_hidden_layers=1", "model.mask_config.vision_config.num_hidden_layers=1", "model.num_dense=1"),
    ],
    "visa_toy": [
        *("init_from=null", "tokenizer_sentences=50", "vocab_size=400", "model.text_config.num_hidden_layers=1", "model.num_context=3"),
        *("model.vision_config.num_hidden_layers=1", "model.mask_config.vision_config.num_hidden_layers=1"),
    ],
    "xmem_toy": [
        *("data.size=64", "data.crop=32", "data.min_pixels=10", "model.short_side=64", "model.key_encoder_depths=[1, 1, 1]"),
        *("model.key_encoder_width=4", "model.value_encoder_width=4", "model.value_dim=8", "model.key_dim=8", "model.decoder_width=8"),
    ],
}
"""Recipes that need nothing but the toy world, with the changes that make a run take seconds."""


def tiny(recipe: str, *overrides: str) -> TrainConfig:
    shared = ["steps=6", "batch_size=2", "save_every=3", "log_every=1", "workers=0", "optim.warmup_steps=2", "validation=null"]
    return resolve(recipe, "recipe")().override([*shared, *RECIPES[recipe], *overrides])


def logged(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def curve(folder):
    """Everything in the log but times."""
    return [{key: value for key, value in line.items() if key not in ("samples_per_s", "seconds")} for line in logged(folder)]


def stop_at(step):
    def progress(done, steps, label):
        if done == step:
            raise KeyboardInterrupt

    return progress


@pytest.fixture
def begun(config, tmp_path):
    """Folder of a run that was stopped at once."""
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", runtime=CPU, progress=stop_at(1))
    return tmp_path / "run"


def test_any_module_with_a_loss_can_be_trained(config, tmp_path):
    folder = train(config.override(["steps=2", "optim.clip_norm=100"]), tmp_path / "run", runtime=CPU)
    first, second = logged(tmp_path / "run")
    # (2 - 1)^2 and (4 - 1)^2 with the first weight; Adam's first step is as long as the learning rate, so w = 1.9 then.
    assert (first["square_loss"], first["loss"]) == (5.0, 15.0)
    assert (second["square_loss"], second["loss"]) == pytest.approx(((2.8**2 + 4.7**2) / 2, 3 * (2.8**2 + 4.7**2) / 2))
    # 3 times the mean of 2 (w x - 1) x.
    assert first["grad_norm"] == 3 * (2 * 1 * 1 + 2 * 3 * 2) / 2
    assert list(first) == ["step", "loss", "square_loss", "grad_norm", "lr", "samples_per_s", "seconds"]
    assert folder == tmp_path / "run" / "model"
    assert load_file(folder / "model.safetensors")["v"] == 1.0


def test_a_line_of_the_log_is_the_mean_since_the_last_one(config, tmp_path):
    train(config.override(["steps=3", "log_every=2"]), tmp_path / "run", runtime=CPU)
    lines = logged(tmp_path / "run")
    assert [line["step"] for line in lines] == [2, 3]
    assert lines[0]["square_loss"] == pytest.approx((5 + (2.8**2 + 4.7**2) / 2) / 2)


def test_a_step_goes_by_the_mean_gradient_of_its_micro_batches(config, tmp_path):
    train(config.override(["steps=1", "micro_batches=2"]), tmp_path / "run", runtime=CPU)
    (line,) = logged(tmp_path / "run")
    # Micro-batch 0 holds 1 and 2, micro-batch 1 holds 2 and 3: (w x - 1) is 1, 3 and 3, 5.
    assert line["square_loss"] == ((1 + 9) / 2 + (9 + 25) / 2) / 2
    assert line["grad_norm"] == 3 * ((2 * 1 * 1 + 2 * 3 * 2) / 2 + (2 * 3 * 2 + 2 * 5 * 3) / 2) / 2


def test_micro_batches_take_up_the_run_together(config):
    assert config.override(["steps=10", "micro_batches=4"]).total_micro_batches == 40


def assert_continues_exactly(config, folder):
    """Stop after four of six steps, with a checkpoint after the third; the end must be that of a run without a stop."""
    straight = train(config, folder / "straight", runtime=CPU)
    with pytest.raises(KeyboardInterrupt):
        train(config, folder / "stopped", runtime=CPU, progress=stop_at(4))
    resumed = train(config, folder / "stopped", resume=True, runtime=CPU)
    assert [line["step"] for line in logged(folder / "stopped")] == [line["step"] for line in logged(folder / "straight")]
    assert curve(folder / "stopped") == curve(folder / "straight")
    assert_equal_files(resumed / "model.safetensors", straight / "model.safetensors")
    ends = [newest_checkpoint(folder / name) / "model.safetensors" for name in ("stopped", "straight")]
    assert_equal_files(*ends)


def assert_equal_files(file, other):
    tensors, others = load_file(file), load_file(other)
    assert tensors.keys() == others.keys()
    assert [name for name in tensors if not torch.equal(tensors[name], others[name])] == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stopped_and_resumed_run_gives_the_same_curve_and_weights(recipe, tmp_path):
    assert_continues_exactly(tiny(recipe), tmp_path)


def test_a_resumed_run_draws_the_random_numbers_of_one_that_was_not_stopped(config, tmp_path):
    assert_continues_exactly(config.override(["dropout=0.5", "micro_batches=2"]), tmp_path)


def test_a_line_of_the_log_may_span_a_stop(config, tmp_path):
    assert_continues_exactly(config.override(["log_every=4"]), tmp_path)


@pytest.mark.slow
def test_a_killed_run_continues_from_its_last_checkpoint(tmp_path):
    """Like losing power: the process dies between two checkpoints and can do nothing about it."""
    straight = train(DotConfig(steps=40, dropout=0.5), tmp_path / "straight", runtime=CPU)
    program = """
import os, signal, sys
from pathlib import Path
from dot_task import DotConfig
from saymask.runtime import Runtime
from saymask.training.feeding import micro_batch
from saymask.training.loop import train
die = lambda done, steps, label: os.kill(os.getpid(), signal.SIGKILL) if done == 20 else None
train(DotConfig(steps=40, dropout=0.5), Path(sys.argv[1]), runtime=Runtime("cpu"), progress=die)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "killed")], env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert newest_checkpoint(tmp_path / "killed").name == "step-000018"
    resumed = train(DotConfig(steps=40, dropout=0.5), tmp_path / "killed", resume=True, runtime=CPU)
    assert curve(tmp_path / "killed") == curve(tmp_path / "straight")
    assert_equal_files(resumed / "model.safetensors", straight / "model.safetensors")


@pytest.mark.parametrize("recipe", ["videolisa_toy", "xmem_toy"])
def test_worker_processes_change_nothing(recipe, tmp_path):
    train(tiny(recipe, "steps=2"), tmp_path / "inline", runtime=CPU)
    train(tiny(recipe, "steps=2", "workers=1"), tmp_path / "worker", runtime=CPU)
    assert curve(tmp_path / "worker") == curve(tmp_path / "inline")


def test_a_run_says_of_which_kind_it_is(begun):
    assert json.loads((begun / "train.json").read_text())["kind"] == "dot"


def test_a_used_folder_is_refused(config, tmp_path):
    config.save(tmp_path / "train.json")
    expected = f"{tmp_path} already holds a run; continue it with --resume or choose another folder"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(config, tmp_path, runtime=CPU)


def test_nothing_to_resume(config, tmp_path):
    expected = f"{tmp_path}: nothing to resume, there is no checkpoint; start without --resume"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(config, tmp_path, resume=True, runtime=CPU)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch_size=4", "cannot resume: batch_size was 2 in the saved run, now 4; use a new output folder"),
        ("micro_batches=2", "cannot resume: micro_batches was 1 in the saved run, now 2; use a new output folder"),
    ],
)
def test_resuming_as_another_run_is_refused(config, begun, override, message):
    with pytest.raises(ConfigError) as caught:
        train(config.override([override]), begun, resume=True, runtime=CPU)
    assert str(caught.value) == message


def test_resuming_for_fewer_steps_than_are_done_is_refused(config, tmp_path):
    train(config.override(["steps=3"]), tmp_path / "run", runtime=CPU)
    with pytest.raises(ConfigError) as caught:
        train(config.override(["steps=2"]), tmp_path / "run", resume=True, runtime=CPU)
    assert str(caught.value) == f"{tmp_path / 'run'} has done 3 steps already, and steps = 2; ask for more, or begin a new run"


def test_resuming_a_run_of_another_kind_is_refused(config, begun):
    tiny("xmem_toy").save(begun / "train.json")
    expected = "cannot resume: kind was xmem_toy in the saved run, now dot; use a new output folder"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(config, begun, resume=True, runtime=CPU)


def test_a_run_can_be_continued_from_its_first_second_and_with_another_cadence(config, begun):
    train(config.override(["steps=2", "log_every=2", "workers=1"]), begun, resume=True, runtime=CPU)
    assert [line["step"] for line in logged(begun)] == [2]


@pytest.mark.parametrize(
    ("override", "whose"),
    [
        ("nan_at=9", "the loss is nan for 9/second"),  # its gradient is as bad
        ("inf_at=9", "the loss is inf for 9/first, 9/second"),  # its gradient is not
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_sample(config, tmp_path, override, whose):
    with pytest.raises(DataError) as caught:
        train(config.override(["micro_batches=2", override]), tmp_path / "run", runtime=CPU)
    reason = f"step 5: micro-batch 9: {whose}; look at the data, or try a lower optim.lr; the weights stay as of the last checkpoint"
    assert str(caught.value) == reason
    assert [line["step"] for line in logged(tmp_path / "run")] == [1, 2, 3, 4]
    assert newest_checkpoint(tmp_path / "run").name == "step-000003"


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(DataError, match=r"^step \d: .*try a lower optim\.lr; the weights stay as of the last checkpoint$"):
        train(tiny("xmem_toy", "optim.lr=1e30", "optim.warmup_steps=0", "save_every=100"), tmp_path / "run", runtime=CPU)
    assert newest_checkpoint(tmp_path / "run").name == "step-000000"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_cannot_be_had_is_told_in_one_line(config, tmp_path, workers):
    with pytest.raises(DataError) as caught:
        train(config.override(["broken_at=2", f"workers={workers}"]), tmp_path / "run", runtime=CPU)
    assert str(caught.value) == "video 2 is gone"


def test_a_line_that_was_cut_off_is_written_again(config, begun):
    with (begun / "log.jsonl").open("a") as log:
        log.write('{"step": 2, "lo')
    train(config.override(["steps=2"]), begun, resume=True, runtime=CPU)
    assert [line["step"] for line in logged(begun)] == [1, 2]


def test_progress_begins_where_the_run_does(config, begun):
    told = []
    train(config.override(["steps=2"]), begun, resume=True, runtime=CPU, progress=lambda *report: told.append(report))
    assert told[0] == (0, 2, "starting")
    assert [done for done, _, _ in told] == [0, 1, 2]
    assert re.fullmatch(r"loss 15\.000, \d+\.\d samples/s", told[1][2])


def test_validating_what_cannot_be_asked_is_refused(config, tmp_path):
    validated = config.model_copy(update={"validation": ValidationConfig(dataset="toyworld", split="val")})
    with pytest.raises(ConfigError) as caught:
        train(validated, tmp_path / "run", runtime=CPU)
    assert str(caught.value) == "validation: what dot trains cannot be asked questions; set validation=null"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("recipe", ["videolisa_toy", "xmem_toy"])
def test_the_samples_of_a_recipe_can_be_tried_one_by_one(recipe):
    task = tiny(recipe).task()
    singles = list(micro_batch(task.batches, 3).samples())
    assert [single.sample_names for single in singles] == [["train-0-3-0-0"], ["train-0-3-0-1"]]
    assert [bool(task.module(**single.inputs).loss.isfinite()) for single in singles] == [True, True]
