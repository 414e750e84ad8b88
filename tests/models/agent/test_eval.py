"""`saymask eval -m agent:…`: a question whose server fails counts as 0 and is asked again by `--resume`; the others are not."""

import json
from pathlib import Path

import pytest
import torch
from dataset_trees import build_reasonvos
from drawn_parts import ColourTracker
from scripted_server import Say, scripted_server
from typer.testing import CliRunner

from saymask.cli.main import app
from saymask.models.agent import loading
from saymask.models.agent.server import ServerModel
from saymask.models.grounded.detection import Detections
from saymask.models.grounded.segmenter import GroundedSegmenter
from saymask.toyworld.dataset import load_toyworld
from saymask.trackers.base import FrameMasks


class WholeFrame:
    """A detector whose only box is the frame."""

    name, default_threshold, weights_files = "whole frame", 0.5, ()

    def detect(self, frame_HWC, phrases, threshold):
        height, width = frame_HWC.shape[:2]
        return Detections(torch.tensor([[0.0, 0, width, height]]), torch.tensor([0.9]), torch.tensor([0]))


class EveryPixel(ColourTracker):
    """A tracker to which every pixel is the object's, on all frames."""

    def masks_in_boxes(self, video, frame_idx, boxes_N4, features=None):
        return FrameMasks(frame_idx, torch.ones(len(boxes_N4), video.height, video.width, dtype=torch.bool), torch.ones(len(boxes_N4)))

    def propagate(self, video, reference_masks, features=None):
        return (FrameMasks(t, masks_NHW.bool(), torch.ones(1)) for masks_NHW in reference_masks.values() for t in range(video.num_frames))


def share_of_frame(index: int) -> float:
    """J of a mask that is every pixel: the mean part of the frame that is the object's."""
    return float(load_toyworld(None, "test")[index].masks_THW.mean())


@pytest.fixture
def boxes_are_frames(monkeypatch, loopback):
    """What the agent segments with marks every pixel, since no weights are on this disk; requests are repeated once and at once."""

    def load_model(name, runtime):
        assert name == "grounded"
        return GroundedSegmenter(WholeFrame(), EveryPixel())

    monkeypatch.setattr(loading, "load_model", load_model)
    monkeypatch.setattr(ServerModel.__init__, "__defaults__", (5.0, 1, lambda seconds: None))


def said(request) -> Say:
    """One target, and every candidate accepted."""
    if "numbered" in request["messages"][0]["content"][0]["text"]:
        return Say('{"verdicts": [{"number": 1, "verdict": "accept", "probability": 0.9}]}')
    return Say('{"targets": [{"phrase": "thing"}]}')


def evaluate(server, out: Path, *arguments: str) -> dict:
    """The model's row of the report."""
    name = f"agent:{server.address}#scripted"
    result = CliRunner().invoke(app, ["eval", *arguments, "-m", name, "-o", str(out), "--set", "cache=null"])
    assert result.exit_code == 0, result.output
    return json.loads(Path(out / "results.json").read_text())["rows"]["model"]


@pytest.mark.usefixtures("boxes_are_frames")
def test_failures_count_as_nothing_and_only_they_are_asked_again(tmp_path):
    broken = True

    def answer(request) -> Say:
        return Say(status=500) if broken and not server.requests else said(request)

    with scripted_server(answer) as server:
        first = evaluate(server, tmp_path / "eval", "toyworld", "--limit", "2")
        asked = len(server.requests)
        broken = False
        second = evaluate(server, tmp_path / "eval", "toyworld", "--limit", "2", "--resume")

    one, other = share_of_frame(0), share_of_frame(1)
    assert (first["expected"], first["found"]) == (2, 1) and "HTTP 500" in first["failed"][0]["reason"]
    assert first["overall"]["j"] == pytest.approx((0 + other) / 2)
    assert (second["expected"], second["found"], second["failed"]) == (2, 2, [])
    assert second["overall"]["j"] == pytest.approx((one + other) / 2)

    queries = [prompt.split("Query: ")[1].split("\n")[0] for prompt in server.prompts()]
    assert asked == 1 + 2 + 2, "the first question failed; of the second video its own was asked, and a swapped one, each with its verdicts"
    assert len(queries) == asked + 2 + 2
    assert queries[5] == queries[6] == queries[0] and not {queries[5], queries[7]} & set(queries[1:5])


@pytest.mark.usefixtures("boxes_are_frames")
def test_reasonvos_is_answered_resumed_and_failures_are_0(tmp_path):
    """Of a frame's 240 pixels an object covers 16; object 2 is gone on the second of two frames."""
    root = build_reasonvos(tmp_path)
    broken = "barks"

    def answer(request) -> Say:
        return Say(status=500) if broken and broken in json.dumps(request) else said(request)

    with scripted_server(answer) as server:
        first = evaluate(server, tmp_path / "eval", "reasonvos", "--root", str(root))
        broken = ""
        second = evaluate(server, tmp_path / "eval", "reasonvos", "--root", str(root), "--resume")
    assert (first["expected"], first["found"], second["found"]) == (3, 2, 3)
    assert first["overall"]["j"] == pytest.approx((0 + 16 / 240 + 8 / 240) / 3)
    assert second["overall"]["j"] == pytest.approx((16 / 240 + 16 / 240 + 8 / 240) / 3)
