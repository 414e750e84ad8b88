"""Label Studio: one image task per frame, with brush masks as predictions that an annotator can accept or mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from saymask.exports.annotations import frame_file
from saymask.records import Prediction
from saymask.storage.atomic import new_file
from saymask.video.label_studio_rle import encode


def write_labelstudio(prediction: Prediction, directory: Path) -> Path:
    """Label Studio tasks, labelstudio.json: an image task per frame, a brush mask per object.

    `image` is the frame's own file name; put the address under which Label Studio serves the frames before it. The labelling interface
    needs <Image name="image"/> and <BrushLabels name="tag" toName="image"> with a label for each query. A region's text says which object
    it is.
    """
    video = prediction.video
    path = directory / "labelstudio.json"
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as stream:
        for frame_idx, name in enumerate(video.frame_names):
            result: list[dict[str, Any]] = []
            for number, place, masklet in prediction.tracks():
                if masklet.rle_T[frame_idx].area:
                    label = prediction.results[place].query
                    value = {"format": "rle", "rle": encode(masklet.rle_T[frame_idx].decode()), "brushlabels": [label]}
                    region = {"id": f"object-{number}", "type": "brushlabels", "from_name": "tag", "to_name": "image", "value": value}
                    size = {"original_width": video.width, "original_height": video.height, "image_rotation": 0}
                    score = round(float(masklet.frame_scores_T[frame_idx]), 6)
                    result.append({**region, **size, "score": score, "meta": {"text": [f"object {number}"]}})
            task = {"data": {"image": frame_file(video, name)}, "predictions": [{"model_version": "saymask", "result": result}]}
            stream.write(("[" if frame_idx == 0 else ",\n") + json.dumps(task))
        stream.write("]\n")
    return path
