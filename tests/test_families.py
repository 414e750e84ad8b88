"""A family is a folder and one line: nothing else names one, and one of a single file goes through session, trackers, CLI, eval, save."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from saymask import lookup
from saymask.cli.main import app
from saymask.errors import ConfigError
from saymask.exports.encoder import write_video
from saymask.models.checkpoints import load_model, require_network
from saymask.records import Prediction, Video
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.trackers.loading import load_tracker

PACKAGE = Path(__file__).parents[1] / "src" / "saymask"
PUBLISHED = ("metrics/protocols.py", "reports/published.py", "datasets/public/")
"""Where published scripts, tables and benchmarks are called by their authors' names."""
CPU = Runtime("cpu")
FAMILIES = tuple(lookup.FAMILIES)

# -- no other place names a family -------------------------------------------------------------------------------------------------------


def names_in(source: str) -> set[str]:
    """Identifiers, imported modules and strings of a module; docstrings and comments, which cite papers, are left out."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found.add(node.value)
        for field in ("id", "attr", "name", "arg", "module", "asname"):
            if isinstance(value := getattr(node, field, None), str):
                found.add(value)
    return found


def families_named(source: str) -> set[str]:
    return {family for family in FAMILIES for name in names_in(source) if family in name.lower().replace("_", "")}


def is_outside(module: Path) -> bool:
    path = module.relative_to(PACKAGE).as_posix()
    folders = (*(f"models/{family}/" for family in FAMILIES), "recipes/", *PUBLISHED)
    return path != "lookup.py" and not path.startswith(folders)


@pytest.mark.parametrize("module", sorted(filter(is_outside, PACKAGE.rglob("*.py"))), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_outside_its_folder_names_a_family(module):
    assert families_named(module.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "from saymask.models.videolisa import FAMILY",
        "isinstance(x, VideoLisaSegmenter)",
        "name = 'use -m videolisa-3.8b'",
        "def f(video_lisa): ...",
    ],
)
def test_the_rule_sees_what_it_must(source):
    assert families_named(source) == {"videolisa"}
    assert families_named(f'"""{source}"""') == set()


# -- a family of one file ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def colour_family(monkeypatch):
    monkeypatch.setitem(lookup.FAMILIES, "colour", "colour_family:FAMILY")


def drawn() -> Video:
    """Eight frames of 20 x 30: a red square moves to the right, a green bar shows on frames 4 to 7."""
    frames = np.full((8, 20, 30, 3), 40, dtype=np.uint8)
    for t in range(8):
        frames[t, 4:10, 2 * t : 2 * t + 6] = (255, 0, 0)
    frames[4:, 14:18] = (0, 255, 0)
    return Video.from_frames(frames, fps=8)


@pytest.fixture
def clip(tmp_path):
    video = drawn()
    large = np.kron(video.frames(range(8)), np.ones((1, 8, 8, 1), dtype=np.uint8))  # so that compression leaves the colours alone
    write_video(tmp_path / "clip.mp4", large, video.timestamps_T, video.duration, {})
    return tmp_path / "clip.mp4"


def invoke(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_it_answers_in_a_session():
    video = drawn()
    frames_THWC = video.frames(range(8))
    with VideoSession(video, load_model("colour", CPU)) as session:
        prediction = session.segment(["the red and the green one", "the blue one"])
        forced = session.segment("the blue one", answer="forced")
    both, none = prediction.results
    assert (both.text, none.text, none.masklets) == ("red [SEG], green [SEG]", "nothing of that colour", ())
    assert [(m.obj_id, m.phrase, m.presence) for m in both.masklets] == [(1, "red", 1.0), (2, "green", 0.5)]
    for t in range(8):
        assert np.array_equal(both.masklets[0].rle_T[t].decode(), frames_THWC[t, :, :, 0] == 255)
        assert np.array_equal(both.masklets[1].rle_T[t].decode(), frames_THWC[t, :, :, 1] == 255)
    assert both.notes["colours"] == 2 and both.notes["answer"] == "generate"
    assert [rle.area for rle in forced.results[0].masklets[0].rle_T] == [0] * 8


def test_its_objects_are_tracked_each_from_its_own_frame():
    with VideoSession(drawn(), load_model("colour", CPU), load_tracker("hold", CPU)) as session:
        (result,) = session.segment("red green").results
        assert result.notes["reference_frames"] == [0, 4]
        assert {rle.box() for rle in result.masklets[0].rle_T} == {(0, 4, 6, 10)}
        assert {rle.box() for rle in result.masklets[1].rle_T} == {(0, 14, 30, 18)}
        moved = np.zeros((20, 30), dtype=bool)
        moved[4:10, 8:14] = True
        (refined,) = session.refine(4, moved, obj_id=1).results
    assert [rle.box() for rle in refined.masklets[0].rle_T] == [(0, 4, 6, 10)] * 4 + [(8, 4, 14, 10)] * 4
    assert refined.masklets[0].phrase == "red"


def test_it_saves_in_every_format_and_comes_back(tmp_path):
    with VideoSession(drawn(), load_model("colour", CPU)) as session:
        prediction = session.segment("red green")
    assert len(prediction.save(tmp_path, list(lookup.table("format")))) == len(lookup.table("format"))
    again = Prediction.load(tmp_path / "prediction.json")
    assert [again.masks(t).tolist() for t in range(8)] == [prediction.masks(t).tolist() for t in range(8)]
    assert [(m.phrase, m.presence) for _, m in again.objects()] == [("red", 1.0), ("green", 0.5)]


def test_the_command_line_knows_it_and_its_options(clip, tmp_path):
    assert "Finds what is red, green or blue" in invoke("list").stdout
    result = invoke("segment", clip, "the green one", "-m", "colour", "--set", "tolerance=100", "-o", tmp_path / "out", "--format", "json")
    assert result.exit_code == 0, result.output
    (found,) = Prediction.load(tmp_path / "out" / "prediction.json").results
    assert [rle.area > 0 for rle in found.masklets[0].rle_T] == [False] * 4 + [True] * 4
    assert found.masklets[0].rle_T[7].area == pytest.approx(4 * 30 * 64, rel=0.05)
    for wrong, meant in (("tolerence=9", "did you mean 'tolerance'"), ("tolerance=-1", "tolerance = -1")):
        refused = invoke("segment", clip, "the green one", "-m", "colour", "--set", wrong, "-o", tmp_path / "no")
        assert refused.exit_code == 2 and meant in refused.output
    refused = invoke("segment", clip, "the green one", "-m", "colour", "--template", "plane", "-o", tmp_path / "no")
    assert refused.exit_code == 2 and "did you mean 'plain'" in refused.output


def test_it_is_evaluated(tmp_path):
    result = invoke("eval", "toyworld", "-m", "colour", "--limit", "2", "-o", tmp_path / "eval")
    assert result.exit_code == 0, result.output
    (row,) = [json.loads((tmp_path / "eval" / "results.json").read_text())["rows"]["model"]]
    assert row["expected"] == row["found"] == 2


def test_what_needs_a_network_says_that_it_has_none():
    with pytest.raises(ConfigError, match="colour: adapters belong to a trainable network, and family 'colour' has none"):
        require_network(load_model("colour", CPU), "adapters belong to")
