"""Boxes of tracked objects in the form of the MOT challenge."""

from __future__ import annotations

from pathlib import Path

from saymask.records import Prediction
from saymask.storage.atomic import new_file


def write_boxes(prediction: Prediction, directory: Path) -> Path:
    """Boxes as the MOT challenge writes them, boxes.csv.

    A line is frame, id, left, top, width, height, score, -1, -1, -1. Frames, ids and pixels count from 1, as the challenge has it; ids
    are those of the objects in order. A frame on which an object is not there has no line of it.
    """
    boxes = prediction.boxes()
    scores = [masklet.frame_scores_T for _, masklet in prediction.objects()]
    path = directory / "boxes.csv"
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as stream:
        for frame_idx in range(prediction.video.num_frames):
            for number, (of_object, scores_T) in enumerate(zip(boxes, scores, strict=True), start=1):
                if (box := of_object[frame_idx]) is not None:
                    x0, y0, x1, y1 = box
                    score = round(float(scores_T[frame_idx]), 6)
                    stream.write(f"{frame_idx + 1},{number},{x0 + 1},{y0 + 1},{x1 - x0},{y1 - y0},{score:g},-1,-1,-1\n")
    return path
