"""Multiple choice under both protocols, and what a session makes of presence."""

import numpy as np
import pytest
from dataset_trees import build_video_reason_seg

from saymask.errors import DataError
from saymask.evaluation.exam import open_exam
from saymask.evaluation.multiple_choice import evaluate_multiple_choice
from saymask.samples import MultipleChoice
from saymask.session import VideoSession

CHOICE = MultipleChoice("What is chased?", ("a dog", "two cats", "a boat", "nothing"), 1)


def test_both_protocols_beside_chance(make_villa, tmp_path):
    exam = open_exam("video-reason-seg", "test", build_video_reason_seg(tmp_path))
    villa = make_villa()
    results = evaluate_multiple_choice(exam, villa)
    assert (results["questions"], results["chance"]) == (1, 0.25)
    assert results["likelihood"] in (0.0, 1.0)
    assert results["lengths"]["short"]["questions"] == 1


def test_the_likelihood_of_an_option_is_that_of_its_tokens(make_villa, tmp_path):
    """The score of what the model would write itself is the highest of all answers of that length."""
    villa = make_villa()
    sample = open_exam("video-reason-seg", "test", build_video_reason_seg(tmp_path)).samples[0]
    scores = villa.option_scores(VideoSession(sample.video, villa), CHOICE)
    assert len(scores) == 4
    assert np.isfinite(scores).all() and max(scores) < 0


def test_an_exam_without_options_is_refused(make_villa):
    with pytest.raises(DataError, match="toyworld-multi test"):
        evaluate_multiple_choice(open_exam("toyworld-multi", "test", limit=2), make_villa())
