"""What is asked, in which groups and parts."""

from __future__ import annotations

import pytest
from dataset_trees import TREES
from squares import RED, sample, set_of

from saymask.errors import ConfigError, UnknownName
from saymask.evaluation.exam import Exam, open_exam
from saymask.runtime import Shard


def test_expressions_are_grouped_by_video_within_the_limit():
    samples = set_of(*(sample(name, "red", RED) for name in ("a/0", "b/0", "a/1", "c/0")))
    assert Exam("squares", "test", samples).videos == {"a": [0, 2], "b": [1], "c": [3]}
    assert Exam("squares", "test", samples, limit=2).videos == {"a": [0], "b": [1]}
    assert len(Exam("squares", "test", samples, limit=9)) == 4


def test_nothing_to_ask_is_an_error():
    with pytest.raises(ConfigError, match=r"^limit 0 leaves nothing to evaluate; give 1 or more$"):
        Exam("squares", "test", set_of(sample("a/0", "red", RED)), limit=0)
    with pytest.raises(UnknownName, match="did you mean 'toyworld'"):
        open_exam("toywrld", "test")


def test_questions_are_known_before_any_video_is_opened(tmp_path):
    root = TREES["mevis"].build(tmp_path)
    exam = open_exam("mevis", "valid_u", root)
    for frame in root.rglob("*.jpg"):
        frame.unlink()
    assert list(exam.videos.items()) == [("bird", [0, 1]), ("coin", [2])]
    assert [exam.name(index) for index in range(3)] == ["bird/0", "bird/1", "coin/0"]


def test_only_a_server_can_score_masks_that_are_not_public(tmp_path):
    root = TREES["mevis"].build(tmp_path)
    public = {split: open_exam("mevis", split, root).masks_are_public for split in ("train", "valid_u", "valid")}
    assert public == {"train": True, "valid_u": True, "valid": False}


def test_answers_in_words_are_not_scored(tmp_path):
    root = TREES["llava-vqa"].build(tmp_path)
    with pytest.raises(ConfigError, match=r"^llava-vqa is answered in words and has no masks to score; it is for training, "):
        open_exam("llava-vqa", "train", root)


def test_parts_are_whole_videos_and_together_everything():
    videos = list("abcdefg")
    parts = [Shard(number, 3).of(videos) for number in (1, 2, 3)]
    assert parts == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert Shard.parse("2/8") == Shard(2, 8)


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "1/2/3", "a/b", "-1/2", "1/0"])
def test_what_is_no_part_of_a_whole_is_refused(text):
    with pytest.raises(ConfigError, match=rf"^shard '{text}' is no part of a whole; give e\.g\. 1/8"):
        Shard.parse(text)
