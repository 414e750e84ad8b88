"""VideoLISA on any samples: what is trained and what is not, the paper's recipe in miniature, own data, and what is refused."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_trees import TREES

from saymask.datasets.own.folder import load_folder_dataset
from saymask.errors import ConfigError
from saymask.models.checkpoints import load_model
from saymask.models.videolisa import FAMILY
from saymask.recipes.videolisa_tuning import finetune, videolisa_phi3
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.training.loop import train

CPU = Runtime("cpu")
FAKE = runpy.run_path(str(Path(__file__).parents[3] / "bench/fake_release.py"))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder in the released layout, small."""
    return FAKE["write_release"](tmp_path_factory.mktemp("release"), *FAKE["SCALES"]["tiny"], FAKE["random_tensors"](0))[0]


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """A miniature of every dataset of the paper's mixture."""
    folder = tmp_path_factory.mktemp("data")
    names = {dataset for group in videolisa_phi3().data.groups.values() for dataset in group.datasets}
    return {name: str(TREES[name].build(folder / name)) for name in sorted(names)}


@pytest.fixture
def phi3(release, roots):
    small = [f"base={release}", f"data.roots={json.dumps(roots)}", "micro_batches=1", "workers=0", "optim.warmup_steps=2"]
    return videolisa_phi3().override(small)


@pytest.fixture
def own_data(tmp_path):
    return TREES["folder"].build(tmp_path / "own")


def test_the_papers_recipe_has_the_papers_numbers():
    config = videolisa_phi3()
    assert config.batch_size * config.micro_batches == 128
    assert (config.steps, config.processor["clips"], config.processor["num_supervised"], config.gradient_checkpointing) == (
        6000,
        "refer",
        None,
        True,
    )
    optim = config.optim
    assert (optim.lr, optim.betas, optim.weight_decay, optim.clip_norm) == (3e-4, (0.9, 0.95), 0, 1.0)
    assert (optim.schedule, optim.warmup_steps, optim.final_lr_share) == ("linear", 100, 0)


@pytest.mark.slow
def test_a_model_of_two_precisions_is_validated_as_well(tmp_path):
    asked = "validation={dataset: toyworld, split: val, limit: 2}"
    config = finetune().override(["data.name=toyworld", "steps=1", "batch_size=1", "frozen_dtype=bfloat16", asked])
    model = train(config, tmp_path / "run", runtime=CPU)
    *_, line = (json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert line["validation"]["failed"] == 0
    assert load_model(f"toy+{model.with_name('best')}", CPU).name


@pytest.mark.slow
def test_twenty_steps_of_the_papers_recipe_on_the_papers_mixture(phi3, release, tmp_path):
    config = phi3.override(["steps=20", "log_every=1"])
    model = train(config, tmp_path / "run", runtime=CPU)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = np.array([line["loss"] for line in lines])
    assert len(losses) == 20
    assert np.isfinite(losses).all()
    before = load_model(release, Runtime("cpu", "float32")).model.state_dict()
    after = load_model(f"{release}+{model}", Runtime("cpu", "float32")).model.state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    trained = tuple(f"{FAMILY.train_parts[part]}." for part in config.train_parts if part != "lora")
    assert {name for name in changed if not name.startswith(trained)} == {
        f"language_model.model.layers.{i}.self_attn.qkv_proj.weight" for i in range(2)
    }
    assert all(any(name.startswith(part) for name in changed) for part in trained)


def test_frozen_encoders_see_all_frames_at_once_and_build_no_graph(phi3):
    task = phi3.task()
    model, seen = task.module.train(), {}

    def remember(name):
        def hook(module, inputs, output):
            features = output if isinstance(output, torch.Tensor) else output.last_hidden_state
            seen.setdefault(name, []).append((len(inputs[0]), features.requires_grad, features.grad_fn))

        return hook

    model.visual.register_forward_hook(remember("tower and projector"))
    model.mask_head.sam.vision_encoder.register_forward_hook(remember("mask encoder"))
    batches = map(task.batches.__getitem__, range(50))
    batch = next(batch for batch in batches if (batch["input_ids_BI"] == model.config.seg_token_id).any(1).all())
    del batch["sample_names"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(**batch).loss
    assert loss.requires_grad
    # 2 clips of 4 sparse frames, 2 of them with a mask loss.
    assert seen == {"tower and projector": [(8, False, None)], "mask encoder": [(4, False, None)]}


def test_only_what_is_trained_is_float32(phi3):
    dtypes = {(parameter.requires_grad, parameter.dtype) for parameter in phi3.task().module.parameters()}
    assert dtypes == {(True, torch.float32), (False, torch.bfloat16)}


def test_a_batch_is_a_function_of_seed_and_index():
    batches, other_seed = (finetune().override(["data.name=toyworld", "batch_size=1", f"seed={seed}"]).task().batches for seed in (0, 1))
    pixels = [source[index]["tower_pixels_BSChw"] for source, index in ((batches, 1), (batches, 1), (batches, 2), (other_seed, 1))]
    assert torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])
    assert not torch.equal(pixels[0], pixels[3])


def test_samples_of_a_batch_are_named(own_data):
    batches = finetune().override([f"data.root={own_data}", "data.split=val", "batch_size=3"]).task().batches
    names = {name for index in range(5) for name in batches[index]["sample_names"]}
    assert names == {f"{sample.video.name}/{sample.expression.exp_id}" for sample in load_folder_dataset(own_data, "val")}


def test_own_data_become_an_adapter_that_answers(own_data, tmp_path):
    validation = f"validation={{dataset: folder, split: val, root: {own_data}, pictures: 0}}"
    config = finetune().override([f"data.root={own_data}", validation, "steps=1", "batch_size=1"])
    train(config, tmp_path / "run", runtime=CPU)
    segmenter = load_model(f"toy+{tmp_path / 'run' / 'best'}", CPU)
    frames_THWC = np.zeros((3, 48, 64, 3), np.uint8)
    with VideoSession(Video.from_frames(frames_THWC), segmenter) as session:
        assert session.segment(["the red fish"]).masks(2).shape == (1, 48, 64)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "data.root is not given: the folder of your videos, masks and sentences; saymask train finetune data.root=DIR"),
        (
            ["data.name=toyworld", "processor.num_supervised=20"],
            "processor: num_supervised = 20: of a clip's frames only 8 can be supervised (toy)",
        ),
        (
            ["data.name=toyworld", "lora.targets=[q_proj]"],
            "lora.targets: the language model has no layer 'q_proj'; it has o_proj, qkv_proj, gate_up_proj, down_proj",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        finetune().override(overrides).task()


@pytest.mark.parametrize(
    ("recipe", "overrides", "message"),
    [
        (finetune, ["frozen_dtype=bfloat16", "autocast=false"], "overrides: frozen_dtype = 'bfloat16': value error, needs autocast=true"),
        (finetune, ["data.rot=DIR"], "unknown key 'data.rot'; did you mean 'data.root'?"),
        (
            videolisa_phi3,
            ["data.groups.vos.rate=-1"],
            "overrides: data.mixture.groups.vos.rate = -1: input should be greater than or equal to 0",
        ),
    ],
)
def test_overrides_are_checked(recipe, overrides, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        recipe().override(overrides)
