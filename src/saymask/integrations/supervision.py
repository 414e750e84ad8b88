"""supervision's `Detections`: masks as crops of run lengths, tracker ids, the query as class."""

from __future__ import annotations

from typing import Any

import numpy as np

from saymask.errors import ConfigError
from saymask.records import Prediction


def to_detections(prediction: Prediction, frame_idx: int) -> Any:
    """The objects that are on one frame, as `supervision.Detections`.

    `tracker_id` counts the objects from 1, `class_id` is the query's place, `data["class_name"]` the query. Boxes are as supervision has
    them for its compact masks: the last column and row are inside.

    Raises:
        ConfigError: supervision is not installed.
        IndexError: there is no such frame.
    """
    try:
        from supervision import Detections
        from supervision.detection.compact_mask import CompactMask
    except ImportError:
        raise ConfigError("to_supervision needs supervision; pip install 'saymask[supervision]'") from None
    video = prediction.video
    if not 0 <= frame_idx < video.num_frames:
        raise IndexError(f"frame {frame_idx} of {video.name}: it has frames 0 to {video.num_frames - 1}")
    shown = [
        (number, place, masklet.rle_T[frame_idx], float(masklet.frame_scores_T[frame_idx]))
        for number, place, masklet in prediction.tracks()
        if masklet.rle_T[frame_idx].area
    ]
    boxes_N4 = np.array([rle.box() for *_, rle, _ in shown], dtype=np.float32).reshape(-1, 4) - np.array([0, 0, 1, 1], np.float32)
    masks_NHW = np.array([rle.decode() for *_, rle, _ in shown], dtype=bool).reshape(-1, video.height, video.width)
    return Detections(
        xyxy=boxes_N4,
        mask=CompactMask.from_dense(masks_NHW, boxes_N4, (video.height, video.width)),
        confidence=np.array([score for *_, score in shown], dtype=np.float32),
        class_id=np.array([class_id for _, class_id, *_ in shown], dtype=int),
        tracker_id=np.array([number for number, *_ in shown], dtype=int),
        data={"class_name": np.array([prediction.results[class_id].query for _, class_id, *_ in shown], dtype=np.str_)},
        metadata={"frame_idx": frame_idx, "time": float(video.timestamps_T[frame_idx])},
    )
