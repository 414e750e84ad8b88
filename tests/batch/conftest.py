"""Videos of two coloured squares, and a model in this process that finds what has the colour that a query names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from squares_batch import SETTINGS, draw

from saymask.batch.jobs import Job
from saymask.batch.manifest import Manifest
from saymask.batch.per_video import VideoAsker
from saymask.batch.places import LocalPlace
from saymask.batch.settings import Placement
from saymask.lookup import FAMILIES


@pytest.fixture
def colour_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "colour", "colour_family:FAMILY")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Three jobs, the third with the most frames; the second has a source that is no video."""
    draw(tmp_path / "videos" / "a")
    (tmp_path / "videos" / "b.mp4").write_bytes(b"no video")
    draw(tmp_path / "videos" / "c", num_frames=5)
    return [
        Job("a", str(tmp_path / "videos" / "a"), ("red", "blue")),
        Job("b", str(tmp_path / "videos" / "b.mp4"), ("red",)),
        Job("c", str(tmp_path / "videos" / "c"), ("green",)),
    ]


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., Manifest]:
    """Begin a batch in a folder of that name."""
    return lambda jobs, name="out", settings=SETTINGS: Manifest.begin(LocalPlace(tmp_path / name), settings, jobs)


@pytest.fixture
def asker(colour_model: None) -> VideoAsker:
    return SETTINGS.asker(Placement("cpu"))
