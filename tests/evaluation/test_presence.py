"""From what a model says about presence to a temperature in its configuration."""

import json

import numpy as np
import pytest

from saymask.errors import CheckpointError, ConfigError, DataError
from saymask.evaluation.presence import calibrate
from saymask.evaluation.scoring import said_presence
from saymask.evaluation.summaries import summarise_row
from saymask.records import Masklet, Rle
from saymask.samples import PLAIN

SURE = 1 / (1 + np.exp(-2.0))
SAID = [[SURE, 1.0], [SURE, 1.0], [SURE, 1.0], [SURE, 0.0]]


def results(split="val", said=SAID):
    return {"dataset": "toyworld-multi", "split": split, "model": "mine", "rows": {"model": {"expressions": [{"presence": said}]}}}


def write_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({"presence_head": True, "presence_temperature": 0.5, "kept": [1], **values}))
    return path


def test_the_temperature_is_multiplied_and_the_rest_of_the_configuration_kept(tmp_path):
    """Said with logits of 2, right 3 of 4 times: log 3 fits, so what was divided by 0.5 is to be divided by 0.5 * 2 / log 3."""
    path = write_config(tmp_path)
    found = calibrate(results(), tmp_path)
    values = json.loads(path.read_text())
    assert values["presence_temperature"] == pytest.approx(0.5 * 2 / np.log(3), rel=1e-3)
    assert values["kept"] == [1]
    assert found.old_error == pytest.approx(SURE - 0.75)
    assert found.error == pytest.approx(0, abs=1e-3)


def test_an_exam_calibrates_nothing(tmp_path):
    path = write_config(tmp_path)
    before = path.read_text()
    with pytest.raises(ConfigError, match="toyworld-multi test"):
        calibrate(results("test"), tmp_path)
    assert path.read_text() == before


def test_who_says_nothing_cannot_be_calibrated(tmp_path):
    write_config(tmp_path)
    with pytest.raises(DataError, match="mine"):
        calibrate(results(said=[]), tmp_path)


def test_a_model_without_a_presence_head_is_named(tmp_path):
    path = write_config(tmp_path, presence_head=False)
    with pytest.raises(CheckpointError, match=str(path)):
        calibrate(results(), tmp_path)


def tube(*columns):
    """Bool masks_THW of a square that is at these columns; None = not there."""
    masks_THW = np.zeros((len(columns), 4, 16), dtype=bool)
    for t, column in enumerate(columns):
        if column is not None:
            masks_THW[t, :, column : column + 4] = True
    return masks_THW


def masklet(obj_id, masks_THW, presence, on_frames):
    return Masklet(obj_id, tuple(map(Rle.encode, masks_THW)), np.ones(len(masks_THW)), "", presence, on_frames)


def test_each_object_is_compared_with_the_one_it_overlaps():
    truth = np.stack([tube(0, 0, None), tube(8, 8, 8)])
    found = np.stack([tube(8, 8, 8), tube(0, 0, 0), tube(4, 4, 4)])
    said = [masklet(n + 1, masks, 0.9, {0: 0.8, 2: 0.7}) for n, masks in enumerate(found)]
    pairs = said_presence(said, found, truth)
    assert pairs[:3] == [[0.9, 1.0], [0.8, 1.0], [0.7, 1.0]]
    assert pairs[3:6] == [[0.9, 1.0], [0.8, 1.0], [0.7, 0.0]]  # it is gone on frame 2
    assert pairs[6:] == [[0.9, 0.0], [0.8, 0.0], [0.7, 0.0]]  # the third stands for nothing


def test_a_sole_object_answers_for_all():
    truth = np.stack([tube(0, None), tube(None, None)])
    said = [masklet(1, tube(8, 8), 0.6, {1: 0.5})]
    assert said_presence(said, tube(8, 8)[None], truth) == [[0.6, 1.0], [0.5, 0.0]]


def test_a_row_reports_the_calibration_of_all_that_was_said():
    scores = {"j": 0.0, "f": 0.0, "j_and_f": 0.0, "tags": {}, "video": "v", "answered": True, "has_target": True}
    entries = [{"name": str(i), **scores, "presence": [pair]} for i, pair in enumerate(SAID)]
    presence = summarise_row(entries, PLAIN)["presence"]
    assert presence["count"] == 4
    assert presence["calibration_error"] == pytest.approx(SURE - 0.75)
    assert [(each["count"], each["true"]) for each in presence["bins"]] == [(4, 0.75)]
