"""VISA as a task: its toy recipe's chats, resuming it bit for bit, and the paper's recipe on miniatures of its mixture."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_trees import TREES
from safetensors.torch import load_file

from saymask.models.checkpoints import load_model
from saymask.models.visa import FAMILY
from saymask.recipes.visa import visa_7b, visa_toy, visa_toy_comparison
from saymask.runtime import Runtime
from saymask.training.loop import train

CPU = Runtime("cpu")
FAKE = runpy.run_path(str(Path(__file__).parents[3] / "bench/fake_release.py"))


def toy_task(*overrides: str):
    return visa_toy().override(["batch_size=8", *overrides]).task()


def chats(task, batch) -> list[list[str]]:
    """Texts of each clip's chats, frames as they are written."""
    tokenizer = task.segmenter().processor.tokenizer
    return [[tokenizer.decode([i for i in row.tolist() if i > 0]) for row in rows] for rows in batch["input_ids"]]


def test_half_of_the_clips_with_a_target_are_asked_the_samplers_question():
    task = toy_task("batch_size=40")
    texts = chats(task, task.batches[0])
    asked = [any("Answer in %" in text for text in of_clip) for of_clip in texts]
    has_target = ["Sure, [SEG]" in of_clip[0] for of_clip in texts]
    assert 0.3 < np.mean([sampler for sampler, target in zip(asked, has_target, strict=True) if target]) < 0.7
    assert not any(sampler for sampler, target in zip(asked, has_target, strict=True) if not target)
    answers = {of_clip[1].split("<|assistant|>\n")[1] for of_clip in texts if len(of_clip) > 1}
    assert answers <= {f"{10 * mark}%<|end|>" for mark in range(11)}
    assert len(answers) > 3


def test_what_is_not_there_is_refused_in_words():
    phases = '[{"until": 1, "mix": {"absent": 1}}]'
    task = toy_task(f"data.phases={phases}")
    batch = task.batches[0]
    assert all("There is no such object." in of_clip[0] for of_clip in chats(task, batch))
    assert all(len(targets) == 0 for targets in batch["targets"])
    batch.pop("sample_names")
    out = task.module(**batch)
    assert out.mask_bce_loss is None
    assert torch.isfinite(out.loss)


def test_a_batch_is_a_function_of_seed_and_step():
    batches, other_seed = (toy_task(f"seed={seed}").batches for seed in (0, 1))
    pixels = [torch.cat(source[step]["tower_pixels"]) for source, step in ((batches, 1), (batches, 1), (batches, 2), (other_seed, 1))]
    assert torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])
    assert not torch.equal(pixels[0], pixels[3])


def test_the_toy_begins_with_the_parts_it_shares_with_the_bundled_one():
    module, toy = toy_task().module, load_model("toy", Runtime("cpu", "float32")).model.state_dict()
    shared = ("language_model.", "visual.tower.", "mask_head.", "prompt_projector.")
    begun = {name for name, value in module.state_dict().items() if name in toy and torch.equal(value, toy[name])}
    assert begun >= {name for name in toy if name.startswith(shared)}
    assert module.visual.projector.weight.shape == (128, 96)


def test_the_comparison_sees_the_same_number_of_samples_from_the_same_start():
    ours, theirs = visa_toy(), visa_toy_comparison()
    free = {"family", "model", "processor"}
    assert ours.model_dump(exclude=free) == theirs.model_dump(exclude=free)
    names = [task.batches[3]["sample_names"] for task in (ours.task(), theirs.task())]
    assert names[0] == names[1]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder in the released layout, small."""
    return FAKE["write_release"](tmp_path_factory.mktemp("release"), *FAKE["VISA_SCALES"]["tiny"], FAKE["random_tensors"](0))[0]


@pytest.fixture(scope="module")
def seven(release, tmp_path_factory):
    """The paper's recipe on miniatures of its datasets."""
    folder, config = tmp_path_factory.mktemp("data"), visa_7b()
    names = {dataset for group in config.data.groups.values() for dataset in group.datasets}
    roots = {name: str(TREES[name].build(folder / name)) for name in sorted(names)}
    small = [f"base={release}", f"data.roots={json.dumps(roots)}", "micro_batches=1", "workers=0", "optim.warmup_steps=2"]
    return config.override(small)


