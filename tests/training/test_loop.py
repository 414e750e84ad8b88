"""A run is a function of its configuration: it can be stopped and continued, and refuses what would spoil it."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file

from saymask.errors import CheckpointError, ConfigError, DataError
from saymask.recipes.videolisa import videolisa_toy
from saymask.runtime import Runtime
from saymask.training.config import OptimConfig, TrainConfig
from saymask.training.loop import StepBatches, build, train
from saymask.training.optim import build_optimizer, lr_at

CPU = Runtime("cpu")
TINY = [
    *("steps=6", "batch_size=2", "save_every=3", "log_every=1", "workers=0", "tokenizer_sentences=50", "vocab_size=400"),
    *("optim.warmup_steps=2", "model.text_config.num_hidden_layers=1", "model.vision_config.num_hidden_layers=1"),
    *("model.mask_config.vision_config.num_hidden_layers=1", "model.num_sparse=3", "model.num_dense=1"),
]


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    return videolisa_toy().override(TINY)


def losses(folder):
    """(step, loss) of every line, in the order of the file."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


def test_a_stopped_and_resumed_run_gives_the_same_curve_and_weights(config, tmp_path):
    straight = train(config, tmp_path / "straight", runtime=CPU)

    def stop_after_four(step, steps, means):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "stopped", runtime=CPU, progress=stop_after_four)
    resumed = train(config, tmp_path / "stopped", resume=True, runtime=CPU)
    assert [step for step, _ in losses(tmp_path / "stopped")] == [1, 2, 3, 4, 5, 6]
    assert losses(tmp_path / "stopped") == losses(tmp_path / "straight")
    expected = load_file(straight / "model.safetensors")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in load_file(resumed / "model.safetensors").items())


def test_worker_processes_change_nothing(config, tmp_path):
    train(config.override(["steps=2"]), tmp_path / "inline", runtime=CPU)
    train(config.override(["steps=2", "workers=1"]), tmp_path / "worker", runtime=CPU)
    assert losses(tmp_path / "worker") == losses(tmp_path / "inline")


def test_a_batch_is_a_function_of_seed_and_step(config):
    _, processor = build(config)
    batches, other_seed = StepBatches(config, processor), StepBatches(config.override(["seed=1"]), processor)
    pixels = [source[step]["tower_pixels_BSChw"] for source, step in ((batches, 1), (batches, 1), (batches, 2), (other_seed, 1))]
    assert torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])
    assert not torch.equal(pixels[0], pixels[3])


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


def test_a_gradient_that_is_not_finite_stops_the_run(config, tmp_path):
    expected = (
        rf"^step \d: the gradient is not finite; the state of {re.escape(str(tmp_path / 'run'))} is that of the last save, "
        r"try a lower optim\.lr$"
    )
    with pytest.raises(DataError, match=expected):
        train(config.override(["optim.lr=1e30", "optim.warmup_steps=0", "save_every=100"]), tmp_path / "run", runtime=CPU)
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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_supervised=20", "num_supervised = 20: a clip has only 3 frames (model.num_sparse)"),
        (
            "model.num_dense=3",
            "no model can be built from these numbers (num_dense = 3 must be at least 1 and less than num_sparse = 3); "
            "check the model.* overrides",
        ),
        ("num_supervised=0", "overrides: num_supervised = 0: input should be greater than or equal to 1"),
    ],
)
def test_numbers_that_cannot_work_leave_no_folder_behind(config, tmp_path, override, message):
    with pytest.raises(ConfigError) as caught:
        train(config.override([override]), tmp_path / "run", runtime=CPU)
    assert str(caught.value) == message
    assert not (tmp_path / "run").exists()


def test_learning_rate_warms_up_then_falls_along_a_cosine():
    config = OptimConfig(lr=1.0, warmup_steps=4, final_lr_share=0.1)
    assert [lr_at(step, 14, config) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert lr_at(9, 14, config) == pytest.approx(0.55)
    assert lr_at(14, 14, config) == pytest.approx(0.1)


def test_only_matrices_decay():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    decays = {p.ndim: group["weight_decay"] for group in build_optimizer(model, OptimConfig()).param_groups for p in group["params"]}
    assert decays == {2: 0.02, 1: 0.0}


def test_phases_hand_over_at_their_share_of_the_run():
    data = videolisa_toy().data
    assert data.mix(29, 100) == data.phases[0].mix
    assert data.mix(30, 100) == data.phases[1].mix


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optim.Ir=1e-4", "unknown key 'optim.Ir'; did you mean 'optim.lr'?"),
        ("optim.lr=fast", "overrides: optim.lr = 'fast': input should be a valid number, unable to parse string as a number"),
        ("steps", "override 'steps' is not of the form key=value"),
    ],
)
def test_a_wrong_override_stops_before_anything_starts(assignment, message):
    with pytest.raises(ConfigError) as caught:
        videolisa_toy().override([assignment])
    assert str(caught.value) == message
