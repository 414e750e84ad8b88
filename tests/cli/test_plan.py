"""`saymask plan`: a table, the same as JSON in a file, mistakes told before anything is measured."""

import json

import pytest
from typer.testing import CliRunner

from saymask.benchmark.machine_speed import MachineSpeed
from saymask.benchmark.noise_video import write_noise_video
from saymask.cli.main import app


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "noise.mp4"
    write_noise_video(path, 6, 32, 48)
    return path


@pytest.fixture
def machine(monkeypatch):
    """A machine of 50 GFLOP/s."""
    speed = MachineSpeed(product_flops=50e9, bytes_per_second=10e9, call_seconds=1e-6)
    monkeypatch.setattr(MachineSpeed, "measure", classmethod(lambda cls, device, dtype: speed))


def run(*arguments):
    return CliRunner().invoke(app, ["plan", *map(str, arguments), "--device", "cpu"])


def test_a_table_and_the_same_as_json(video, machine, tmp_path):
    result = run(video, "the red fish", "the blue key", "-m", "toy", "--dtype", "float32", "-o", tmp_path / "plan.json")
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "plan.json").read_text())
    assert (values["source"], values["model"], values["queries"]) == (str(video), "toy", 2)
    assert values["video"] == {"frames": 6, "height": 32, "width": 48}
    assert "2 queries (forced) about 6 frames of 48 x 32" in result.stdout
    assert values["parameters"] == 1_477_634 and values["bytes"]["weights"] == 4 * 1_477_634


@pytest.mark.slow
def test_hours_of_the_full_size_on_a_processor_without_a_download(video, machine, tmp_path):
    """Segment Anything's encoder alone is about 6 TFLOP a frame: two hours of 50 GFLOP/s are 60 frames."""
    images = tmp_path / "frames.mp4"
    write_noise_video(images, 80, 32, 48)
    result = run(images, "-m", "videolisa-3.8b", "--dtype", "float32", "--format", "png")
    assert result.exit_code == 0, result.output
    total = next(line for line in result.stdout.splitlines() if line.startswith("in all"))
    hours, unit = total.split()[2:4]
    assert unit == "h" and float(hours) > 80 * 5.5e12 / 50e9 / 3600


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-m", "tyo"], 2, "unknown model 'tyo' (and no such folder); did you mean 'toy'?"),
        (["-m", "grounded"], 2, "saymask bench SOURCE -m grounded --stages-only"),
        (["-m", "toy", "--format", "pgn"], 2, "did you mean 'png'?"),
        (["-m", "toy", "-t", "xmen"], 2, "did you mean 'xmem'?"),
        (["-m", "toy", "--dtype", "int8"], 2, "plan with --dtype float32"),
    ],
)
def test_mistakes_say_what_was_meant(video, arguments, code, message):
    result = run(video, *arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
