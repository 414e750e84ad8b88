"""A server for tests: the drawn world's video, the bundled model, and a client."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from saymask.cli.demo import SCENE, SPLIT, write_clip
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.toyworld.dataset import load_toyworld
from saymask.web.app import create_app
from saymask.web.engine import Engine
from saymask.web.settings import Settings

SAID = "the yellow fish"
"""A question about the clip."""


def write_drawn_clip(path: Path, num_frames: int) -> None:
    """The first frames of the demo's video, as an mp4."""
    drawn = load_toyworld(None, SPLIT)[SCENE].video
    write_clip(Video.from_frames(drawn.frames(range(num_frames)), fps=12, **drawn.tags), path)


def toy_engine() -> Engine:
    return Engine("toy", None, None, Runtime("cpu", "float32"))


@contextmanager
def client_of(data: Path, engine: Engine | None = None, **settings: Any) -> Iterator[TestClient]:
    """A client of a server that is started and stopped with the block."""
    app = create_app(Settings(data, **settings), engine or toy_engine())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def begin(client: TestClient, clip: bytes, name: str = "clip.mp4") -> tuple[str, dict[str, Any]]:
    """Upload and open: the session's id, and the video's facts."""
    video = client.post("/v1/videos", params={"name": name}, content=clip).json()
    return client.post("/v1/sessions", json={"video_id": video["id"]}).json()["id"], video


def events_of(client: TestClient, job_id: int) -> list[tuple[str, dict[str, Any]]]:
    """All events of a job: kind and content; comments between them are skipped."""
    text = client.get(f"/v1/jobs/{job_id}/events").text
    pairs = (block.split("\n", 1) for block in text.strip().split("\n\n") if not block.startswith(":"))
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in pairs]
