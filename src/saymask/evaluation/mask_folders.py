"""Predictions in folders of PNG files, one per frame, as published scripts write them.

    <video>/<exp_id>/<frame>.png            black and white, 0/255 or 0/1: VideoLISA, VISA, submissions of MeViS and Ref-YouTube-VOS
    anno_<annotator>/<video>/<frame>.png    label maps of one annotator's expressions: VideoLISA on Ref-DAVIS17
    <video>/<frame>.png                     label maps with the dataset's own numbers of objects: DAVIS

In a label map of the last kind nothing can be said about an expression without objects, be it that nothing matches or that the dataset
keeps the truth to itself.
A frame without a file, or a mask of another size than the video, makes the whole expression fail: nobody can know what was meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.mask_images import Remedies, read_pixels
from saymask.errors import DataError
from saymask.evaluation.predictors import predict_masks
from saymask.records import Prediction
from saymask.samples import Benchmark, Item, Sample


@dataclass(frozen=True)
class MaskLayout:
    """One of the three layouts above.

    Args:
        folder_of: item -> folder of its frames; None for an item that cannot be laid out so.
        is_label_map: whether a pixel is the number of an object; otherwise whatever is not black is the object.
    """

    folder_of: Callable[[Item], str | None]
    is_label_map: bool


def _of_expression(item: Item) -> str:
    return f"{item.video_name}/{item.expression.exp_id}"


def _of_annotator(item: Item) -> str:
    return f"anno_{item.expression.tags['annotator']}/{item.video_name}"


def _of_video(item: Item) -> str | None:
    return item.video_name if item.expression.obj_ids and max(item.expression.obj_ids) <= 255 else None


_BLACK_AND_WHITE = (0, 1, 255)
_VOID = (254, 255)
_FAR = 32  # no dataset of label maps has so many objects more in one video
_REMEDIES = Remedies("write it again", "enlarge masks to the size of the frames")


def mask_layouts(benchmark: Benchmark) -> list[MaskLayout]:
    """The layouts in which predictions for a benchmark may lie, the likeliest first."""
    by_annotator = [MaskLayout(_of_annotator, is_label_map=True)] if benchmark.table == "ref-davis" else []
    return [MaskLayout(_of_expression, is_label_map=False), *by_annotator, MaskLayout(_of_video, is_label_map=True)]


@dataclass(frozen=True)
class MaskFolders:
    """A tree of such folders; called with a sample, it is a `Predictor`."""

    root: Path
    layout: MaskLayout

    def __call__(self, sample: Sample) -> Prediction:
        """Read the prediction for a sample.

        Raises:
            DataError: a frame has no mask, or one that is damaged, of another size, or in colour where numbers are expected.
        """
        folder = self.layout.folder_of(Item(sample.video.name, sample.expression))
        if folder is None:
            raise DataError(f"{self.root}: {sample.name} cannot stand in a label map; write black and white masks, a folder each")
        paths = [self.root / folder / f"{name}.png" for name in sample.video.frame_names]
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise DataError(f"{missing[0]}: no mask; {len(missing)} of {len(paths)} frames have none, write one for each")
        return predict_masks(sample, np.stack([self._read(path, sample) for path in paths])[None])

    def has(self, item: Item) -> bool:
        """Whether there is a mask of any frame."""
        folder = self.layout.folder_of(item)
        return folder is not None and any((self.root / folder).glob("*.png"))

    def _read(self, path: Path, sample: Sample) -> np.ndarray:
        """The mask of one frame -> bool mask_HW."""
        pixels = read_pixels(path, sample.video, _REMEDIES)
        if not self.layout.is_label_map:
            values_HW = np.atleast_3d(pixels).max(-1)
            others = np.setdiff1d(values_HW, _BLACK_AND_WHITE)
            if others.size:
                raise DataError(
                    f"{path}: values {', '.join(map(str, others[:3].tolist()))}, but a mask is black (0) and white (255, or 1); "
                    "it was compressed, resized, or is a label map: write it again"
                )
            return values_HW > 0
        if pixels.ndim == 3:
            raise DataError(f"{path}: an image in colour, but a label map has one number per pixel; write palette or grey PNG")
        found_HW = np.isin(pixels, sample.expression.obj_ids)
        others = np.setdiff1d(pixels, [0, *_VOID])
        largest = max(sample.expression.obj_ids, default=0)
        if others.size and not found_HW.any() and others.min() > largest + _FAR:
            raise DataError(
                f"{path}: values {', '.join(map(str, others[:3].tolist()))}, but objects are numbered from 1 (this one is {largest}); "
                "write the dataset's own numbers of objects"
            )
        return found_HW
