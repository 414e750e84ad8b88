"""Say what you want; get its mask on every frame.

    import saymask

    with saymask.open_video("clip.mp4", model="toy") as session:
        prediction = session.segment(["the red fish", "the thing that stops first"])
    prediction.save("out", formats=["overlay", "coco"])

Names are looked up on first use, so `import saymask` loads neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saymask import errors
    from saymask.models.checkpoints import load_model
    from saymask.records import Prediction, Video
    from saymask.runtime import Runtime
    from saymask.session import open_video, segment

__version__ = "0.1.0"
__all__ = ["Prediction", "Runtime", "Video", "__version__", "errors", "load_model", "open_video", "segment"]

_HOMES = {
    "Prediction": "saymask.records",
    "Runtime": "saymask.runtime",
    "Video": "saymask.records",
    "load_model": "saymask.models.checkpoints",
    "open_video": "saymask.session",
    "segment": "saymask.session",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("saymask.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'saymask' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
