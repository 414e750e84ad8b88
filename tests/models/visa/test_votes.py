"""What answers to the sampler's question mean: the released table exactly (tests/golden/visa/tfs.json), and ours beside it."""

import json

import pytest
from golden_visa import FOLDER

from saymask.models.visa.prompts import RELEASED
from saymask.models.visa.votes import (
    MOVIE_END,
    MOVIE_OPENING,
    NUM_VOTES,
    VOTE_TEMPERATURE,
    VOTE_TOP_P,
    frame_at,
    histogram,
    mark_of,
    ranked_marks,
    released_fraction,
    released_frame,
)

TFS = json.loads((FOLDER / "tfs.json").read_text(encoding="utf-8"))


def test_the_question_is_the_released_one():
    asked = TFS["question"]
    assert RELEASED.sampler == asked["template"].replace("{exp}", "{}")
    example = asked["example_with_question_mark"]
    assert RELEASED.sampler_question(example["expression"]) == example["question"]
    assert asked["repeats_per_expression"] == NUM_VOTES


def test_what_is_said_to_a_server_and_how_it_samples():
    server = TFS["server"]
    assert (server["prompt_start"], server["prompt_end"]) == (MOVIE_OPENING, MOVIE_END)
    assert (server["generation"]["temperature"], server["generation"]["top_p"]) == (VOTE_TEMPERATURE, VOTE_TOP_P)


def test_each_entry_of_the_released_table_is_read():
    for text, value in TFS["table_in_scan_order"]:
        assert released_fraction([text]) == value


@pytest.mark.parametrize("case", TFS["single"], ids=lambda case: case["response"] or "nothing")
def test_the_released_reading_of_one_answer(case):
    assert released_fraction([case["response"]]) == case["tp"]
    assert case["hit"] is None or case["hit"][1] == case["tp"]


@pytest.mark.parametrize("case", TFS["several"])
def test_the_released_mean_of_several_answers(case):
    assert released_fraction(case["responses"]) == case["tp"]


def test_released_frames():
    for num_frames, fraction, expected in TFS["frame_index"]["rows"]:
        assert released_frame(fraction, num_frames) == expected


@pytest.mark.parametrize("case", TFS["unanimous_votes"])
def test_unanimous_votes_are_exact_with_us_and_rounded_down_in_the_released_code(case):
    responses = [f"{round(case['vote'] * 100)}%"] * case["votes"]
    fraction = released_fraction(responses)
    assert (fraction, repr(fraction)) == (case["tp"], case["tp_repr"])
    (mark,) = ranked_marks(histogram(responses))
    for num_frames in case["index"]:
        assert released_frame(fraction, int(num_frames)) == case["index"][num_frames]
        assert frame_at(mark, int(num_frames)) == case["index_if_tp_were_exact"][num_frames]


@pytest.mark.parametrize(
    ("response", "mark"),
    [
        ("You should check the 50% mark.", 5),
        ("The object appears at 70% and again at 20%.", 7),
        ("Last 30 % of the video", 7),
        ("in the last 0%", 10),
        ("about 25%", 3),
        ("64.9%", 6),
        ("110%, no, 40%", 4),
        ("100%", 10),
        ("0%", 0),
        ("half way", None),
        ("", None),
    ],
)
def test_our_reading_takes_the_first_percentage_there_can_be(response, mark):
    assert mark_of(response) == mark


def test_the_mode_wins_and_ties_go_to_the_median():
    assert ranked_marks(histogram(["10%"] * 3 + ["90%"] * 4 + ["50%"])) == [9, 1, 5]
    # Median 5: 4 and 8 have two votes each, 4 is nearer.
    assert ranked_marks(histogram(["40%", "40%", "80%", "80%", "50%"])) == [4, 8, 5]
    assert ranked_marks(histogram(["no idea"])) == [5]


def test_a_mean_of_two_groups_is_a_mark_of_neither():
    responses = ["10%"] * 5 + ["90%"] * 5
    assert released_frame(released_fraction(responses), 100) == 50
    assert frame_at(ranked_marks(histogram(responses))[0], 100) in (10, 90)
