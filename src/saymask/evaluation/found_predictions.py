"""Whose predictions lie in a folder: those of `saymask eval`, or masks that somebody else's script has written."""

from __future__ import annotations

from pathlib import Path

from saymask.errors import DataError
from saymask.evaluation.candidates import OWN
from saymask.evaluation.exam import Exam
from saymask.evaluation.mask_folders import MaskFolders, mask_layouts
from saymask.evaluation.prediction_files import PredictionFiles
from saymask.evaluation.predictors import Predictor

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
    name = exam.name(0)
    video = exam.item(0).video_name
    raise DataError(
        f"{folder}: no prediction for any of the {len(exam)} expressions of {exam.dataset} {exam.split}; expected e.g. {name}.json, "
        f"{name}/<frame>.png, or label maps {video}/<frame>.png"
    )
