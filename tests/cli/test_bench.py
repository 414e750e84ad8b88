"""`saymask bench`: JSON on standard output or in a file, a table on standard error, mistakes told before anything is measured."""

import json

import pytest
from typer.testing import CliRunner

from saymask.benchmark import speed
from saymask.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@pytest.fixture
def compared(monkeypatch):
    """Nothing is measured; what would have been, is recorded."""
    calls = []

    def compare(run, query_counts, variants, tell):
        calls.append((run, query_counts, variants, speed.open_source(run.source)))
        return {"model": run.model, "rows": []}

    monkeypatch.setattr(speed, "compare", compare)
    return calls


@pytest.mark.slow
def test_measured_in_processes_of_their_own(tmp_path):
    result = run("--frames", 2, "--size", "32x32", "--queries", 1, "--dtype", "float32", "--device", "cpu")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["source"] == "moving noise"
    assert report["video"] == {"frames": 2, "height": 32, "width": 32}
    (row,) = report["rows"]
    assert row["speedup"] == row["naive"]["seconds"] / row["ours"]["seconds"]
    assert result.stderr.splitlines()[:2] == ["ours, 1 query about 2 frames of 32 x 32", "naive, 1 query about 2 frames of 32 x 32"]
    assert result.stderr.splitlines()[2].split()[:2] == ["queries", "seconds"]


def test_what_is_measured_unless_said_otherwise(compared):
    assert run("--device", "cpu").exit_code == 0
    others = ["-m", "videolisa-3.8b", "--queries", "4,2,4", "--frames", 3, "--stages-only", "--repeat", 5]
    assert run("--device", "cpu", *others).exit_code == 0
    (toy, toy_counts, both, small), (big, counts, alone, large) = compared
    assert (toy.model, toy.repeat, toy_counts, both) == ("toy", 1, [1, 16], ["ours", "naive"])
    assert (big.repeat, counts, alone) == (5, [4, 2], ["ours"])
    assert (small.num_frames, small.height, small.width) == (100, 128, 128)
    assert (large.num_frames, large.height, large.width) == (3, 480, 854)


def test_json_into_a_file_that_is_never_overwritten(compared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("--frames", 1, "--size", "16x16", "--device", "cpu", "-o", "bench.json")
    assert result.stdout == "wrote bench.json\n"
    assert json.loads((tmp_path / "bench.json").read_text()) == {"model": "toy", "rows": [], "source": "moving noise"}
    again = run("-o", "bench.json")
    assert again.exit_code == 1
    assert "bench.json: already exists and is not overwritten" in again.stderr
    assert len(compared) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "480"], "--size 480 is not HEIGHTxWIDTH in pixels; write e.g. 480x854"),
        (["--size", "0x854"], "--size 0x854 is not HEIGHTxWIDTH"),
        (["--queries", "1;16"], "--queries 1;16 is not a list of numbers; write e.g. 1,16"),
        (["--queries", "65", "--frames", "1"], "--queries 65 cannot be asked; give numbers from 1 to 64"),
        (
            ["clip.mp4", "--frames", "5"],
            "--frames and --size are for the video that is drawn without a SOURCE; leave them out for clip.mp4",
        ),
        (["--dtype", "float8"], "unknown dtype 'float8'"),
    ],
)
def test_mistakes(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_source_that_does_not_exist(tmp_path):
    result = run(tmp_path / "none.mp4")
    assert result.exit_code == 1
    assert "none.mp4" in result.stderr


def test_a_baseline_is_read_before_anything_is_measured(compared, tmp_path):
    (tmp_path / "earlier.json").write_text("[]")
    result = run("--device", "cpu", "--baseline", tmp_path / "earlier.json")
    assert (result.exit_code, compared) == (2, []) and "earlier.json" in result.stderr
