"""A run is a function of its configuration: it can be stopped and continued, and refuses what would spoil it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers.utils import ModelOutput

from saymask import lookup
from saymask.errors import CheckpointError, ConfigError, DataError
from saymask.lookup import resolve
from saymask.runtime import Runtime
from saymask.training.config import OptimConfig, TrainConfig, require_same_run
from saymask.training.loop import train
from saymask.training.optim import build_optimizer, lr_at
from saymask.training.task import Task

CPU = Runtime("cpu")


@dataclass
class DotOutput(ModelOutput):
    """Two losses that are logged, one that is absent, and something that is none."""

    loss: Tensor | None = None
    square_loss: Tensor | None = None
    absent_loss: Tensor | None = None
    score: Tensor | None = None


@dataclass(frozen=True)
class Numbers:
    """A record, as batches may hold them."""

    values: Tensor


class Dot(nn.Module):
    """One weight w, 2 at first: numbers x cost the mean of (w x - 1)^2, `weight` times."""

    def __init__(self, dropout: float):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0]))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Numbers, weight: list[Tensor]) -> DotOutput:
        square_loss = (self.w * self.dropout(x.values) - 1).square().mean()
        return DotOutput(loss=weight[0] * square_loss, square_loss=square_loss, score=self.w)


class Steps(Dataset):
    """Numbers s + 1 and s + 2 at step s, with weight 3."""

    def __getitem__(self, step: int) -> dict:
        return {"x": Numbers(torch.tensor([step + 1.0, step + 2.0])), "weight": [torch.tensor(3.0)]}


class DotConfig(TrainConfig):
    kind: Literal["dot"] = "dot"
    dropout: float = 0.0

    def task(self) -> Task:
        torch.manual_seed(self.seed)
        module = Dot(self.dropout)

        def save(folder: Path) -> None:
            folder.mkdir(exist_ok=True)
            save_file(module.state_dict(), folder / "model.safetensors")

        return Task(module, Steps(), save)


@pytest.fixture
def config() -> DotConfig:
    optim = OptimConfig(lr=0.1, warmup_steps=0)
    return DotConfig(optim=optim, steps=6, batch_size=2, save_every=3, log_every=1, autocast=False)


RECIPES = {
    "videolisa_toy": [
        *("tokenizer_sentences=50", "vocab_size=400", "model.text_config.num_hidden_layers=1", "model.vision_config.num_hidden_layers=1"),
        *("model.mask_config.vision_config.num_hidden_layers=1", "model.num_sparse=3", "model.num_dense=1"),
    ],
    "xmem_toy": [
        *("data.size=64", "data.crop=32", "data.min_pixels=10", "model.short_side=64", "model.key_encoder_depths=[1, 1, 1]"),
        *("model.key_encoder_width=4", "model.value_encoder_width=4", "model.value_dim=8", "model.key_dim=8", "model.decoder_width=8"),
    ],
}
"""Every recipe, with the changes that make it so small that a run takes seconds."""


def tiny(recipe: str, *overrides: str) -> TrainConfig:
    shared = ["steps=6", "batch_size=2", "save_every=3", "log_every=1", "workers=0", "optim.warmup_steps=2"]
    return resolve(recipe, "recipe")().override([*shared, *RECIPES[recipe], *overrides])


def losses(folder):
    """(step, loss) of every line, in the order of the file."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


def logged(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_any_module_with_a_loss_can_be_trained(config, tmp_path):
    folder = train(config.override(["steps=2", "optim.clip_norm=100"]), tmp_path / "run", runtime=CPU)
    first, second = logged(tmp_path / "run")
    # (2 - 1)^2 and (4 - 1)^2 with the first weight; Adam's first step is as long as the learning rate, so w = 1.9 then.
    assert (first["square_loss"], first["loss"]) == (5.0, 15.0)
    assert (second["square_loss"], second["loss"]) == pytest.approx(((2.8**2 + 4.7**2) / 2, 3 * (2.8**2 + 4.7**2) / 2))
    assert list(first) == ["step", "loss", "square_loss", "lr", "samples_per_s"]
    assert folder == tmp_path / "run" / "model"
    assert list(load_file(folder / "model.safetensors")) == ["w"]


def test_a_line_of_the_log_is_the_mean_since_the_last_one(config, tmp_path):
    train(config.override(["steps=3", "log_every=2"]), tmp_path / "run", runtime=CPU)
    lines = logged(tmp_path / "run")
    assert [line["step"] for line in lines] == [2, 3]
    assert lines[0]["square_loss"] == pytest.approx((5 + (2.8**2 + 4.7**2) / 2) / 2)


def assert_continues_exactly(config, folder):
    """Stop after four of six steps, with a save after the third; the end must be that of a run without a stop."""
    straight = train(config, folder / "straight", runtime=CPU)

    def stop_after_four(step, steps, means):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, folder / "stopped", runtime=CPU, progress=stop_after_four)
    resumed = train(config, folder / "stopped", resume=True, runtime=CPU)
    assert [step for step, _ in losses(folder / "stopped")] == [1, 2, 3, 4, 5, 6]
    assert losses(folder / "stopped") == losses(folder / "straight")
    expected = load_file(straight / "model.safetensors")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in load_file(resumed / "model.safetensors").items())


