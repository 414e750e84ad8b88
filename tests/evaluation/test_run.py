"""An evaluation survives being killed, divided and tampered with; every dataset can be evaluated, perfectly and not at all.

`ColourSession` stands in for the model: it finds the colours named in the question.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from dataset_trees import TREES
from squares import BLUE, RED, predicted, sample, set_of, things

from saymask.errors import ConfigError, DataError, VideoError
from saymask.evaluation.candidates import with_model, without_model
from saymask.evaluation.exam import Exam, open_exam
from saymask.evaluation.predictors import predict_masks
from saymask.evaluation.run import predict, score, score_rows
from saymask.metrics.protocols import PROTOCOLS, VIDEOLISA_RELEASE
from saymask.models.family import Family
from saymask.records import Prediction, Video
from saymask.runtime import Shard
from saymask.samples import Benchmark, Sample

COLOURS = Benchmark(groups=("family",), outlines_everything=True)


def colours(limit: int | None = None) -> Exam:
    samples = [
        sample("a/0", "red", RED, family="colour"),
        sample("b/0", "blue", BLUE, family="colour"),
        sample("a/1", "the blue one", BLUE, family="colour"),
        sample("c/0", "fail", RED, family="colour"),
        sample("d/0", "green", family="absent"),
    ]
    return Exam("colours", "test", set_of(*samples, benchmark=COLOURS), limit)


class ColourSession:
    unreadable = ("c",)

    def __init__(self, video: Video, segmenter: SimpleNamespace, tracker: SimpleNamespace | None, every: int | None = None):
        self.video, self.log = video, segmenter.log
        self.log.append(f"open {video.name}")

    def segment(self, queries: list[str]) -> Prediction:
        self.log.append(tuple(queries))
        if self.video.name in self.unreadable:
            raise VideoError(f"{self.video.name}: unreadable")
        found = [np.isin(things(), [RED] * ("red" in query) + [BLUE] * ("blue" in query)) for query in queries]
        answers = [predicted(self.video, masks_THW, query=query) for query, masks_THW in zip(queries, found, strict=True)]
        return Prediction(self.video, tuple(answer.results[0] for answer in answers))

    def close(self) -> None:
        self.log.append(f"close {self.video.name}")


@pytest.fixture
def segmenter(monkeypatch):
    monkeypatch.setitem(sys.modules, "saymask.session", SimpleNamespace(VideoSession=ColourSession))
    family = Family("colours", segmenter="", options="saymask.models.base:Options")
    return SimpleNamespace(name="colours", log=[], weights_files=(), family=family)


def but_for_the_run(folder: Path) -> dict:
    results = json.loads((folder / "results.json").read_text())
    assert results.pop("run")["command"]
    return results


def j_of(row: dict) -> list[float]:
    return [round(entry["j"], 9) for entry in row["expressions"]]


# --- what is written ---------------------------------------------------------------------------------------------------------------


def test_a_model_stands_beside_baselines_and_its_session_serves_all_questions_about_a_video(tmp_path, segmenter):
    predict(colours(), with_model(segmenter), tmp_path)
    results = score(colours(), tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert {row: j_of(scores) for row, scores in results["rows"].items()} == {
        "model": [1, 1, 1, 0, 1],
        "empty": [0, 0, 0, 0, 1],
        "largest": [0, 1, 1, 0, 0],
        "union": [0.25, 0.75, 0.75, 0.25, 0],
        "swapped": [0, 1, 0, 0, 0],  # "blue" gets the question "the blue one": another wording is no other meaning
    }
    assert results["rows"]["model"]["failed"] == [{"name": "c/0", "reason": "c: unreadable"}]
    assert (results["dataset"], results["model"], results["tracker"], results["answer"]) == ("colours", "colours", None, "forced")
    assert [event for event in segmenter.log if "open" in event] == ["open a", "open b", "open c", "open d"]
    assert ("red", "the blue one", "blue", "fail") in segmenter.log  # own questions, then other videos'; none twice
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "predictions", "results.json", "swapped"]


def test_a_prediction_that_is_deleted_lowers_the_mean_and_is_named(tmp_path):
    predict(colours(), without_model("oracle"), tmp_path)
    assert score(colours(), tmp_path)["rows"]["oracle"]["overall"]["j_and_f"] == 1.0
    gone = tmp_path / "predictions/a/1.json"
    gone.unlink()
    row = score(colours(), tmp_path)["rows"]["oracle"]
    assert row["overall"]["j_and_f"] == pytest.approx(4 / 5)
    assert (row["expected"], row["found"]) == (5, 4)
    assert row["failed"] == [{"name": "a/1", "reason": f"{gone}: no such file; predict it again with --resume"}]


def test_the_script_that_skips_what_is_missing_is_reproduced_under_its_name_beside_ours(tmp_path):
    predict(colours(), without_model("oracle"), tmp_path)
    (tmp_path / "predictions/a/1.json").unlink()
    row = score(colours(), tmp_path, protocol=VIDEOLISA_RELEASE)["rows"]["oracle"]
    assert (row["overall"]["j_and_f"], row["overall"]["expressions"], row["expected"], row["found"]) == (1.0, 4, 5, 4)
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["config.json", "results-videolisa-release.json"]


# --- stopped, divided, gone on with ------------------------------------------------------------------------------------------------


KILLED = """
import os, signal, sys
from pathlib import Path
from saymask.evaluation.candidates import without_model
from saymask.evaluation.exam import open_exam
from saymask.evaluation.run import predict