def test_the_papers_recipe_has_the_papers_numbers():
    config = visa_7b()
    assert config.batch_size * config.micro_batches == 128
    assert (config.steps, config.data.expressions, config.gradient_checkpointing) == (15000, 3, True)
    assert config.processor == {"context_range": [8, 12], "foreign_share": 0.05, "refusal_share": 0.0}
    optim = config.optim
    assert (optim.lr, optim.betas, optim.weight_decay, optim.clip_norm) == (3e-4, (0.9, 0.95), 0, 1.0)
    assert (optim.schedule, optim.warmup_steps, optim.final_lr_share) == ("linear", 100, 0)
    rates = {name: group.rate for name, group in config.data.groups.items()}
    videos = [rates[name] for name in ("mevis", "ref-youtube-vos", "ref-davis17", "revos", "lv-vis")]
    assert [rates[name] for name in ("sem_seg", "refer_seg", "vqa", "reason_seg")] == [9, 3, 3, 1]
    assert [round(100 * rate / 12, 1) for rate in videos] == [15.7, 59.1, 1.6, 11.8, 11.8]
    assert sum(videos) == pytest.approx(12)


def test_targets_of_other_videos_have_empty_masks_and_an_affirming_answer(seven):
    task = seven.override(["processor.foreign_share=1", "batch_size=4"]).task()
    for index in range(4):
        batch = task.batches[index]
        for targets, absent in zip(batch["targets"], batch["is_absent"], strict=True):
            assert not targets.any()
            assert absent.all()
            assert len(targets) == len(absent)


def test_expressions_of_one_video_share_its_frames(seven):
    task = seven.override(["batch_size=3"]).task()
    clips = [
        (len(ids), len(pixels))
        for index in range(30)
        for ids, pixels in zip(*map(task.batches[index].get, ("input_ids", "tower_pixels")), strict=True)
    ]
    assert max(chats for chats, _ in clips) > 1
    assert max(frames for _, frames in clips) <= 13


@pytest.mark.slow
def test_twenty_steps_of_the_papers_recipe_on_its_mixture(seven, release, tmp_path):
    config = seven.override(["steps=20", "log_every=1"])
    model = train(config, tmp_path / "run", runtime=CPU)
    losses = np.array([json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()])
    assert len(losses) == 20
    assert np.isfinite(losses).all()
    before = load_model(release, Runtime("cpu", "float32")).model.state_dict()
    after = load_model(f"{release}+{model}", Runtime("cpu", "float32")).model.state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    trained = tuple(f"{FAMILY.train_parts[part]}." for part in config.train_parts if part != "lora")
    assert {name for name in changed if not name.startswith(trained)} == {
        f"language_model.model.layers.{i}.self_attn.{part}.weight" for i in range(2) for part in ("q_proj", "v_proj")
    }
    assert all(any(name.startswith(part) for name in changed) for part in trained)


@pytest.mark.slow
def test_a_killed_and_resumed_toy_run_equals_one_that_was_not(tmp_path):
    """Like losing power: the process dies after four of six steps, with a checkpoint after the third."""
    overrides = ["steps=6", "save_every=3", "log_every=1", "batch_size=2"]
    config = visa_toy().override(overrides)
    whole = train(config, tmp_path / "whole", runtime=CPU)
    program = f"""
import os, signal, sys
from pathlib import Path
from saymask.recipes.visa import visa_toy
from saymask.runtime import Runtime
from saymask.training.loop import train
die = lambda done, steps, label: os.kill(os.getpid(), signal.SIGKILL) if done == 4 else None
train(visa_toy().override({overrides}), Path(sys.argv[1]), runtime=Runtime("cpu"), progress=die)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "killed")], env=environment)
    assert killed.returncode == -signal.SIGKILL
    resumed = train(config, tmp_path / "killed", resume=True, runtime=CPU)
    ours, expected = (load_file(folder / "model.safetensors") for folder in (resumed, whole))
    assert ours.keys() == expected.keys()
    assert [name for name in ours if not torch.equal(ours[name], expected[name])] == []
    curves = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    assert [json.loads(line)["loss"] for line in curves[0]] == [json.loads(line)["loss"] for line in curves[1]]
