"""The bundled model keeps the promises of its card: figures, floors, size, memory."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saymask.cli.main import app
from saymask.evaluation.candidates import with_model
from saymask.evaluation.exam import open_exam
from saymask.evaluation.run import predict, score
from saymask.models.checkpoints import bundled_folder, load_model
from saymask.runtime import Runtime
from saymask.toyworld.dataset import FAMILIES

CARD = bundled_folder("toy") / "README.md"
BENCH = Path(__file__).parents[2] / "bench"


def card_rows() -> dict[str, dict[str, float]]:
    """J&F of every row of the card's exam table, by family."""
    lines = [re.split(r"\s*\|\s*", line.strip("| ")) for line in CARD.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    header = next(line for line in lines if line[0] == "J&F")
    start = lines.index(header) + 2
    return {line[0]: dict(zip(header[1:], map(float, line[1:]), strict=True)) for line in lines[start : start + 5]}


def test_the_weights_are_small():
    assert (bundled_folder("toy") / "model.safetensors").stat().st_size <= 3_000_000


def test_the_card_holds_the_floors():
    rows = card_rows()
    assert list(rows) == ["model", "empty", "largest", "union", "swapped"]
    assert rows["model"]["attribute"] >= 65
    assert rows["model"]["attribute"] - rows["swapped"]["attribute"] >= 50


def test_two_questions_of_the_exam_go_through_the_real_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["eval", "toyworld", "--limit", "2"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == "J&F      attribute  spatial  overall"
    assert result.stdout.splitlines()[-1] == "wrote saymask-out/eval-toyworld-test/results.json"


@pytest.mark.slow
def test_the_exam_gives_the_figures_of_the_card(tmp_path):
    exam = open_exam("toyworld", "test", limit=200)
    predict(exam, with_model(load_model("toy", Runtime("cpu", "bfloat16"))), tmp_path)
    results = score(exam, tmp_path)
    for name, expected in card_rows().items():
        row = results["rows"][name]
        measured = {family: row["families"][family]["j_and_f"] for family in FAMILIES} | {"overall": row["overall"]["j_and_f"]}
        # bf16 sums differ a little between processors.
        assert {family: 100 * value for family, value in measured.items()} == pytest.approx(
            {family: expected[family] for family in measured}, abs=1.0
        )


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_video():
    run = subprocess.run([sys.executable, str(BENCH / "memory.py")], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)["growth_mb"] <= 150
