"""Answers in words: the first exchange of a conversation, without the mark for the photograph."""

import json

import pytest
from dataset_trees import build_llava_vqa, write_json

from saymask.datasets.public.vqa import load_llava_vqa
from saymask.errors import DataError


def test_a_sample_is_the_first_question_with_its_answer_and_no_target(tmp_path):
    samples = load_llava_vqa(build_llava_vqa(tmp_path), "train")
    assert [(item.video_name, item.expression.text, item.expression.answer, item.expression.obj_ids) for item in samples.items] == [
        ("000000033471", "What are the colors of the bus?", "White and red.", ()),
        ("000000033471", "Describe it.", "A bus.", ()),
    ]
    assert samples[1].video.num_frames == 1
    assert not samples[1].masks_THW.any()


@pytest.mark.parametrize(
    ("conversations", "message"),
    [
        ([{"from": "human", "value": "?"}], "conversation 1: no question with an answer; correct it"),
        ([{"value": "?"}], "conversation 1: 'from' is missing"),
        ("?", "conversation 1: 'conversations' is '?', expected list"),
    ],
)
def test_a_conversation_that_is_none_is_named(conversations, message, tmp_path):
    root = build_llava_vqa(tmp_path)
    path = root / "llava_dataset" / "llava_instruct_150k.json"
    entries = json.loads(path.read_text())
    entries[1]["conversations"] = conversations
    write_json(path, entries)
    with pytest.raises(DataError) as error:
        load_llava_vqa(root, "train")
    assert message in str(error.value)
