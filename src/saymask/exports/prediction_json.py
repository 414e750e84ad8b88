"""A prediction as one JSON file that can be read back: texts, notes and every object's masks as COCO's compressed run lengths.

{"saymask": 1, "video": {"name", "source", "size": [H, W], "duration", "timestamps", "frame_names", "tags"},
 "results": [{"query", "text", "notes": {...},
              "objects": [{"obj_id", "phrase", "presence", "frame_presence": {frame: 0 ... 1},
                           "rle_T": [one string per frame], "scores_T": [0 ... 1, one per frame]}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from saymask.errors import DataError, VideoError
from saymask.records import Masklet, Prediction, QueryResult, Video
from saymask.storage.atomic import new_file
from saymask.storage.json_files import read_json_object
from saymask.video.coco_rle import read_rle

VERSION = 1


def write_json(prediction: Prediction, directory: Path) -> Path:
    """Everything that was found, prediction.json; `Prediction.load` reads it back."""
    video = prediction.video
    content = {
        "saymask": VERSION,
        "video": {
            "name": video.name,
            "source": video.source if video.source == IN_MEMORY else str(Path(video.source).absolute()),
            "size": [video.height, video.width],
            "duration": video.duration,
            "timestamps": video.timestamps_T.tolist(),
            "frame_names": list(video.frame_names),
            "tags": dict(video.tags),
        },
        "results": [result_to_json(result) for result in prediction.results],
    }
    path = directory / "prediction.json"
    with new_file(path) as draft:
        draft.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return path


def read_json(path: Path) -> Prediction:
    """Read what `write_json` wrote.

    Raises:
        DataError: the file is absent, damaged or of another kind.
    """
    remedy = "give a prediction.json that saymask wrote"
    content = read_json_object(path, DataError, remedy)
    if content.get("saymask") != VERSION:
        raise DataError(f"{path}: not a prediction of version {VERSION}; {remedy}")
    try:
        entry = content["video"]
        height, width = entry["size"]
        timestamps_T = np.array(entry["timestamps"], dtype=np.float64)
        video = Video(
            name=entry["name"],
            source=entry["source"],
            height=height,
            width=width,
            timestamps_T=timestamps_T,
            duration=entry["duration"],
            read=ReopenedSource(entry["source"], (len(timestamps_T), height, width)),
            frame_names=tuple(entry["frame_names"]),
            tags=entry["tags"],
        )
        return Prediction(video, tuple(result_from_json(result, (height, width)) for result in content["results"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a prediction ({error!r}); save it again") from None


IN_MEMORY = "memory"
"""`Video.source` of frames that are in no file."""


@dataclass(frozen=True)
class ReopenedSource:
    """Reads frames of a source that is opened when the first one is asked for; `shape` is its (frames, height, width)."""

    source: str
    shape: tuple[int, int, int]

    def __call__(self, frame_idx: Sequence[int]) -> np.ndarray:
        return self._video.frames(frame_idx)

    @cached_property
    def _video(self) -> Video:
        # Here and not above: reading results needs no library that reads videos.
        from saymask.video.reader import open_source

        if self.source == IN_MEMORY:
            raise VideoError("the prediction was made of frames in memory; there is no file to read them from again")
        video = open_source(self.source)
        found = (video.num_frames, video.height, video.width)
        if found != self.shape:
            raise VideoError(
                f"{self.source}: is {found} (frames, height, width), the prediction is of {self.shape}; put the same file back"
            )
        return video


def result_to_json(result: QueryResult) -> dict[str, Any]:
    """One query's result as plain values."""
    # Here and not above: whoever trains needs no library for COCO's format.
    from saymask.video.masks import rle_to_coco

    objects = [
        {
            "obj_id": masklet.obj_id,
            "phrase": masklet.phrase,
            "presence": masklet.presence,
            "frame_presence": {str(frame_idx): value for frame_idx, value in masklet.frame_presence.items()},
            "rle_T": [rle_to_coco(rle)["counts"] for rle in masklet.rle_T],
            "scores_T": [float(score) for score in masklet.frame_scores_T],
        }
        for masklet in result.masklets
    ]
    return {"query": result.query, "text": result.text, "notes": dict(result.notes), "objects": objects}


def result_from_json(content: Mapping[str, Any], size: Sequence[int]) -> QueryResult:
    """Inverse of `result_to_json`, for masks of this (height, width).

    Raises:
        KeyError, TypeError, ValueError: what is wrong with the content.
    """
    masklets = []
    for entry in content["objects"]:
        rle_T = tuple(read_rle({"size": list(size), "counts": counts}) for counts in entry["rle_T"])
        scores_T = np.array(entry["scores_T"], dtype=np.float32)
        on_frames = {int(frame_idx): value for frame_idx, value in entry.get("frame_presence", {}).items()}
        masklets.append(Masklet(entry["obj_id"], rle_T, scores_T, entry.get("phrase", ""), entry.get("presence"), on_frames))
    return QueryResult(content["query"], content["text"], tuple(masklets), content["notes"])
