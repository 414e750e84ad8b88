"""One small file per expression, `<folder>/<video>/<exp_id>.json`: what was predicted, or why nothing was.

    {"size": [H, W], and what `exports.prediction_json.result_to_json` makes of a result: query, text, notes, objects}
    {"error": str}

A file appears when it is complete, so an evaluation that was stopped goes on after the last one. Names come from the dataset, which has
checked that they stay inside the folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from saymask.errors import DataError, SaymaskError
from saymask.exports.prediction_json import result_from_json, result_to_json
from saymask.records import Prediction, QueryResult
from saymask.samples import Sample
from saymask.storage.atomic import replaced_file
from saymask.storage.json_files import read_json_object


class PredictionFiles:
    """A folder of such files; called with a sample, it is a `Predictor` that reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, sample: Sample) -> Prediction:
        """Read the prediction for a sample.

        Raises:
            DataError: there is none, the file is damaged or does not fit the video; or what the file says: it could not be made.
        """
        path = self.path(sample.name)
        content = _read(path)
        if "error" in content:
            raise DataError(content["error"])
        try:
            result = result_from_json(content, content["size"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not a prediction ({error}); delete it and predict it again with --resume") from None
        _require_fit(result, sample, path)
        return Prediction(sample.video, (result,))

    def path(self, name: str) -> Path:
        """Where the prediction for a sample of that name is, or would be."""
        return self.folder / f"{name}.json"

    def has(self, name: str) -> bool:
        """Whether there is a prediction; the note that one failed is none, nor is a file that a crash of the computer has emptied."""
        try:
            return "error" not in _read(self.path(name))
        except DataError:
            return False

    def write(self, sample: Sample, prediction: Prediction) -> None:
        """Keep the one result of a prediction, in place of whatever is there.

        Raises:
            VideoError: the disk refuses.
        """
        (result,) = prediction.results
        content = {"size": [sample.video.height, sample.video.width], **result_to_json(result)}
        self._write(sample.name, content)

    def write_failure(self, name: str, error: SaymaskError) -> None:
        """Keep the reason why there is no prediction."""
        self._write(name, {"error": str(error)})

    def _write(self, name: str, content: dict[str, Any]) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as draft:
            draft.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    return read_json_object(path, DataError, "predict it again with --resume")


def _require_fit(result: QueryResult, sample: Sample, path: Path) -> None:
    """Compare the number and the size of the masks with the video's frames."""
    video = sample.video
    for masklet in result.masklets:
        found = (len(masklet.rle_T), masklet.rle_T[0].height, masklet.rle_T[0].width) if masklet.rle_T else (0, 0, 0)
        expected = (video.num_frames, video.height, video.width)
        if found != expected:
            raise DataError(
                f"{path}: the masks are {found} (frames, height, width), but {video.name} is {expected}; "
                "it was predicted from another release of the dataset, delete it and predict it again with --resume"
            )
