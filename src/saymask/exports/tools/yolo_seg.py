"""YOLO segmentation: a text file per frame, a line per outline, in fractions of the frame."""

from __future__ import annotations

import json
from pathlib import Path

from saymask.exports.tools.polygons import polygons
from saymask.records import Prediction
from saymask.storage.atomic import new_folder


def write_yolo_seg(prediction: Prediction, directory: Path, *, tolerance: float = 0) -> Path:
    """YOLO segmentation, yolo-seg/labels/<frame name>.txt and data.yaml: a class per query.

    `tolerance`, in pixels, leaves out corners. The format does not know which outline is which object, nor holes: they are cut open by
    a line of no width. A frame without an object has an empty file.
    """
    video = prediction.video
    path = directory / "yolo-seg"
    with new_folder(path) as draft:
        (draft / "labels").mkdir()
        names = [f"  {place}: {json.dumps(result.query)}" for place, result in enumerate(prediction.results)]
        lines = ["path: .", "train: images", "val: images", "names:", *names]
        (draft / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for frame_idx, name in enumerate(video.frame_names):
            outlines = [
                f"{place} " + " ".join(f"{x / video.width:.8g} {y / video.height:.8g}" for x, y in polygon.bridged())
                for _, place, masklet in prediction.tracks()
                for polygon in polygons(masklet.rle_T[frame_idx], tolerance)
            ]
            (draft / "labels" / f"{name}.txt").write_text("".join(f"{line}\n" for line in outlines), encoding="utf-8")
    return path
