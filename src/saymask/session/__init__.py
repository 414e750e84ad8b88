"""One opened video, or live stream, and one model: encode once, ask many, stream, correct."""

from saymask.session.collected import Collected
from saymask.session.editing import Editor
from saymask.session.live import LiveSession
from saymask.session.video_session import VideoSession

__all__ = ["Collected", "Editor", "LiveSession", "VideoSession"]
