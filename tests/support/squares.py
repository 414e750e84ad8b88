"""A world to evaluate in: videos of two 40 x 40 frames with a red 10 x 10 square and, apart from it, a blue rectangle of 20 x 15."""

from __future__ import annotations

import numpy as np

from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.samples import Expression, Regions, Sample

RED, BLUE = 1, 2


def things(num_frames: int = 2) -> np.ndarray:
    """uint8 ids_THW: 0 background, RED, BLUE."""
    ids_THW = np.zeros((num_frames, 40, 40), dtype=np.uint8)
    ids_THW[:, 5:15, 5:15] = RED
    ids_THW[:, 5:25, 20:35] = BLUE
    return ids_THW


def sample(name: str, text: str, *obj_ids: int, num_frames: int = 2, **tags: str) -> Sample:
    """A question about the video of a name `<video>/<exp_id>`; `obj_ids` are RED and BLUE."""
    ids_THW = things(num_frames)
    video_name, _, exp_id = name.rpartition("/")
    return Sample(
        video=Video.from_frames(np.zeros((num_frames, 40, 40, 3), dtype=np.uint8), name=video_name),
        expression=Expression(exp_id, text, obj_ids, tags=tags),
        masks=np.isin(ids_THW, obj_ids),
        regions=Regions(lambda: ids_THW, (("red",), ("blue",))),
        instances=lambda: np.stack([ids_THW == obj_id for obj_id in obj_ids]),
    )


def predicted(video: Video, *objects_THW: np.ndarray, query: str = "") -> Prediction:
    """A prediction of these objects, bool masks_THW each."""
    masklets = [Masklet(n, tuple(map(Rle.encode, masks_THW)), np.ones(len(masks_THW))) for n, masks_THW in enumerate(objects_THW, 1)]
    return Prediction(video, (QueryResult(query, "", tuple(masklets)),))
