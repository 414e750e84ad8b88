"""Validation is `saymask eval` on the weights as they are, and changes nothing about the training."""

import json
import shutil
from functools import partial

import pytest
import torch
from PIL import Image

from saymask.evaluation.candidates import with_model
from saymask.evaluation.exam import open_exam
from saymask.evaluation.run import predict, score
from saymask.lookup import resolve
from saymask.models.checkpoints import load_model, save_model
from saymask.runtime import Runtime
from saymask.training.config import ValidationConfig
from saymask.training.loop import train
from saymask.training.task import Task
from saymask.training.tasks.questions import build
from saymask.training.tasks.questions_config import QuestionsConfig

CPU = Runtime("cpu")
TINY = [
    *("steps=4", "batch_size=2", "save_every=2", "log_every=1", "workers=0", "tokenizer_sentences=50", "vocab_size=400", "autocast=false"),
    *("model.text_config.num_hidden_layers=1", "model.vision_config.num_hidden_layers=1", "model.num_sparse=3", "model.num_dense=1"),
    *("model.mask_config.vision_config.num_hidden_layers=1", "optim.warmup_steps=0"),
]


class Fp32Config(QuestionsConfig):
    """Saves every bit, so that what is loaded is what was validated."""

    def task(self) -> Task:
        task = build(self)
        segmenter = task.segmenter()
        return Task(task.module, task.batches, partial(save_model, task.module, segmenter.processor, dtype=torch.float32), task.segmenter)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a validation of 3 samples every 3 of 4 steps."""
    values = resolve("videolisa_toy", "recipe")().override(TINY).model_dump(exclude={"validation"})
    values["model"]["text_config"]["resid_pdrop"] = 0.3  # so that it matters whether the model is in training mode
    config = Fp32Config(**values)
    validation = ValidationConfig(dataset="toyworld", split="val", limit=3, every=3, pictures=2)
    folder = tmp_path_factory.mktemp("validated") / "run"
    train(config.model_copy(update={"validation": validation}), folder, runtime=CPU)
    train(config, folder.with_name("plain"), runtime=CPU)
    return folder


def logged(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def validations(folder):
    return {line["step"]: line["validation"] for line in logged(folder) if "validation" in line}


@pytest.mark.slow
def test_it_happens_when_it_is_due_and_after_the_last_step(run):
    assert list(validations(run)) == [3, 4]
    assert [scores["failed"] for scores in validations(run).values()] == [0, 0]


def test_it_is_what_eval_says_about_the_saved_weights(run, tmp_path):
    exam = open_exam("toyworld", "val", limit=3)
    predict(exam, with_model(load_model(run / "model", Runtime("cpu", "float32"))), tmp_path / "eval")
    row = score(exam, tmp_path / "eval")["rows"]["model"]
    last = validations(run)[4]
    assert {measure: last[measure] for measure in ("j", "f", "j_and_f")} == {
        measure: pytest.approx(row["overall"][measure], abs=1e-4) for measure in ("j", "f", "j_and_f")
    }
    assert last["families"] == {family: pytest.approx(means["j_and_f"], abs=1e-4) for family, means in row["families"].items()}
    assert 0 < last["j_and_f"] < 1


def test_training_goes_on_as_if_nothing_had_been_asked(run):
    def curve(folder):
        return [(line["step"], line["loss"], line["grad_norm"]) for line in logged(folder) if "loss" in line]

    assert curve(run) == curve(run.with_name("plain"))


def test_the_best_weights_are_kept_in_the_form_that_loads(run):
    scores = validations(run)
    best = 3 if scores[3]["j_and_f"] >= scores[4]["j_and_f"] else 4
    state = json.loads((run / "checkpoints" / "step-000004" / "state.json").read_text())
    assert round(state["best"], 4) == scores[best]["j_and_f"]
    kept, last = (load_model(run / name, Runtime("cpu", "float32")).model.state_dict() for name in ("best", "model"))
    assert all(torch.equal(kept[name], last[name]) for name in last) == (best == 4)


@pytest.mark.slow
def test_a_lower_score_does_not_replace_a_better_one(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints" / "step-000004")
    state = folder / "checkpoints" / "step-000002" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "best": 1.0}))
    shutil.rmtree(folder / "best")
    train(Fp32Config.load(folder / "train.json"), folder, resume=True, runtime=CPU)
    assert not (folder / "best").exists()
    assert validations(folder) == validations(run)


def test_pictures_show_some_samples_one_below_the_other(run):
    assert sorted(path.name for path in (run / "pictures").iterdir()) == ["step-000003.png", "step-000004.png"]
    with Image.open(run / "pictures" / "step-000004.png") as picture:
        # A sample is 3 rows of 4 views of 250 pixels, with 22 for a label above each and 8 between columns and at every edge.
        assert picture.size == (4 * 258 + 8, 2 * (3 * (250 + 22) + 8))
        assert len(picture.convert("RGB").getcolors(picture.width * picture.height)) > 100
