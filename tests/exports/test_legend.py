"""Which line of the legend has which objects and colour."""

import numpy as np
import pytest
from PIL import Image

from saymask.exports.contact_sheet import write_sheet
from saymask.exports.drawing import QUERY_COLOURS, legend_entries
from saymask.exports.overlay import write_overlay
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video


def masklet(obj_id, column, phrase="", frames=1):
    mask_HW = np.zeros((80, 160), dtype=bool)
    mask_HW[5:25, column : column + 20] = True
    return Masklet(obj_id, (Rle.encode(mask_HW),) * frames, np.ones(frames), phrase)


def result(*masklets, query="which two things cross?", text=""):
    return QueryResult(query, text, masklets, {"reference_frames": [0]})


@pytest.mark.parametrize(
    ("masklets", "texts"),
    [
        ((masklet(1, 0), masklet(2, 40)), ["which two things cross?"]),
        ((masklet(1, 0, "the fish"), masklet(2, 40, "the key")), ["the fish", "the key"]),
        ((masklet(1, 0, "the cups"), masklet(2, 40, "the cups"), masklet(3, 80, "the key")), ["the cups 1", "the cups 2", "the key"]),
        ((), ["which two things cross? (nothing found)"]),
        ((masklet(1, 0, "鱼"),), ["which two things cross?"]),
    ],
)
def test_objects_with_words_have_a_line_each(masklets, texts):
    (entries,) = legend_entries([result(*masklets)])
    assert [entry.text for entry in entries] == texts
    assert [m.obj_id for entry in entries for m in entry.masklets] == [m.obj_id for m in masklets]


def test_every_object_is_drawn_in_the_colour_of_its_line(tmp_path):
    video = Video.from_frames(np.full((1, 80, 160, 3), 100, dtype=np.uint8))
    fish, key = masklet(1, 0, "the fish"), masklet(2, 40, "the key")
    other = result(masklet(1, 100), query="the boat")
    path = write_overlay(Prediction(video, (result(fish, key), other)), tmp_path)
    pixels_HWC = np.asarray(Image.open(path).convert("RGB"))
    for place, column in enumerate((0, 40, 100)):  # the contour has the pure colour
        assert tuple(pixels_HWC[5, column + 10]) == QUERY_COLOURS[place]


def test_the_sheet_says_what_was_answered_and_which_frames_were_chosen(tmp_path):
    """Text is pixels: the same sheet without words and notes differs in the lines above the frames, and nowhere else."""
    video = Video.from_frames(np.full((1, 80, 160, 3), 100, dtype=np.uint8))
    named = result(masklet(1, 0, "the fish"), masklet(2, 40, "the key"), text="the fish [SEG] and the key [SEG].")
    silent = QueryResult(named.query, "", named.masklets, {})
    sheets = []
    for name, each in (("a", named), ("b", silent)):
        (tmp_path / name).mkdir()
        sheets.append(np.asarray(Image.open(write_sheet(Prediction(video, (each,)), tmp_path / name)).convert("RGB")).astype(int))
    rows = np.flatnonzero(np.abs(sheets[0] - sheets[1]).any(axis=(1, 2)))
    assert len(rows) and rows.max() - rows.min() < 18  # one line of small text
