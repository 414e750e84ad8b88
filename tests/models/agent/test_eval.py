"""`saymask eval -m agent:…`: a question whose server fails counts as 0 and is asked again by `--resume`; the others are not."""

import json
from pathlib import Path

import pytest
from drawn_parts import ColourDetector, ColourTracker
from scripted_server import Say, scripted_server
from typer.testing import CliRunner

from saymask.cli.main import app
from saymask.models.agent import loading
from saymask.models.agent.server import ServerModel
from saymask.models.grounded.segmenter import GroundedSegmenter


@pytest.mark.usefixtures("loopback")
def test_failures_count_as_nothing_and_only_they_are_asked_again(monkeypatch, tmp_path):
    def load_model(name, runtime):
        assert name == "grounded"
        return GroundedSegmenter(ColourDetector(), ColourTracker())

    monkeypatch.setattr(loading, "load_model", load_model)  # its weights are not on this disk
    monkeypatch.setattr(ServerModel.__init__, "__defaults__", (5.0, 1, lambda seconds: None))
    broken = True
    out = tmp_path / "eval"

    def answer(request) -> Say:
        absent = Say('{"absent": true, "targets": []}')
        return Say(status=500) if broken and len(server.requests) == 0 else absent

    def evaluate(*options: str) -> dict:
        name = f"agent:{server.address}#scripted"
        result = CliRunner().invoke(app, ["eval", "toyworld", "-m", name, "--limit", "2", "-o", str(out), "--set", "cache=null", *options])
        assert result.exit_code == 0, result.output
        return json.loads(Path(out / "results.json").read_text())["rows"]["model"]

    with scripted_server(answer) as server:
        first = evaluate()
        asked = len(server.requests)
        broken = False
        second = evaluate("--resume")
        assert (first["expected"], first["found"]) == (2, 1)
        assert (second["expected"], second["found"]) == (2, 2)
        assert asked == 3, "the first video's question failed, the second was asked its own and a swapped one"
        again = [prompt.split("Query: ")[1] for prompt in server.prompts()]
        assert len(again) == 5 and again[3] == again[0] and again[4] not in again[1:3]
