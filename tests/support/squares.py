"""A world to evaluate in: videos of two 40 x 40 frames with a red 10 x 10 square and, apart from it, a blue rectangle of 20 x 15."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saymask.datasets.stored import LazySamples
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.samples import PLAIN, Benchmark, Expression, Item, Sample, in_memory, masks_by_id

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
        load_masks=masks_by_id(ids_THW, obj_ids),
        load_regions=in_memory(ids_THW),
        region_words=(("red",), ("blue",)),
    )


def set_of(*samples: Sample, benchmark: Benchmark = PLAIN) -> LazySamples:
    """A set of samples that are there already; with the same names, the same order and the same objects each time."""
    items = [Item(one.video.name, one.expression) for one in samples]
    by_name = {one.name: one for one in samples}
    return LazySamples(Path("squares"), items, lambda item: by_name[f"{item.video_name}/{item.expression.exp_id}"], benchmark)


def predicted(video: Video, *objects_THW: np.ndarray, query: str = "") -> Prediction:
    """A prediction of these objects, bool masks_THW each."""
    masklets = [Masklet(n, tuple(map(Rle.encode, masks_THW)), np.ones(len(masks_THW))) for n, masks_THW in enumerate(objects_THW, 1)]
    return Prediction(video, (QueryResult(query, "", tuple(masklets)),))
