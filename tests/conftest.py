"""Rules for every test: no network, no download, no terminal width of the machine that runs it."""

import os
import socket

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["COLUMNS"] = "140"


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection fails and says so; only those marked `weights` may."""
    if request.node.get_closest_marker("weights"):
        return

    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:  # worker processes talk to each other through these
            pytest.fail(f"the test opened a connection to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    monkeypatch.setattr(socket.socket, "connect_ex", local_only)