@pytest.mark.parametrize("recipe", lookup.RECIPES)
def test_a_stopped_and_resumed_run_gives_the_same_curve_and_weights(recipe, tmp_path):
    assert_continues_exactly(tiny(recipe), tmp_path)


def test_a_resumed_run_draws_the_random_numbers_of_one_that_was_not_stopped(config, tmp_path):
    assert_continues_exactly(config.override(["dropout=0.5"]), tmp_path)


@pytest.mark.parametrize("recipe", lookup.RECIPES)
def test_worker_processes_change_nothing(recipe, tmp_path):
    train(tiny(recipe, "steps=2"), tmp_path / "inline", runtime=CPU)
    train(tiny(recipe, "steps=2", "workers=1"), tmp_path / "worker", runtime=CPU)
    assert losses(tmp_path / "worker") == losses(tmp_path / "inline")


@pytest.mark.parametrize("recipe", lookup.RECIPES)
def test_a_run_says_of_which_kind_it_is(recipe, tmp_path):
    config = tiny(recipe)
    config.save(tmp_path / "train.json")
    assert json.loads((tmp_path / "train.json").read_text())["kind"] == recipe


def test_a_used_folder_is_refused(config, tmp_path):
    config.save(tmp_path / "train.json")
    expected = f"{tmp_path} already holds a run; continue it with --resume or choose another folder"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(config, tmp_path, runtime=CPU)


def test_nothing_to_resume(config, tmp_path):
    expected = f"{tmp_path}: nothing to resume, there is no state.pt; start without --resume"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(config, tmp_path, resume=True, runtime=CPU)


def test_resuming_as_another_run_is_refused(config, tmp_path):
    config.save(tmp_path / "train.json")
    (tmp_path / "state.pt").touch()
    expected = "cannot resume: batch_size was 2 in the saved run, now 4; use a new output folder"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(config.override(["batch_size=4"]), tmp_path, resume=True, runtime=CPU)


def test_resuming_a_run_of_another_kind_is_refused(config, tmp_path):
    tiny("xmem_toy").save(tmp_path / "train.json")
    (tmp_path / "state.pt").touch()
    expected = "cannot resume: kind was xmem_toy in the saved run, now dot; use a new output folder"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        train(config, tmp_path, resume=True, runtime=CPU)


def test_a_run_from_before_there_were_kinds_can_be_resumed(tmp_path):
    config = tiny("videolisa_toy")
    (tmp_path / "train.json").write_text(config.model_dump_json(exclude={"kind"}))
    require_same_run(tmp_path / "train.json", config)


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    expected = (
        rf"^step \d: the gradient is not finite; the state of {re.escape(str(tmp_path / 'run'))} is that of the last save, "
        r"try a lower optim\.lr$"
    )
    with pytest.raises(DataError, match=expected):
        train(tiny("xmem_toy", "optim.lr=1e30", "optim.warmup_steps=0", "save_every=100"), tmp_path / "run", runtime=CPU)
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["step"] == 0


def test_a_run_can_be_continued_from_its_first_second(config, tmp_path):
    def stop_at_once(step, steps, means):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", runtime=CPU, progress=stop_at_once)
    train(config.override(["steps=2"]), tmp_path / "run", resume=True, runtime=CPU)
    assert [step for step, _ in losses(tmp_path / "run")] == [1, 2]


def test_a_damaged_state_says_where_the_last_model_is(config, tmp_path):
    config.save(tmp_path / "train.json")
    (tmp_path / "state.pt").write_bytes(b"not a state")
    expected = f"{tmp_path}/state.pt: damaged; start again in a new folder, the last saved model is in {tmp_path}/model"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        train(config, tmp_path, resume=True, runtime=CPU)


def test_learning_rate_warms_up_then_falls_along_a_cosine():
    config = OptimConfig(lr=1.0, warmup_steps=4, final_lr_share=0.1)
    assert [lr_at(step, 14, config) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert lr_at(9, 14, config) == pytest.approx(0.55)
    assert lr_at(14, 14, config) == pytest.approx(0.1)


def test_only_matrices_decay():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    decays = {p.ndim: group["weight_decay"] for group in build_optimizer(model, OptimConfig()).param_groups for p in group["params"]}
    assert decays == {2: 0.02, 1: 0.0}
