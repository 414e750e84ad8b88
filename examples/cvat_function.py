"""A CVAT auto-annotation function: sentences find objects on each image of a task, as masks.

    pip install 'saymask[cvat]'
    cvat-cli task auto-annotate TASK_ID --function-file examples/cvat_function.py \\
        -p queries='str:the red fish|all keys' -p model=str:toy --allow-unmatched-labels

The labels of the task must have the sentences as names. CVAT gives one image at a time; for masks that follow an object through a video,
export a whole video with `saymask segment VIDEO "the red fish" --format cvat` and import that.
"""

from __future__ import annotations

from collections.abc import Sequence

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image
from cvat_sdk import models
from cvat_sdk.masks import encode_mask

import saymask
from saymask.exports.tools.polygons import polygons
from saymask.records import Rle, Video
from saymask.session import VideoSession


class SaymaskFunction:
    """What CVAT calls.

    Args:
        queries: sentences, separated by |; each is a label.
        model, device: as for `saymask.load_model`.
    """

    def __init__(self, queries: str, model: str = "toy", device: str | None = None) -> None:
        self.queries = [query.strip() for query in queries.split("|")]
        self._model = saymask.load_model(model, device)

    @property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        return cvataa.DetectionFunctionSpec(labels=[cvataa.label_spec(query, number) for number, query in enumerate(self.queries)])

    def detect(self, context: cvataa.DetectionFunctionContext, image: PIL.Image.Image) -> Sequence[models.LabeledShapeRequest]:
        """The objects of every sentence on one image, as masks, or as polygons if the user asks CVAT for them."""
        video = Video.from_frames(np.asarray(image.convert("RGB"))[None], name="image")
        with VideoSession(video, self._model) as session:
            prediction = session.segment(self.queries)
        shapes: list[models.LabeledShapeRequest] = []
        for _, label_id, masklet in prediction.tracks():
            rle, score = masklet.rle_T[0], float(masklet.frame_scores_T[0])
            if rle.area and score >= (context.conf_threshold or 0):
                shapes += _polygons(label_id, rle) if context.conv_mask_to_poly else [cvataa.mask(label_id, encode_mask(rle.decode()))]
        return shapes


def _polygons(label_id: int, rle: Rle) -> list[models.LabeledShapeRequest]:
    return [cvataa.polygon(label_id, polygon.bridged().ravel().tolist()) for polygon in polygons(rle, tolerance=1)]


def create(queries: str, model: str = "toy", device: str | None = None) -> cvataa.DetectionFunction:
    """How CVAT makes the function from what follows -p."""
    return SaymaskFunction(queries, model, device)
