"""`saymask report` and `saymask submission`: what they write, print and refuse."""

import json
import zipfile

import pytest
from dataset_trees import build_mevis, write_label_maps
from typer.testing import CliRunner

from saymask.cli.main import app
from saymask.evaluation.candidates import without_model
from saymask.evaluation.exam import open_exam
from saymask.evaluation.run import predict, score


@pytest.fixture(autouse=True)
def nobody_says_where_datasets_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for variable in ("SAYMASK_DATA", "SAYMASK_MEVIS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def root(tmp_path):
    return build_mevis(tmp_path)


@pytest.fixture
def results(root, tmp_path):
    exam = open_exam("mevis", "valid_u", root)
    predict(exam, without_model("first_frame_held"), tmp_path / "run")
    score(exam, tmp_path / "run")
    return tmp_path / "run" / "results.json"


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_report_lies_beside_its_results(results, root):
    result = run("report", results, "--root", root)
    assert result.exit_code == 0, result.output
    assert result.stdout == "wrote run/report/report.html and run/report/report.md\n"
    text = (results.parent / "report" / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# first\\_frame\\_held on mevis valid\\_u\n")
    assert "| StreamingRVOS | 4B | 60.2 |" in text
    assert len(list((results.parent / "report" / "images").iterdir())) == text.count("](images/") == 2  # one of each video


def test_a_second_report_does_not_replace_the_first(results, root):
    run("report", results, "--root", root)
    result = run("report", results, "--root", root)
    assert result.stdout == "wrote run/report-2/report.html and run/report-2/report.md\n"


def test_without_the_dataset_the_report_says_why_it_has_no_images(results):
    result = run("report", results, "-o", "elsewhere")
    assert result.exit_code == 0
    assert result.stderr.startswith("no images: nothing says where mevis lies; give its folder")
    text = (results.parents[1] / "elsewhere" / "report.md").read_text(encoding="utf-8")
    assert result.stderr.endswith("; --root names the dataset's folder, --predictions that of the predictions\n")
    assert "No images: nothing says where mevis lies" in text
    assert "](images/" not in text


def test_predictions_may_lie_elsewhere(results, root, tmp_path):
    moved = (tmp_path / "run" / "predictions").rename(tmp_path / "predictions")
    assert "no images: " in run("report", results, "--root", root).stderr
    assert "no images: " not in run("report", results, "--root", root, "--predictions", moved).stderr


def test_the_folder_of_an_evaluation_stands_for_its_results(results, root):
    assert run("report", results.parent, "--root", root).stdout == "wrote run/report/report.html and run/report/report.md\n"
    assert run("report", root).stderr.startswith(f"saymask: error: {root / 'results.json'}: no such file; give the results.json")


def test_what_is_not_results_is_one_line_and_leaves_no_folder(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"dataset": "mevis"}))
    result = run("report", "results.json")
    assert result.exit_code == 1
    assert result.stderr == (
        "saymask: error: results.json: not the results of `saymask eval`, 'left_out' is missing; "
        "give the results.json that `saymask eval` has written\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_predictions_of_a_server_split_become_a_submission(root, tmp_path):
    predict(open_exam("mevis", "valid", root), without_model("empty"), tmp_path / "run")
    result = run("submission", "mevis", "run", "-o", "mevis.zip", "--root", root)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "3 expressions of 2 videos, 8 masks; send it to https://codalab.lisn.upsaclay.fr/competitions/15094",
        "wrote mevis.zip",
    ]
    with zipfile.ZipFile("mevis.zip") as archive:
        assert len(archive.namelist()) == 8


def test_an_incomplete_folder_is_no_submission(root, tmp_path):
    predict(open_exam("mevis", "valid", root), without_model("empty"), tmp_path / "run")
    lost = tmp_path / "run" / "predictions" / "bird" / "1.json"
    lost.unlink()
    result = run("submission", "mevis", "run", "-o", "mevis.zip", "--root", root)
    assert result.exit_code == 1
    assert result.stderr.startswith("saymask: error: run/predictions/bird/1.json: no such file")
    assert result.stderr.endswith("(1 of 3 predictions cannot be submitted; nothing was written)\n")
    assert not (tmp_path / "mevis.zip").exists()


def test_label_maps_of_unknown_objects_are_no_predictions(root, tmp_path):
    """The numbers that mean an expression's objects are as secret as its masks; read as such, every mask would be empty."""
    write_label_maps(tmp_path / "run/bird", ["00000", "00001", "00002"], (1,))
    result = run("submission", "mevis", "run", "-o", "mevis.zip", "--root", root)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "saymask: error: run: no prediction for any of the 3 expressions of mevis valid; expected e.g. bird/0.json"
    )
    assert not (tmp_path / "mevis.zip").exists()


def test_a_dataset_that_is_scored_here_has_no_server(tmp_path):
    (tmp_path / "run").mkdir()
    result = run("submission", "reasonvos", "run", "-o", "out.zip")
    assert result.exit_code == 2
    assert "no server takes submissions for 'reasonvos'" in result.stderr
