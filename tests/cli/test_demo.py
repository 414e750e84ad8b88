"""The demo with the bundled model itself: each answer is about the thing that was asked for."""

import numpy as np
import pytest

from saymask.cli.demo import QUESTIONS, SCENE, SPLIT, write_clip
from saymask.models.checkpoints import load_model
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.toyworld.dataset import TIMELINE, load_toyworld
from saymask.video.reader import open_source


@pytest.fixture(scope="module")
def truth_THW() -> np.ndarray:
    """Number of the thing at every pixel of the demo's video, 0 for the background."""
    return load_toyworld(None, SPLIT)[SCENE].regions(range(TIMELINE))


def test_the_questions_name_three_things_that_are_mostly_in_view(truth_THW):
    assert len(QUESTIONS) == len(set(QUESTIONS.values())) == 3
    for number in QUESTIONS.values():
        assert (truth_THW == number).any((1, 2)).mean() > 0.5


def test_each_answer_overlaps_its_own_thing_more_than_the_other_two(truth_THW, tmp_path):
    write_clip(load_toyworld(None, SPLIT)[SCENE].video, tmp_path / "video.mp4")
    with VideoSession(open_source(tmp_path / "video.mp4"), load_model("toy", Runtime("cpu"))) as session:
        prediction = session.segment(list(QUESTIONS))
    for number, result in zip(QUESTIONS.values(), prediction.results, strict=True):
        found_THW = np.stack([result.mask(i) for i in range(prediction.video.num_frames)])
        iou = {other: iou_of(found_THW, truth_THW == other) for other in QUESTIONS.values()}
        assert iou[number] > max(value for other, value in iou.items() if other != number), (result.query, iou)


def iou_of(found_THW: np.ndarray, truth_THW: np.ndarray) -> float:
    return float((found_THW & truth_THW).sum() / (found_THW | truth_THW).sum())
