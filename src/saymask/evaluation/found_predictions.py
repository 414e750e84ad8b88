"""Whose predictions lie in a folder: those of `saymask eval`, masks that somebody else's script has written, or a tool's export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saymask.datasets.own.masks import MaskFinder, place_frames
from saymask.errors import DataError
from saymask.evaluation.candidates import OWN
from saymask.evaluation.exam import Exam
from saymask.evaluation.mask_folders import MaskFolders, mask_layouts
from saymask.evaluation.prediction_files import PredictionFiles
from saymask.evaluation.predictors import Predictor, predict_masks
from saymask.lookup import suggest
from saymask.records import Prediction
from saymask.samples import Item, Sample

_SUBFOLDERS = (".", OWN, "Annotations")


def find_predictions(folder: Path, exam: Exam) -> Predictor:
    """Recognise the layout of a folder by the first expression of an exam that has something in it.

    Args:
        folder: with the files themselves, or with `predictions/` or `Annotations/` that holds them.
        exam: what should have been predicted.

    Raises:
        DataError: nothing in it belongs to the exam, or it does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the one that holds the predictions")
    layouts = mask_layouts(exam.samples.benchmark)
    roots = [folder / name for name in _SUBFOLDERS if (folder / name).is_dir()]
    for index in range(len(exam)):
        item = exam.item(index)
        for root in roots:
            files = PredictionFiles(root)
            if files.path(exam.name(index)).exists():
                return files
            for layout in layouts:
                masks = MaskFolders(root, layout)
                if masks.has(item):
                    return masks
    for root in roots:
        exports = ExportedMasks(root)
        if any(exports.has(exam.item(index)) for index in range(len(exam))):
            return exports
    name = exam.name(0)
    video = exam.item(0).video_name
    raise DataError(
        f"{folder}: no prediction for any of the {len(exam)} expressions of {exam.dataset} {exam.split}; expected e.g. {name}.json, "
        f"{name}/<frame>.png, label maps {video}/<frame>.png, or what a tool has exported, {video}.json or {video}.xml"
    )


@dataclass(frozen=True)
class ExportedMasks:
    """Masks of each video in a form in which own data may be (`datasets.own.masks`); called with a sample, it is a `Predictor`.

    An expression's prediction is what bears its sentence as label. As in a label map, nothing can be said about a sentence that no object
    bears: it may have been found nowhere, or never asked.
    """

    root: Path

    def __call__(self, sample: Sample) -> Prediction:
        """Read the prediction for a sample.

        Raises:
            DataError: its video has no masks, nothing is labelled with its sentence, or frames of the video are missing in the export.
        """
        video, text = sample.video, sample.expression.text
        masks = self._finder.find(video.name)
        if masks is None:
            raise DataError(f"{self.root}: no masks of the video {video.name}; export them to {self.root / video.name}.json or .xml")
        obj_ids = masks.obj_ids(text)
        if not obj_ids:
            raise DataError(
                f"{masks.place}: nothing is labelled {text!r}, the sentence of {sample.name}; {suggest(text, list(masks.names))}"
            )
        placed = place_frames(masks.frames, video, masks.place)
        missing = [video.frame_names[index] for index in range(video.num_frames) if index not in placed]
        if missing:
            raise DataError(
                f"{masks.place}: {len(missing)} of {video.num_frames} frames are not in it, such as {missing[0]}; export all of them"
            )
        found_THW = np.stack([masks.masks(obj_ids, placed[index], video).any(axis=0) for index in range(video.num_frames)])
        return predict_masks(sample, found_THW[None])

    def has(self, item: Item) -> bool:
        """Whether a tool has exported something about an item's video."""
        return self._finder.has_export(item.video_name)

    @property
    def _finder(self) -> MaskFinder:
        return MaskFinder(self.root, {}, below=".")