root, out, last_words = map(Path, sys.argv[1:])
replace = Path.replace

def killed_at(draft, target):
    if target == last_words:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(draft, target)

Path.replace = killed_at
predict(open_exam("revos", "valid", root), without_model("first_frame_held"), out)
"""


def test_resuming_after_a_kill_gives_the_same_results(tmp_path):
    """A process is killed at the worst moment: a prediction is written but does not have its name yet."""
    root, killed, whole = TREES["revos"].build(tmp_path), tmp_path / "killed", tmp_path / "whole"
    answers = killed / "predictions/UVO/all/dog"
    child = subprocess.run([sys.executable, "-c", KILLED, str(root), str(killed), str(answers / "2.json")], check=False)
    assert child.returncode == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in answers.glob("[0-9].json")}
    assert [path.name for path in sorted(done)] == ["0.json", "1.json"] and not (killed / "results.json").exists()
    assert [path.name.split("-")[0] for path in answers.glob(".*")] == [".2.partial"]

    exam, candidate = open_exam("revos", "valid", root), without_model("first_frame_held")
    predict(exam, candidate, killed, resume=True)
    assert {path: path.stat().st_mtime_ns for path in done} == done, "it began anew"
    assert list(answers.glob(".*")) == [], "what the killed process left"
    predict(exam, candidate, whole)
    assert (
        score(exam, killed)["rows"]["first_frame_held"]["found"] == len(score(exam, whole)["rows"]["first_frame_held"]["expressions"]) == 4
    )
    assert but_for_the_run(killed) == but_for_the_run(whole)


def test_a_model_that_is_stopped_within_a_video_asks_the_same_questions_together_again(tmp_path, segmenter):
    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(colours(), with_model(segmenter), tmp_path / "stopped", progress=stop)
    asked = segmenter.log[1]
    segmenter.log.clear()
    predict(colours(), with_model(segmenter), tmp_path / "stopped", resume=True)
    assert segmenter.log[:2] == ["open a", asked]
    predict(colours(), with_model(segmenter), tmp_path / "whole")
    for name in ("stopped", "whole"):
        score(colours(), tmp_path / name)
    assert but_for_the_run(tmp_path / "stopped") == but_for_the_run(tmp_path / "whole")


def test_what_failed_is_asked_again_and_nothing_else(tmp_path, segmenter, monkeypatch):
    predict(colours(), with_model(segmenter), tmp_path)
    segmenter.log.clear()
    predict(colours(), with_model(segmenter), tmp_path, resume=True)
    assert [event for event in segmenter.log if "open" in event] == ["open c"]
    monkeypatch.setattr(ColourSession, "unreadable", ())
    predict(colours(), with_model(segmenter), tmp_path, resume=True)
    assert score(colours(), tmp_path)["rows"]["model"]["failed"] == []


def test_two_parts_together_equal_one_run(tmp_path, segmenter):
    predict(colours(), with_model(segmenter), tmp_path / "whole")
    score(colours(), tmp_path / "whole")
    predict(colours(), with_model(segmenter), tmp_path / "parts", Shard(2, 2))
    assert sorted(path.name for path in (tmp_path / "parts/predictions").iterdir()) == ["b", "d"]
    predict(colours(), with_model(segmenter), tmp_path / "parts", Shard(1, 2))
    score(colours(), tmp_path / "parts")
    assert but_for_the_run(tmp_path / "parts") == but_for_the_run(tmp_path / "whole")


def test_a_model_does_not_go_on_in_another_precision(tmp_path, segmenter):
    predict(colours(), with_model(segmenter, dtype="bfloat16"), tmp_path)
    with pytest.raises(ConfigError, match=r"config\.json: was made with dtype 'bfloat16', not 'float32'; ask for the same"):
        predict(colours(), with_model(segmenter, dtype="float32"), tmp_path, resume=True)


def test_a_folder_is_not_taken_over_by_another_evaluation(tmp_path, segmenter):
    exam = colours()
    with pytest.raises(ConfigError, match=r"nothing to resume; leave out --resume"):
        predict(exam, without_model("empty"), tmp_path, resume=True)
    predict(exam, without_model("empty"), tmp_path)
    with pytest.raises(ConfigError, match=r"holds an evaluation already; add --resume to go on with it"):
        predict(exam, without_model("empty"), tmp_path)
    with pytest.raises(ConfigError, match=r"config\.json: was made with predictor 'empty', not 'oracle'; ask for the same"):
        predict(exam, without_model("oracle"), tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"config\.json: was made with limit None, not 2"):
        predict(colours(limit=2), without_model("empty"), tmp_path, Shard(1, 2))
    with pytest.raises(ConfigError, match=r"config\.json: was made with split 'test', not 'valid'"):
        score(Exam("colours", "valid", exam.samples), tmp_path)


def test_scoring_takes_the_limit_of_the_evaluation(tmp_path):
    predict(colours(limit=2), without_model("oracle"), tmp_path)
    results = score(colours(), tmp_path)
    assert (results["limit"], results["rows"]["oracle"]["expected"]) == (2, 2)


def test_weights_that_changed_are_another_evaluation(tmp_path, segmenter):
    weights = tmp_path / "model.safetensors"
    segmenter.weights_files = (weights,)
    weights.write_bytes(b"abc")
    predict(colours(), with_model(segmenter), tmp_path / "out")
    results = score(colours(), tmp_path / "out")
    # The hash of "abc" is an example of FIPS 180-4.
    assert results["files_sha256"] == {
        f"{tmp_path.name}/model.safetensors": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
    weights.write_bytes(b"abd")
    with pytest.raises(
        ConfigError, match=rf"was made with files_sha256 of {tmp_path.name}/model.safetensors 'ba7816bf.*', not '[0-9a-f]{{64}}'; ask"
    ):
        predict(colours(), with_model(segmenter), tmp_path / "out", resume=True)


# --- every dataset -----------------------------------------------------------------------------------------------------------------

EMPTY_BY_HAND = {
    "reasonvos": 0.5 / 3,  # object 2 of the second video is gone on the last of two frames
    "mevis": 0.0,
    "mevis-v2": 1 / 4,  # one of four sentences has no target
    "revos": 1.5 / 4,  # one sentence without a target; one object is absent on the first of two frames
    "video-reason-seg": 1 / 2,  # one of two questions has no target
    "ref-davis17": 0.0,
    "ref-youtube-vos": 0.0,
    "reasonseg": 0.0,
    "refcoco": 0.0,
    "refcoco+": 0.0,
    "refcocog": 0.0,
    "lv-vis": 0.5 / 2,  # the goat is absent on the first of two frames
    "youtube-vos": 0.0,
    "folder": 1 / 3,  # one of three sentences has no target
    "refclef": 0.0,
    "ade20k": 0.0,
    "coco-stuff": 0.0,
    "paco-lvis": 0.0,
    "pascal-part": 0.0,
}


SCORED = [name for name in TREES if name != "llava-vqa"]  # which is answered in words


def evaluated(name: str, predictor: str, folder: Path) -> dict:
    root = TREES[name].build(folder / predictor)
    exam = open_exam(name, TREES[name].split, root)
    predict(exam, without_model(predictor), folder / f"{predictor}-out")
    return score(exam, folder / f"{predictor}-out")["rows"][predictor]


@pytest.mark.parametrize("name", SCORED)
def test_the_truth_scores_100_on_every_dataset(name, tmp_path):
    row = evaluated(name, "oracle", tmp_path)
    assert row["failed"] == []
    shares = ("j", "f", "j_and_f", "giou", "ciou", "accuracy", "r", "n_acc", "t_acc", "instance_j_and_f")
    tables = [row["overall"], *row.get("types", {}).values(), *row.get("benchmark", {}).values()]
    for means in tables:
        assert {measure: means[measure] for measure in shares if measure in means and means[measure] != 1.0} == {}
        assert means["j_and_f"] == 1.0


@pytest.mark.parametrize("name", SCORED)
def test_silence_scores_what_is_computed_by_hand(name, tmp_path):
    row = evaluated(name, "empty", tmp_path)
    for measure in ("j", "f", "j_and_f"):
        assert row["overall"][measure] == pytest.approx(EMPTY_BY_HAND[name], abs=1e-12)


def test_the_truth_scores_100_on_the_toy_world(tmp_path):
    exam = open_exam("toyworld", "test", limit=8)
    predict(exam, without_model("oracle"), tmp_path)
    overall = score(exam, tmp_path)["rows"]["oracle"]["overall"]
    assert (overall["j_and_f"], overall["instance_j_and_f"], overall["n_acc"], overall["t_acc"]) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ref_davis_has_the_table_of_its_annotators(protocol, tmp_path):
    """Deleting what annotator 2 was answered about one of two objects: J&F 1, 1, 1/2, 1, mean 7/8."""
    exam = open_exam("ref-davis17", "valid", TREES["ref-davis17"].build(tmp_path))
    predict(exam, without_model("oracle"), tmp_path / "out")
    (tmp_path / "out/predictions/judo/6.json").unlink()
    row = score(exam, tmp_path / "out", protocol=PROTOCOLS[protocol])["rows"]["oracle"]
    assert row["benchmark"]["mean of annotators"]["j_and_f"] == pytest.approx(7 / 8)


def test_revos_has_its_table_and_r(tmp_path):
    """`empty` on its four sentences: referring 0 and 1/2, reasoning 0, so overall 1/8; nothing is marked by mistake, so R is 1."""
    row = evaluated("revos", "empty", tmp_path)
    assert {name: means["j"] for name, means in row["benchmark"].items()} == {
        "referring": 0.25,
        "reasoning": 0.0,
        "hallucination": 1.0,
        "overall": 0.125,
    }
    assert {name: means["expressions"] for name, means in row["types"].items()} == {"referring": 2, "reasoning": 1, "hallucination": 1}
    assert {name: means["expressions"] for name, means in row["sources"].items()} == {"UVO": 3, "MOSE": 1}
    assert (row["overall"]["r"], row["overall"]["n_acc"], row["overall"]["t_acc"]) == (1.0, 1.0, 0.0)


def test_r_does_not_change_with_the_limit(tmp_path):
    """8 false pixels; the video's expressions mean two objects of 16 pixels, the first of them alone only one."""
    exam = open_exam("revos", "valid", TREES["revos"].build(tmp_path), limit=1)

    def generous(sample: Sample) -> Prediction:
        masks_THW = sample.masks_THW
        masks_THW[:, 10, :8] = True
        return predict_masks(sample, masks_THW[None])

    (entry,) = score_rows(exam, {"generous": generous})["generous"]["expressions"]
    assert entry["r"] == 1 - 8 / 32


def test_a_split_without_public_masks_is_predicted_and_not_scored(tmp_path):
    exam = open_exam("mevis", "valid", TREES["mevis"].build(tmp_path))
    predict(exam, without_model("empty"), tmp_path / "out")
    assert len(list((tmp_path / "out/predictions").glob("*/*.json"))) == 3
    with pytest.raises(DataError, match=r"no public masks.*write a submission"):
        score(exam, tmp_path / "out")


def test_a_video_that_is_missing_from_the_dataset_does_not_stop_the_others(tmp_path):
    root = TREES["mevis"].build(tmp_path)
    shutil.rmtree(root / "valid_u/JPEGImages/bird")
    exam = open_exam("mevis", "valid_u", root)
    predict(exam, without_model("empty"), tmp_path / "out")
    assert "bird: not found" in json.loads((tmp_path / "out/predictions/bird/0.json").read_text())["error"]
    assert "objects" in json.loads((tmp_path / "out/predictions/coin/0.json").read_text())
