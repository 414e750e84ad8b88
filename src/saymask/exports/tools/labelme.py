"""labelme: a JSON file per frame with polygons, to be opened beside the frames."""

from __future__ import annotations

import json
from pathlib import Path

from saymask.exports.annotations import frame_file
from saymask.exports.tools.polygons import polygons
from saymask.records import Prediction
from saymask.storage.atomic import new_folder

_VERSION = "5.5.0"


def write_labelme(prediction: Prediction, directory: Path, *, tolerance: float = 0) -> Path:
    """labelme, labelme/<frame name>.json: polygons with the query as label.

    `tolerance`, in pixels, leaves out corners. `group_id` ties the parts of an object together, and an object to itself on other
    frames. Holes are cut open by a line of no width.
    """
    video = prediction.video
    path = directory / "labelme"
    with new_folder(path) as draft:
        for frame_idx, name in enumerate(video.frame_names):
            shapes = [
                {
                    "label": prediction.results[place].query,
                    "points": polygon.bridged().tolist(),
                    "group_id": number,
                    "description": "",
                    "shape_type": "polygon",
                    "flags": {},
                    "mask": None,
                }
                for number, place, masklet in prediction.tracks()
                for polygon in polygons(masklet.rle_T[frame_idx], tolerance)
            ]
            image = {"imagePath": frame_file(video, name), "imageData": None, "imageHeight": video.height, "imageWidth": video.width}
            content = {"version": _VERSION, "flags": {}, "shapes": shapes, **image}
            (draft / f"{name}.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
    return path
