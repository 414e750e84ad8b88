"""What one prediction is worth, computed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from squares import BLUE, RED, predicted, sample, things

from saymask.errors import DataError, VideoError
from saymask.evaluation.scoring import foreground, score_expression
from saymask.metrics.protocols import VISA_RELEASE
from saymask.records import Prediction
from saymask.samples import Sample, in_memory


def answering(*objects_THW: np.ndarray):
    return lambda asked: predicted(asked.video, *objects_THW)


def failing(asked: Sample) -> Prediction:
    raise VideoError(f"{asked.video.name}: unreadable")


def test_a_square_half_beside_its_target_has_a_third_in_common():
    entry = score_expression(sample("v/0", "red", RED, family="colour"), answering(np.roll(things() == RED, 5, axis=2)))
    assert entry["j"] == pytest.approx(50 / 150)
    assert entry["j_and_f"] == (entry["j"] + entry["f"]) / 2
    facts = {"name": "v/0", "video": "v", "text": "red", "tags": {"family": "colour"}, "has_target": True, "answered": True}
    assert {key: entry[key] for key in facts} == facts
    assert "error" not in entry


def test_scores_are_means_over_frames():
    right_then_nothing = (things() == RED) & np.array([True, False])[:, None, None]
    entry = score_expression(sample("v/0", "red", RED), answering(right_then_nothing))
    assert (entry["j"], entry["f"], entry["j_and_f"]) == (0.5, 0.5, 0.5)
    assert (entry["j_recall"], entry["j_decay"]) == (0.5, 1.0)


def test_objects_of_a_prediction_count_as_one_mask_and_silence_may_be_right():
    both = score_expression(sample("v/0", "both", RED, BLUE), answering(things() == RED, things() == BLUE))
    assert (both["j"], both["f"]) == (1.0, 1.0)
    silent = score_expression(sample("v/0", "green"), answering())
    assert (silent["j"], silent["f"], silent["has_target"], silent["answered"]) == (1.0, 1.0, False, False)


def test_instances_are_compared_one_by_one():
    """Right apart; in one piece: the blue rectangle's union with the red square has J 300/400 with blue, and red gets nothing."""
    asked = sample("v/0", "both", RED, BLUE)
    assert score_expression(asked, answering(things() == BLUE, things() == RED))["instance_j_and_f"] == 1.0
    in_one_piece = score_expression(asked, answering(things() > 0))
    assert in_one_piece["j_and_f"] == 1.0 and 0.25 < in_one_piece["instance_j_and_f"] <= (0.75 + 1) / 4
    assert score_expression(asked, answering())["instance_j_and_f"] == 0.0
    assert "instance_j_and_f" not in score_expression(sample("v/0", "red", RED), answering(things() == RED))


def test_an_image_has_its_pixel_counts():
    asked = sample("v/0", "red", RED, num_frames=1)
    entry = score_expression(asked, answering(np.roll(things(1) == RED, 5, axis=2)))
    assert (entry["intersection"], entry["union"]) == (50, 150)
    assert "j_recall" not in entry


def test_what_cannot_be_answered_scores_0_and_says_why():
    entry = score_expression(sample("v/0", "both", RED, BLUE), failing)
    assert (entry["j"], entry["f"], entry["j_and_f"], entry["instance_j_and_f"]) == (0.0, 0.0, 0.0, 0.0)
    assert entry["error"] == "v: unreadable"
    image = score_expression(sample("v/0", "red", RED, num_frames=1), failing)
    assert (image["intersection"], image["union"]) == (0, 100)
    nothing = score_expression(sample("v/0", "green", num_frames=1), failing)
    assert (nothing["j"], nothing["intersection"], nothing["union"]) == (0.0, 0, 1)  # no reward for an empty answer that was not given


@pytest.mark.parametrize(
    ("prediction_of", "reason"),
    [
        (lambda asked: Prediction(asked.video, ()), "v/0: the prediction has 0 results, expected 1"),
        (
            lambda asked: predicted(asked.video, np.ones((2, 20, 20), dtype=bool)),
            "v/0: the predicted masks are (2, 20, 20) (frames, height, width), expected (2, 40, 40)",
        ),
        (
            lambda asked: predicted(sample("w/0", "red", RED, num_frames=3).video, things(3) == RED),
            "v/0: the predicted masks are (3, 40, 40) (frames, height, width), expected (2, 40, 40)",
        ),
    ],
)
def test_predictions_of_the_wrong_form_are_failures(prediction_of, reason):
    assert score_expression(sample("v/0", "red", RED), prediction_of)["error"] == reason


def test_a_defect_of_the_predictor_and_a_missing_truth_are_not_scored():
    with pytest.raises(ZeroDivisionError):
        score_expression(sample("v/0", "red", RED), lambda asked: 1 / 0)

    def no_masks(frame_idx: Sequence[int]) -> Iterator[np.ndarray]:
        raise DataError("masks: not found")

    with pytest.raises(DataError, match=r"^masks: not found$"):
        score_expression(replace(sample("v/0", "red", RED), load_masks=no_masks), answering(things() == RED))


def test_ignored_pixels_do_not_count():
    whole = sample("v/0", "red", RED)
    ignore_THW = np.zeros((2, 40, 40), dtype=bool)
    ignore_THW[:, :, 10:] = True
    too_wide = answering((things() == RED) | ignore_THW)
    assert score_expression(whole, too_wide)["j"] == pytest.approx(100 / (50 + 40 * 30))
    assert score_expression(replace(whole, load_ignore=in_memory(ignore_THW)), too_wide)["j_and_f"] == 1.0


def test_r_is_measured_against_what_all_questions_of_the_video_mean():
    """Red marked for blue: 100 false pixels; a foreground of 300 leaves 2/3, one of 400 leaves 3/4, and 255 times as many leave nothing."""
    asked, red = sample("v/0", "blue", BLUE), answering(things() == RED)
    assert score_expression(asked, red, foreground_THW=foreground([asked]))["r"] == pytest.approx(2 / 3)
    everything = foreground([sample("v/1", "green"), asked, sample("v/2", "blue again", BLUE), sample("v/3", "both", RED, BLUE)])
    assert score_expression(asked, red, foreground_THW=everything)["r"] == pytest.approx(3 / 4)
    published = score_expression(asked, red, VISA_RELEASE, everything)
    assert published["r_x255"] == 0.0 and "r" not in published
    assert "r" not in score_expression(asked, red)


def test_a_protocol_that_adds_instances_gets_them_one_by_one():
    """Two instances that are the same 300 pixels add up to 2 there: of 1600 pixels, 1300 are as predicted."""
    asked = sample("v/0", "blue twice", BLUE, BLUE)
    summed = score_expression(asked, answering(things() == BLUE), replace(VISA_RELEASE, mask_value=1), things() > 0)
    assert summed["accuracy"] == pytest.approx(1300 / 1600, abs=1e-4)  # rounded as the script does
    assert score_expression(asked, answering(things() == BLUE), foreground_THW=things() > 0)["accuracy"] == 1.0
