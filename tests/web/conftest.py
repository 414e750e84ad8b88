"""The clip that is uploaded, and a server that has loaded its models once."""

import pytest
from served import client_of, toy_engine, write_drawn_clip

NUM_FRAMES = 6


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_drawn_clip(path, NUM_FRAMES)
    return path.read_bytes()


@pytest.fixture(scope="session")
def engine():
    return toy_engine()


@pytest.fixture
def client(tmp_path, engine):
    with client_of(tmp_path / "server", engine) as client:
        yield client
