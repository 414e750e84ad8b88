"""One sample and its prediction as a picture: a strip of frames, below it the outline of the truth, below that the prediction.

Up to four frames, from the first to the last at equal distances, so a picture hides neither the start nor the end. A single image has
its three views side by side.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from saymask.exports.drawing import draw_mask, font, query_colour
from saymask.records import Prediction, Rle
from saymask.samples import Sample

TRUTH_COLOUR, PREDICTION_COLOUR = query_colour(0), query_colour(1)

_NUM_FRAMES = 4
_SIDE = 250  # pixels on the longer side of a view
_GAP = 8
_LABEL_HEIGHT = 22
_BACKGROUND, _LABEL = (24, 27, 32), (214, 220, 228)
_QUALITY = 85

View = tuple[str, Image.Image]


def draw_case(sample: Sample, prediction: Prediction) -> bytes:
    """Return the picture as a JPEG.

    Args:
        sample: with its true masks.
        prediction: of the same video; all its objects are drawn as one.
    """
    video = sample.video
    scale = _SIDE / max(video.height, video.width)
    size = max(1, round(video.width * scale)), max(1, round(video.height * scale))
    contour = max(1, round(2 / scale))
    columns = []
    shown = np.unique(np.linspace(0, video.num_frames - 1, _NUM_FRAMES).round().astype(int)).tolist()
    for frame_idx, frame_HWC, truth_HW in zip(shown, video.frames(shown), sample.masks(shown), strict=True):
        truth_HWC, predicted_HWC = frame_HWC.copy(), frame_HWC.copy()
        draw_mask(truth_HWC, Rle.encode(truth_HW), TRUTH_COLOUR, contour, opacity=0)
        for _, masklet in prediction.objects():
            draw_mask(predicted_HWC, masklet.rle_T[frame_idx], PREDICTION_COLOUR, contour)
        columns.append([Image.fromarray(view_HWC).resize(size) for view_HWC in (frame_HWC, truth_HWC, predicted_HWC)])
    if len(shown) == 1:
        return _to_jpeg([list(zip(("image", "truth", "prediction"), columns[0], strict=True))])
    unlabelled = [""] * (len(shown) - 1)
    labels = [[f"frame {frame_idx}" for frame_idx in shown], ["truth", *unlabelled], ["prediction", *unlabelled]]
    rows = zip(labels, zip(*columns, strict=True), strict=True)
    return _to_jpeg([list(zip(names, views, strict=True)) for names, views in rows])


def _to_jpeg(grid: list[list[View]]) -> bytes:
    """Views of one size in rows, each with its label above it."""
    width, height = grid[0][0][1].size
    step_x, step_y = width + _GAP, height + _LABEL_HEIGHT
    sheet = Image.new("RGB", (len(grid[0]) * step_x + _GAP, len(grid) * step_y + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for row, views in enumerate(grid):
        for column, (label, view) in enumerate(views):
            left, top = _GAP + column * step_x, row * step_y
            draw.text((left, top + _LABEL_HEIGHT / 2), label, font=font(13), fill=_LABEL, anchor="lm")
            sheet.paste(view, (left, top + _LABEL_HEIGHT))
    file = BytesIO()
    sheet.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
