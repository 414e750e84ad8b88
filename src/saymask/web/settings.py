"""What a server is told: where it keeps things, who may ask, and how much one may ask for."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from saymask.errors import ConfigError
from saymask.video.limits import ReadLimits

MIN_TOKEN_LENGTH = 16


@dataclass(frozen=True)
class Settings:
    """Bounds are there because a small request can ask for any amount of work.

    Args:
        data: folder of the database and of uploaded videos; made if it is absent.
        host: address that is listened on.
        token: what a client must show; None only where nobody but this machine can ask.
        root: folder whose videos may be opened by their path; None = none.
        limits: largest frame and longest video.
        max_image_pixels: of an image that is asked about alone.
        max_upload_bytes, max_upload_seconds: of one upload, and of one request that brings a part of it.
        max_body_bytes, max_body_seconds: of any other request.
        max_requests: that are answered at once.
        max_videos, max_sessions: that are kept at once, uploads under way included.
        max_state_bytes: of one session's masks, as they are stored.
        max_waiting: requests that wait for one device; more are told to come again.
        idle_seconds: sessions that nobody used for so long expire, and then the videos of no session.
        upload_idle_seconds: uploads that were begun and got nothing for so long expire.
        min_free_bytes: of the disk, which no upload may take.

    Raises:
        ConfigError: an address that others can reach without a token, a token that can be guessed, or a root that is no folder.
    """

    data: Path
    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)
    root: Path | None = None
    limits: ReadLimits = field(default_factory=lambda: ReadLimits(max_pixels=4096 * 2304, max_frames=5000))
    max_image_pixels: int = 4096 * 4096
    max_upload_bytes: int = 512 * 2**20
    max_upload_seconds: float = 600.0
    max_body_bytes: int = 4 * 2**20
    max_body_seconds: float = 30.0
    max_requests: int = 200
    max_videos: int = 200
    max_sessions: int = 1000
    max_state_bytes: int = 64 * 2**20
    max_waiting: int = 32
    idle_seconds: float = 7 * 86_400.0
    upload_idle_seconds: float = 86_400.0
    min_free_bytes: int = 256 * 2**20

    def __post_init__(self) -> None:
        if self.token is None and not is_local(self.host):
            raise ConfigError(f"--host {self.host} can be reached by others; set a token in SAYMASK_TOKEN, or listen on 127.0.0.1")
        if self.token is not None and len(self.token) < MIN_TOKEN_LENGTH:
            raise ConfigError(f"the token has {len(self.token)} characters and can be guessed; give at least {MIN_TOKEN_LENGTH}")
        if self.root is not None and not self.root.is_dir():
            raise ConfigError(f"--root {self.root}: no such folder; give the folder whose videos may be opened")


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
