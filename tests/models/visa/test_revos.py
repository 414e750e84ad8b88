"""ReVOS end to end: a model on a miniature of the benchmark, every type of expression, and robustness on both scales."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from dataset_trees import TREES
from scripted_visa import debug_segmenter
from typer.testing import CliRunner

from saymask.cli.main import app
from saymask.models.checkpoints import save_model


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """The folder of an evaluation whose answers always have a mask."""
    folder = tmp_path_factory.mktemp("revos")
    segmenter = debug_segmenter()
    save_model(segmenter.model, segmenter.processor, folder / "model", torch.float32)
    TREES["revos"].build(folder / "data")
    asked = ["-m", str(folder / "model"), "--answer", "forced", "--set", "scorer=middle", "-o", str(folder / "out")]
    result = CliRunner().invoke(app, ["eval", "revos", "--root", str(folder / "data"), "--split", "valid", *asked])
    assert result.exit_code == 0, result.output
    return folder


def rows(file: Path) -> dict:
    (row,) = json.loads(file.read_text(encoding="utf-8"))["rows"].values()
    return row


def test_every_type_is_reported(scored):
    row = rows(scored / "out" / "results.json")
    assert (row["expected"], row["found"], row["failed"]) == (4, 4, [])
    assert {name: means["expressions"] for name, means in row["types"].items()} == {"referring": 2, "reasoning": 1, "hallucination": 1}
    # The benchmark's overall is the mean of the first two types alone.
    types = row["types"]
    assert row["benchmark"]["overall"]["j_and_f"] == pytest.approx((types["referring"]["j_and_f"] + types["reasoning"]["j_and_f"]) / 2)


def test_robustness_on_both_scales(scored):
    """The published script weighs a falsely predicted pixel 255 times."""
    again = ["--score-only", str(scored / "out" / "predictions"), "--protocol", "visa-release", "-o", str(scored / "again")]
    result = CliRunner().invoke(app, ["eval", "revos", "--root", str(scored / "data"), "--split", "valid", *again])
    assert result.exit_code == 0, result.output
    ours, published = rows(scored / "out" / "results.json"), rows(scored / "again" / "results-visa-release.json")
    for name in ("referring", "reasoning", "hallucination"):
        assert "r_x255" not in ours["types"][name]
        assert "r" not in published["types"][name]
        assert published["types"][name]["r_x255"] <= round(ours["types"][name]["r"], 4)
    # The model marks pixels outside the targets, so the scales differ.
    assert published["types"]["referring"]["r_x255"] < ours["types"]["referring"]["r"]
