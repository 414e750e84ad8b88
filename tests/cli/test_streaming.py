"""`saymask segment` of an address: a real server on this machine; cameras and refused addresses by their errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from colour_family import ColourSegmenter
from coloured_squares import RED, frame
from typer.testing import CliRunner

from saymask import lookup
from saymask.cli.main import app
from saymask.exports.encoder import write_video
from saymask.records import Prediction
from saymask.session import VideoSession
from saymask.trackers.hold import HoldTracker
from saymask.video.reader import open_source

NUM_FRAMES = 12


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def address(tmp_path: Path, loopback: None) -> Iterator[str]:
    """Where a video of a red square that moves is served."""
    frames = [frame((RED, 4, 2 * i)) for i in range(NUM_FRAMES)]
    write_video(tmp_path / "red square.mp4", frames, np.arange(NUM_FRAMES) / 10, NUM_FRAMES / 10)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/red%20square.mp4"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _colour_family(monkeypatch):
    monkeypatch.setitem(lookup.FAMILIES, "colour", "colour_family:FAMILY")


def run(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["segment", *map(str, args)])
    return result.exit_code, result.output


def test_an_address_gives_the_masks_of_the_file_read_causally(address, tmp_path):
    out = tmp_path / "out"
    code, said = run(address, "red", "-m", "colour", "-t", "hold", "-o", out, "--format", "json,png", "--allow-network", "--ask-every", 0.5)
    assert code == 0, said
    assert f"mask on {NUM_FRAMES} of {NUM_FRAMES} frames" in said
    prediction = Prediction.load(next(out.glob("*.json")))
    with VideoSession(open_source(tmp_path / "red square.mp4"), ColourSegmenter(), HoldTracker()) as session:
        expected = session.segment("red", causal=True, ask_every=0.5)
    assert prediction.video.num_frames == NUM_FRAMES
    for frame_idx in range(NUM_FRAMES):
        assert np.array_equal(prediction.masks(frame_idx), expected.masks(frame_idx)), frame_idx
    assert open_source(out / "recording.mp4").num_frames == NUM_FRAMES


def test_a_stream_is_read_as_long_as_wanted(address, tmp_path):
    code, said = run(address, "red", "-m", "colour", "-o", tmp_path / "out", "--format", "json", "--allow-network", "--max-seconds", 0.45)
    assert code == 0, said
    assert open_source(tmp_path / "out" / "recording.mp4").num_frames == 5


def test_no_address_is_opened_unasked(address, tmp_path):
    code, said = run(address, "red", "-m", "colour", "-o", tmp_path / "out")
    assert code == 2 and "--allow-network" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "options", "code", "fact"),
    [
        ("99", (), 1, "99: cannot be opened"),
        ("rtsp://127.0.0.1:9/none", ("--allow-network",), 1, "rtsp://127.0.0.1:9/none: cannot be opened"),
        ("http://127.0.0.1:9/none.mp4", ("--allow-network",), 1, "http://127.0.0.1:9/none.mp4: cannot be opened"),
        ("rtsp://127.0.0.1/none", (), 2, "--allow-network"),
    ],
)
def test_what_cannot_be_opened_is_named(source, options, code, fact, tmp_path, loopback):
    assert_failed(run(source, "red", "-m", "colour", "-o", tmp_path / "out", *options), code, fact)


def assert_failed(result: tuple[int, str], code: int, fact: str) -> None:
    assert result[0] == code and fact in " ".join(result[1].split())


def test_options_of_live_sources_are_refused_where_they_mean_nothing(tmp_path):
    write_video(tmp_path / "v.mp4", [frame()], np.zeros(1), 0.1)
    assert_failed(run(tmp_path / "v.mp4", "red", "-m", "colour", "--max-seconds", 3), 2, "are for addresses and cameras")
    assert_failed(run(tmp_path / "v.mp4", "red", "-m", "colour", "--ask-every", 3), 2, "add --causal")
