"""`saymask batch` in this process: what it refuses, what it says when there is nothing to do, and its proof."""

from __future__ import annotations

from pathlib import Path

import pytest
from squares_batch import SETTINGS, draw
from typer.testing import CliRunner, Result

from saymask.batch.jobs import read_jobs
from saymask.batch.manifest import Manifest
from saymask.batch.places import LocalPlace
from saymask.batch.settings import Placement
from saymask.batch.work import do_job
from saymask.cli.main import app
from saymask.lookup import FAMILIES


def saymask(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A batch of two videos whose jobs are done."""
    monkeypatch.setitem(FAMILIES, "colour", "colour_family:FAMILY")
    for name in ("a", "b"):
        draw(tmp_path / "videos" / name)
    manifest = Manifest.begin(LocalPlace(tmp_path / "out"), SETTINGS, read_jobs(tmp_path / "videos", ["red"]))
    asker = SETTINGS.asker(Placement("cpu"))
    for job in manifest.jobs:
        do_job(job, asker, manifest)
    return tmp_path


def test_what_is_done_is_not_done_again_and_loads_nothing(done):
    before = (done / "out/results/a/result.json").stat().st_mtime_ns
    result = saymask("batch", done / "videos", "red", "-o", done / "out", "-m", "colour")
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        ["2 of 2 jobs done, 0 failed, 0 to do (nothing was to be done)", f"wrote {done / 'out' / 'report.html'}"],
    )
    assert (done / "out/results/a/result.json").stat().st_mtime_ns == before
    assert not list((done / "out").glob(".lock*"))


def test_the_proof(done):
    result = saymask("batch", "verify", done / "out")
    assert (result.exit_code, result.stdout) == (0, "2 of 2 jobs have exactly one result that fits its source\n")
    (done / "out/results/a/sheet.png").unlink()
    result = saymask("batch", "verify", done / "out")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "problem  a: results/a/sheet.png is missing",
        "1 of 2 jobs have exactly one result that fits its source",
    ]


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["videos", "red"], ["-o is missing"]),
        (["videos", "red", "-o", "out", "--address", "auto"], ["--address", "--backend ray"]),
        (["videos", "red", "-o", "out", "--gpus-per-worker", "0.5"], ["--gpus-per-worker"]),
        (["videos", "red", "-o", "memory://bucket/out"], ["memory://bucket/out", "--backend ray"]),
        (["videos", "red", "-o", "out", "--shard", "3/2"], ["3/2"]),
        (["videos", "red", "-o", "out", "--format", "pgn"], ["'pgn'", "'png'"]),
        (["videos", "-o", "out"], ["no query"]),
        (["verify", "videos"], ["videos: no batch"]),
    ],
)
def test_what_cannot_be_carried_out_as_written(words, facts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(Path("videos/a"))
    result = saymask("batch", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert all(fact in result.stderr for fact in facts), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["videos"]


def test_other_settings_in_the_same_folder_are_refused(done):
    result = saymask("batch", done / "videos", "red", "-o", done / "out", "-m", "colour", "--answer", "forced")
    assert result.exit_code == 2 and "answer = None, now it is 'forced'" in result.stderr
