"""Say what you want; get its mask on every frame.

    import saymask

    with saymask.open_video("clip.mp4", model="toy") as session:
        prediction = session.segment(["the red fish", "the thing that stops first"])
    prediction.save("out", formats=["overlay", "coco"])

Names are looked up on first use, so `import saymask` loads neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from saymask.startup.collector import collector_paused

if TYPE_CHECKING:
    from saymask import errors
    from saymask.api import live, load_model, load_prompter, load_tracker, open_video, segment
    from saymask.records import Prediction, Video
    from saymask.session import Editor, LiveSession, VideoSession

__version__ = "0.1.0"
_HOMES = {
    "Editor": "saymask.session",
    "LiveSession": "saymask.session",
    "Prediction": "saymask.records",
    "Video": "saymask.records",
    "VideoSession": "saymask.session",
    "live": "saymask.api",
    "load_model": "saymask.api",
    "load_prompter": "saymask.api",
    "load_tracker": "saymask.api",
    "open_video": "saymask.api",
    "segment": "saymask.api",
}
__all__ = [
    "Editor", "LiveSession", "Prediction", "Video", "VideoSession", "__version__", "errors", "live", "load_model", "load_prompter",
    "load_tracker", "open_video", "segment",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("saymask.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'saymask' has no attribute {name!r}")
    with collector_paused():
        home = import_module(_HOMES[name])
    return getattr(home, name)


def __dir__() -> list[str]:
    return __all__
