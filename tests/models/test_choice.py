"""Which model `-m auto` takes, what it says when there is none, and what `saymask fetch` refuses."""

from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from typer.testing import CliRunner

from saymask.cli.main import app
from saymask.errors import ConfigError
from saymask.exports.encoder import write_video
from saymask.models.choice import choices, choose, is_on_disk
from saymask.records import Video

NATURAL = Video.from_frames(np.zeros((2, 8, 8, 3), np.uint8), name="dogs")
DRAWN = Video.from_frames(np.zeros((2, 8, 8, 3), np.uint8), comment="saymask-toyworld")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    """A cache of the hub with nothing in it."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, repo_id: str, files: tuple[str, ...] = ("config.json", "model.safetensors")) -> Path:
    """A copy of a repository as the hub's client keeps it."""
    folder = cache / f"models--{repo_id.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in files:
        (snapshot / name).write_bytes(b"{}")
    return snapshot


def put_model(cache: Path, name: str) -> None:
    for repo_id in choices()[name].repos:
        put(cache, repo_id, ("config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json"))


def invoke(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_drawn_video_gets_the_model_of_drawn_videos(cache):
    put_model(cache, "grounded")
    assert choose(DRAWN) == "toy"


def test_a_natural_video_gets_the_preferred_model_that_is_complete_on_disk(cache):
    put_model(cache, "videolisa-3.8b")
    assert choose(NATURAL) == "videolisa-3.8b"
    first, second = choices()["grounded"].repos
    put(cache, first)
    put(cache, second, ("config.json",))
    assert not is_on_disk(choices()["grounded"]) and choose(NATURAL) == "videolisa-3.8b"
    for file in ("model.safetensors",):
        (cache / f"models--{second.replace('/', '--')}" / "snapshots" / "abc" / file).write_bytes(b"")
    assert choose(NATURAL) == "grounded"


def test_without_one_the_error_lists_every_choice_with_size_licence_and_command():
    with pytest.raises(ConfigError) as caught:
        choose(NATURAL)
    message = str(caught.value)
    assert caught.value.exit_code == 2 and "dogs" in message and "-m toy" in message
    for name, choice in choices().items():
        if choice.repos:
            assert f"saymask fetch {name}" in message and f"{choice.nbytes / 1e9:.1f} GB" in message
        assert choice.understands in message
        fetched = f"saymask fetch {name}" in message
        assert fetched == bool(choice.repos) and (choice.licence in message or not (fetched or choice.how))
    commands = [line.split()[2] for line in message.splitlines() if line.startswith("  saymask fetch")]
    assert commands == ["grounded", "sam3", "videolisa-3.8b"], "the smallest first"


@pytest.fixture
def clips(tmp_path) -> dict[str, Path]:
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
    found = {"real": tmp_path / "real.mp4", "drawn": tmp_path / "drawn.mp4"}
    write_video(found["real"], frames, np.arange(3) / 8, 3 / 8, {})
    write_video(found["drawn"], frames, np.arange(3) / 8, 3 / 8, {"comment": "saymask-toyworld"})
    return found


def test_the_command_line_writes_no_masks_of_nonsense(clips, tmp_path):
    refused = invoke("segment", clips["real"], "the dog", "-o", tmp_path / "out")
    assert refused.exit_code == 2 and "saymask fetch grounded" in refused.stderr and not (tmp_path / "out").exists()
    told = invoke("segment", clips["real"], "the fish", "-m", "toy", "-o", tmp_path / "told", "--format", "json")
    assert told.exit_code == 0 and "trained on drawn scenes" in told.stderr
    drawn = invoke("segment", clips["drawn"], "the fish", "-o", tmp_path / "drawn", "--format", "json")
    assert drawn.exit_code == 0 and drawn.stderr == ""


def test_the_list_says_what_is_on_disk(cache):
    put_model(cache, "grounded")
    lines = {line.split()[0]: line for line in invoke("list").stdout.splitlines() if line.startswith("  ")}
    assert lines["grounded"].endswith("[on this disk]") and lines["videolisa-3.8b"].endswith("[saymask fetch videolisa-3.8b]")
    assert "[" not in lines["toy"]


# -- fetch -------------------------------------------------------------------------------------------------------------------------------


def test_fetch_without_a_network_names_the_repositories():
    result = invoke("fetch", "grounded")
    assert result.exit_code == 1 and "HF_HUB_OFFLINE" in result.stderr
    assert all(repo_id in result.stderr for repo_id in choices()["grounded"].repos)


@pytest.mark.parametrize(
    ("name", "meant"), [("groundet", "did you mean 'grounded'?"), ("toy", "it is in the package"), ("agent", "-m agent:http")]
)
def test_what_cannot_be_fetched(name, meant):
    result = invoke("fetch", name)
    assert result.exit_code == 2 and meant in result.stderr


def test_a_gated_repository_says_so_before_the_download():
    for choice in choices().values():
        assert not choice.gate or "huggingface.co" in choice.gate
