"""FiftyOne: a sample of the video whose frames carry the objects as detections with instance masks."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from saymask.errors import ConfigError
from saymask.records import Prediction

FIELD = "saymask"
"""Name of the frames' label field."""


def to_sample(prediction: Prediction) -> Any:
    """A `fiftyone.Sample` of the video file; every frame has a field "saymask" of `fiftyone.Detections`.

    Raises:
        ConfigError: FiftyOne is not installed.
    """
    try:
        fiftyone: Any = import_module("fiftyone")  # a plain import looks to the type checker like one of this file
    except ImportError:
        raise ConfigError("to_fiftyone needs FiftyOne; pip install 'saymask[fiftyone]'") from None
    sample = fiftyone.Sample(filepath=prediction.video.source)
    for number, detections in frame_labels(prediction).items():
        labels = fiftyone.Detections(detections=[fiftyone.Detection(**detection) for detection in detections])
        sample.frames[number] = fiftyone.Frame(**{FIELD: labels})
    return sample


def frame_labels(prediction: Prediction) -> dict[int, list[dict[str, Any]]]:
    """Arguments of `fiftyone.Detection` for every frame, which FiftyOne numbers from 1.

    A box is left, top, width, height in fractions of the frame; a mask covers its box; `index` tells the objects apart.
    """
    video = prediction.video
    found: dict[int, list[dict[str, Any]]] = {}
    for frame_idx in range(video.num_frames):
        of_frame = found.setdefault(frame_idx + 1, [])
        for number, place, masklet in prediction.tracks():
            rle = masklet.rle_T[frame_idx]
            if (box := rle.box()) is not None:
                x0, y0, x1, y1 = box
                of_frame.append(
                    {
                        "label": prediction.results[place].query,
                        "bounding_box": [x0 / video.width, y0 / video.height, (x1 - x0) / video.width, (y1 - y0) / video.height],
                        "mask": rle.decode()[y0:y1, x0:x1],
                        "confidence": float(masklet.frame_scores_T[frame_idx]),
                        "index": number,
                    }
                )
    return found
