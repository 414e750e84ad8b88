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


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Of a server for browsers."""
    from browsed import running

    with running(tmp_path_factory.mktemp("browsed")) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    from browsed import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser, address, loopback):
    """Opens tabs; none of them may have a script that fails, or ask another server."""
    from browsed import Visit

    visits = []

    def open_tab(at: str = address, **options) -> Visit:
        visits.append(Visit(browser, at, **options))
        return visits[-1]

    yield open_tab
    for visited in visits:
        visited.page.close()
        assert visited.complaints == []
        assert {url.split("/")[2] for url in visited.addresses if not url.startswith(("blob:", "data:"))} == {address.split("/")[2]}
