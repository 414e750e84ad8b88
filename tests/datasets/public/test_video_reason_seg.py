"""Our schema for questions whose answers name several objects."""

import json

import pytest
from dataset_trees import build_video_reason_seg

from saymask.datasets.public.video_reason_seg import load_video_reason_seg
from saymask.errors import DataError


@pytest.fixture
def root(tmp_path):
    return build_video_reason_seg(tmp_path)


def test_phrases_follow_the_slots_of_the_answer(root):
    both, nobody = load_video_reason_seg(root, "test")
    assert [(phrase.text, phrase.obj_ids) for phrase in both.expression.phrases] == [("the dog", (0,)), ("the cats", (1, 2))]
    assert both.expression.answer == "The dog chases the cats."
    assert both.expression.tags == {"length": "short", "type": "who"}
    assert both.instances([0]).shape[0] == 3
    assert (nobody.expression.obj_ids, nobody.expression.answer, nobody.expression.multiple_choice) == ((), None, None)


def test_options_are_a_choice_and_in_training_a_question_of_their_own(root):
    choice = load_video_reason_seg(root, "test")[0].expression.multiple_choice
    assert choice.options[choice.correct] == "two cats"
    names = {item.expression.exp_id: item.expression for item in load_video_reason_seg(root, "train").items}
    assert set(names) == {"0", "0-mc", "1"}
    assert names["0-mc"].answer == "(B) two cats"
    assert "(A) a dog (B) two cats (C) a boat (D) nothing" in names["0-mc"].text


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda meta: meta.pop("long"), "'long'"),
        (lambda meta: meta["long"].pop("frames"), "'frames'"),
        (lambda meta: meta["videos"]["chase"].update(split="medium"), "'medium'"),
        (lambda meta: meta["videos"]["chase"]["samples"]["0"].update(answer="The dog {0}."), r"slots \[0\].*\[0, 1\]"),
        (lambda meta: meta["videos"]["chase"]["samples"]["0"]["mc"].update(correct=4), "below 4"),
        (lambda meta: meta["videos"]["chase"]["samples"]["0"]["instances"][1].update(slot=0), "the slot 0"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(root, change, facts):
    path = root / "meta_test.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))
    with pytest.raises(DataError, match=facts) as error:
        load_video_reason_seg(root, "test")
    assert str(path) in str(error.value)
