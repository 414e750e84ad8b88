"""What was predicted comes back the same; what was not, or was damaged, is said with its path."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from squares import BLUE, RED, predicted, sample, things

from saymask.errors import DataError, VideoError
from saymask.evaluation.prediction_files import PredictionFiles
from saymask.records import Masklet, Prediction, QueryResult, Rle

ASKED = sample("deep/v/0", "both", RED, BLUE)


def test_a_prediction_comes_back_the_same(tmp_path):
    masklets = tuple(
        Masklet(obj_id, tuple(map(Rle.encode, things() == obj_id)), np.array([0.25, 1.0], dtype=np.float32)) for obj_id in (RED, BLUE)
    )
    result = QueryResult("both", "It is [SEG].", masklets, {"reference_frames": [0, 1]})
    files = PredictionFiles(tmp_path)
    files.write(ASKED, Prediction(ASKED.video, (result,)))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")] == ["deep/v/0.json"]

    (found,) = files(ASKED).results
    assert (found.query, found.text, found.notes) == ("both", "It is [SEG].", {"reference_frames": [0, 1]})
    assert [masklet.obj_id for masklet in found.masklets] == [RED, BLUE]
    for masklet, obj_id in zip(found.masklets, (RED, BLUE), strict=True):
        assert np.array_equal([rle.decode() for rle in masklet.rle_T], things() == obj_id)
        assert masklet.frame_scores_T.tolist() == [0.25, 1.0]


def test_no_object_is_a_prediction_too(tmp_path):
    files = PredictionFiles(tmp_path)
    files.write(ASKED, predicted(ASKED.video))
    assert files.has("deep/v/0") and files(ASKED).results[0].masklets == ()


def test_other_tools_can_read_the_masks(tmp_path):
    PredictionFiles(tmp_path).write(ASKED, predicted(ASKED.video, things() == BLUE))
    content = json.loads((tmp_path / "deep/v/0.json").read_text())
    decoded = coco_mask.decode({"size": content["size"], "counts": content["objects"][0]["rle_T"][1]})
    assert np.array_equal(decoded.astype(bool), things()[1] == BLUE)


def test_a_failure_is_no_prediction_and_gives_way_to_one(tmp_path):
    files = PredictionFiles(tmp_path)
    assert not files.has("deep/v/0")
    files.write_failure("deep/v/0", VideoError("v: unreadable"))
    assert not files.has("deep/v/0")
    with pytest.raises(DataError, match=r"^v: unreadable$"):
        files(ASKED)
    files.write(ASKED, predicted(ASKED.video, things() == RED))
    assert files.has("deep/v/0")
    files.path("deep/v/0").write_text("")
    assert not files.has("deep/v/0")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"query": "both", "te', "not valid JSON"),
        ("[]", "holds a list, expected an object"),
        ('{"query": "both", "text": "", "notes": {}, "size": [40, 40]}', r"not a prediction \('objects'\)"),
        (
            json.dumps(
                {"query": "", "text": "", "notes": {}, "size": [40, 40], "objects": [{"obj_id": 1, "rle_T": [""], "scores_T": [1]}]}
            ),
            "not a prediction .bad RLE",
        ),
    ],
    ids=["cut off", "list", "no objects", "bad masks"],
)
def test_a_damaged_file_is_named(tmp_path, content, problem):
    path = tmp_path / "deep/v/0.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(DataError, match=rf"^{path}: {problem}.*predict it again with --resume$"):
        PredictionFiles(tmp_path)(ASKED)


def test_masks_of_another_release_are_named(tmp_path):
    files = PredictionFiles(tmp_path)
    longer = sample("deep/v/0", "both", RED, BLUE, num_frames=3)
    files.write(longer, predicted(longer.video, things(3) == RED))
    with pytest.raises(DataError, match=r"0\.json: the masks are \(3, 40, 40\) \(frames, height, width\), but deep/v is \(2, 40, 40\)"):
        files(ASKED)
