"""`saymask eval` as a whole, with predictors that need no model: folders, continuation, parts, other people's predictions."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from dataset_trees import TREES
from typer.testing import CliRunner, Result

from saymask.cli.main import app


@pytest.fixture(autouse=True)
def revos(tmp_path, monkeypatch) -> None:
    """Four expressions of two videos; commands run in an empty folder."""
    monkeypatch.setenv("SAYMASK_REVOS", str(TREES["revos"].build(tmp_path)))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def evaluate(*args: object) -> Result:
    return CliRunner().invoke(app, ["eval", "revos", "--split", "valid", *map(str, args)])


def rows(folder: str, name: str = "results.json") -> dict:
    return json.loads((Path(folder) / name).read_text())["rows"]


def test_predictions_and_results_lie_in_one_folder():
    result = evaluate("--predictor", "oracle")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "oracle           J&F      J      F      R  N-acc  T-acc  J&F per instance",
        "all            100.0  100.0  100.0  100.0  100.0  100.0             100.0",
        "referring      100.0  100.0  100.0  100.0      -  100.0                 -",
        "reasoning      100.0  100.0  100.0  100.0      -  100.0             100.0",
        "hallucination  100.0  100.0  100.0  100.0  100.0      -                 -",
        "UVO            100.0  100.0  100.0  100.0  100.0  100.0             100.0",
        "MOSE           100.0  100.0  100.0  100.0      -  100.0                 -",
        "overall *      100.0  100.0  100.0  100.0      -      -                 -",
        "* as the benchmark's authors define it",
        "wrote saymask-out/eval-revos-valid/results.json",
    ]
    assert sorted(path.name for path in Path("saymask-out/eval-revos-valid").iterdir()) == ["config.json", "predictions", "results.json"]


def test_a_second_run_does_not_touch_the_first():
    evaluate("--predictor", "oracle", "-o", "out")
    result = evaluate("--predictor", "empty", "-o", "out")
    assert "out is taken; writing to out-2" in result.stderr
    assert list(rows("out")) == ["oracle"] and list(rows("out-2")) == ["empty"]


def test_resume_predicts_what_is_missing():
    evaluate("--predictor", "oracle", "-o", "out")
    first = Path("out/results.json").read_text()
    Path("out/predictions/UVO/all/dog/1.json").unlink()
    Path("out/results.json").unlink()
    result = evaluate("--predictor", "oracle", "-o", "out", "--resume")
    assert result.stdout.splitlines()[-1] == "wrote out/results.json"
    resumed = json.loads(Path("out/results.json").read_text())
    assert resumed.pop("run") and resumed == {key: value for key, value in json.loads(first).items() if key != "run"}


def test_every_of_a_model_that_chooses_its_frames_is_refused_before_anything_is_predicted():
    result = evaluate("-m", "visa-toy", "--every", "4", "-o", "out")
    assert result.exit_code == 2 and "every = 4: model 'visa-toy'" in result.stderr
    assert not Path("out").exists()


def test_parts_are_scored_when_all_are_there():
    for number in (1, 2):
        result = evaluate("--predictor", "oracle", "-o", "out", "--shard", f"{number}/2")
        assert result.stdout.splitlines() == [
            f"wrote part {number}/2 of the predictions to out",
            "when all parts are there, score them: saymask eval revos --split valid --score-only out",
        ]
        assert not Path("out/results.json").exists()
    assert evaluate("--score-only", "out").stdout.splitlines()[-1] == "wrote out/results.json"
    assert (rows("out")["oracle"]["expected"], rows("out")["oracle"]["found"]) == (4, 4)


def test_another_protocol_stands_beside_ours():
    evaluate("--predictor", "oracle", "-o", "out")
    result = evaluate("--score-only", "out", "--protocol", "visa-release")
    assert result.stdout.splitlines()[-1] == "wrote out/results-visa-release.json"
    assert "r_x255" in rows("out", "results-visa-release.json")["oracle"]["overall"]
    assert "r" in rows("out")["oracle"]["overall"]


def test_predictions_of_others_are_scored_into_a_folder_of_their_own():
    evaluate("--predictor", "oracle", "-o", "out")
    shutil.copytree("out/predictions", "theirs")
    Path("theirs/MOSE/4f/0.json").unlink()
    result = evaluate("--score-only", "theirs", "-o", "scores")
    assert result.stdout.splitlines()[-3:] == [
        "files: 1 of 4 predictions are missing or failed; they count as 0",
        "  the first: theirs/MOSE/4f/0.json: no such file; predict it again with --resume",
        "wrote scores/results.json",
    ]
    assert os.listdir("scores") == ["results.json"] and "results.json" not in os.listdir("theirs")


def test_predictions_that_only_a_server_can_score_are_an_end_in_themselves(tmp_path):
    root = TREES["mevis"].build(tmp_path)

    def mevis(split: str, *args: object) -> Result:
        return CliRunner().invoke(app, ["eval", "mevis", "--split", split, "--root", str(root), *map(str, args)])

    assert mevis("valid_u", "--predictor", "empty", "-o", "scored").stdout.splitlines()[-1] == "wrote scored/results.json"
    result = mevis("valid", "--predictor", "empty", "-o", "out")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "wrote the predictions to out",
        "the true masks of mevis valid are not public; a server scores them",
        f"pack them for it: saymask submission mevis out -o mevis.zip --root {root}",
    ]
    assert sorted(os.listdir("out")) == ["config.json", "predictions"]
    part = mevis("valid", "--predictor", "empty", "-o", "parts", "--shard", "1/2")
    assert part.stdout.splitlines()[-1].startswith("when all parts are there, pack them for it: saymask submission mevis parts ")

    shutil.rmtree(root / "valid/JPEGImages/bird")
    failed = mevis("valid", "--predictor", "empty", "-o", "failed")
    assert failed.exit_code == 0
    assert failed.stderr == "2 of them failed; their files say why, and the same command with -o failed --resume tries them again\n"


@pytest.mark.parametrize("options", [["--score-only", "."], ["--predictor", "oracle"], ["--predictor", "first_frame_held"]])
def test_what_needs_the_truth_is_refused_where_it_is_not_public(options, tmp_path):
    root = TREES["mevis"].build(tmp_path)
    result = CliRunner().invoke(app, ["eval", "mevis", "--root", str(root), "--split", "valid", *options])
    assert (result.exit_code, result.stderr) == (
        2,
        "saymask: error: the true masks of mevis valid are not public, so nothing can be scored here; predict with -m MODEL, then pack the "
        "predictions for the benchmark's server with `saymask submission mevis DIR -o mevis.zip`\n",
    )


def test_what_the_dataset_had_to_leave_out_is_said(tmp_path):
    root = TREES["reasonseg"].build(tmp_path)
    result = CliRunner().invoke(app, ["eval", "reasonseg", "--split", "val", "--root", str(root), "--predictor", "oracle", "-o", "out"])
    (left_out,) = json.loads(Path("out/results.json").read_text())["left_out"]
    assert left_out.endswith(": no polygon around the answer")
    assert result.stdout.splitlines()[-3:] == [
        "1 entries of the dataset cannot be scored and are left out",
        f"  the first: {left_out}",
        "wrote out/results.json",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "3/2"], "shard '3/2' is no part of a whole; give e.g. 1/8 on the first of eight machines"),
        (["--protocol", "visa"], "unknown protocol 'visa'; did you mean 'visa-release'?"),
        (["--score-only", ".", "--resume"], "--score-only predicts nothing; leave out --predictor, --resume, --shard and -t"),
        (["--score-only", ".", "-t", "hold"], "--score-only predicts nothing; leave out --predictor, --resume, --shard and -t"),
        (["--predictor", "oracle", "-t", "hold"], "-t hold has nothing to track: --predictor oracle needs no model; leave out one of them"),
        (
            ["--predictor", "oracle", "--resume"],
            "{cwd}/saymask-out/eval-revos-valid: nothing to resume; leave out --resume, or name the folder of the evaluation with -o",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(options, message):
    result = evaluate(*options)
    assert (result.exit_code, result.stderr) == (2, f"saymask: error: {message.format(cwd=Path.cwd())}\n")
    assert not Path("saymask-out").exists()


def test_ctrl_c_says_how_to_go_on(monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("saymask.evaluation.prediction_files.PredictionFiles.write", stop)
    result = evaluate("--predictor", "oracle", "-o", "out")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[0] == "the predictions so far are in out; go on with the same command and -o out --resume"


def test_the_released_protocol_words_questions_as_its_script(tmp_path):
    root = TREES["reasonvos"].build(tmp_path)

    def wording(*options: str) -> str | None:
        out = f"out{len(os.listdir())}"
        command = ["eval", "reasonvos", "--root", str(root), "-m", "toy", "--limit", "1", "--shard", "1/1", "-o", out, *options]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        return json.loads((Path(out) / "config.json").read_text())["template"]

    assert wording() == "auto"
    assert wording("--protocol", "videolisa-release") == "videolisa-reason-vos"
    assert wording("--protocol", "videolisa-release", "--template", "raw") == "raw"


def test_a_mistyped_wording_is_refused():
    result = evaluate("-m", "toy", "--template", "row")
    assert result.exit_code == 2
    assert "template = 'row'" in result.stderr and "did you mean 'raw'?" in result.stderr
