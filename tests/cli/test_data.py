"""`saymask data check`: readable lines, exit codes, and where it looks."""

import pytest
from dataset_trees import build_folder, build_mevis, build_mevis_v2, build_reasonvos
from typer.testing import CliRunner

from saymask.cli import data
from saymask.cli.main import app
from saymask.datasets import doctor
from saymask.datasets.public.published_sizes import PublishedSize


@pytest.fixture(autouse=True)
def published_as_built(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "PUBLISHED_SIZES", (PublishedSize("reasonvos", ("test",), 2, 3, "us"),))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for variable in ("SAYMASK_DATA", "SAYMASK_MEVIS"):
        monkeypatch.delenv(variable, raising=False)


def run(*arguments):
    return CliRunner().invoke(app, ["data", "check", *map(str, arguments)])


def test_a_sound_dataset_exits_with_0(tmp_path):
    root = build_reasonvos(tmp_path)
    result = run("reasonvos", root)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"ok       test: {root / 'meta_expressions.json'}: 2 videos, 3 expressions",
        "ok       test: every video can be opened; 2 of 2 were read whole",
        "ok       test: as many videos and expressions as published (us)",
        "no problem found",
    ]


def test_a_problem_is_one_line_with_path_and_remedy_and_exits_with_1(tmp_path):
    root = build_mevis(tmp_path)
    frame = root / "valid_u" / "JPEGImages" / "bird" / "00001.jpg"
    frame.unlink()
    result = run("mevis", root, "--split", "valid_u")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"ok       valid_u: {root / 'valid_u' / 'meta_expressions.json'}: 2 videos, 3 expressions",
        f"problem  valid_u: {frame}: no such frame; 1 of the 3 frames of bird are missing, unpack the archive of the frames again",
        "1 problem found",
    ]


def test_own_data_is_checked_by_the_same_command(tmp_path):
    root = build_folder(tmp_path)
    assert run("folder", root).exit_code == 0
    (root / "sentences.csv").write_text("video,objects,sentence\nclip,7,it\nclap,1,it\n")
    result = run("folder", root)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"problem  sentences: {root / 'videos' / 'clap'}: not found, but {root / 'sentences.csv'} line 3 names it; did you mean 'clip'?",
        f"problem  sentences: {root / 'sentences.csv'} line 2: no object '7' in {root / 'masks.json'}; known: 1, 2, block 1, block 2",
        f"ok       videos: {root / 'videos' / 'still.jpg'}: no sentence is about it, it is not used",
        "2 problems found",
    ]


def test_many_problems_are_cut_short_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHOWN_PROBLEMS", 1)
    root = build_mevis(tmp_path)
    for name in ("bird", "coin"):
        (root / "train" / "JPEGImages" / name / "00001.jpg").unlink()
    lines = run("mevis", root, "--split", "train").stdout.splitlines()
    assert "bird/00001.jpg" in lines[1]
    assert lines[2:] == ["problem  train: … and 1 more; mend these first", "2 problems found"]


def test_what_was_only_opened_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "NUM_EXAMINED", 1)
    root = build_mevis_v2(tmp_path)
    scope = "; some videos were only opened, --all-masks reads everything"
    assert run("mevis-v2", root).stdout.splitlines()[-1] == "no problem found" + scope
    assert run("mevis-v2", root, "--all-masks").stdout.splitlines()[-1] == "no problem found"


def test_without_a_root_it_looks_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SAYMASK_DATA", str(tmp_path))
    build_mevis(tmp_path)
    assert run("mevis").exit_code == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["mevi"], "unknown dataset 'mevi'; did you mean 'mevis'?"),
        (["."], "unknown dataset '.'; your own data are the dataset 'folder', and this is its root: folder ."),
        (["mevis"], "nothing says where mevis lies; give its folder on the command line, in SAYMASK_MEVIS"),
        (["mevis", "no/such/folder"], "no/such/folder: no such folder"),
        (["mevis", ".", "--split", "test"], "mevis has no split 'test'; use one of: train, valid_u, valid"),
        (["toyworld"], "toyworld is drawn, nothing of it is on disk that could be checked"),
    ],
)
def test_a_request_that_cannot_be_carried_out_exits_with_2(arguments, message):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
