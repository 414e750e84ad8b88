"""What each family's network has to do for a call: frames and tokens counted by hand, a word being a token."""

import pytest

from saymask.lookup import families
from saymask.models.workload import ANSWER_TOKENS, Reading

QUERIES = ["the red fish", "the big blue key"]


def words(text: str) -> int:
    return len(text.split())


def workload(name: str, num_frames: int, answer: str = "forced", queries=QUERIES, **numbers):
    family = families()[name]
    config = family.load("model").config_class.debug(**numbers)
    return family.load("workload")(config, num_frames, queries, answer, words)


def test_videolisa_reads_the_video_once_and_all_queries_on_top_of_it():
    """4 sparse frames, 2 of them dense with 4 tokens each: 12 tokens behind the word "<|user|>"."""
    work = workload("videolisa", num_frames=10)
    assert work.readings[0] == Reading(rows=1, tokens=1 + 12)
    # "Please segment the big blue key in this scene.<|end|>" is 9 words, "<|assistant|>" and "Sure, [SEG].<|end|>" 3 more.
    assert work.readings[1] == Reading(rows=2, tokens=12, past=13)
    assert (work.tower_frames, work.reference_frames, work.objects, work.frames_at_once) == (4, 2, 2, None)


def test_a_written_answer_is_read_token_by_token():
    given, written = (workload("videolisa", 10, answer).readings for answer in ("forced", "generate"))
    assert len(written) == len(given) + 1
    # Nothing is given behind "<|assistant|>" but the closing mark.
    assert written[-1] == Reading(rows=2, tokens=1, past=13 + 11, times=ANSWER_TOKENS, written=True)


def test_a_short_video_has_fewer_frames_to_encode():
    assert workload("videolisa", num_frames=1).tower_frames == 1
    assert workload("villa", num_frames=3).reference_frames == 3


def test_visa_votes_on_a_frame_and_segments_it_for_each_query():
    """3 context frames of 3 + 2 tokens each (debug: 4 patches merged to 3 and 2)."""
    work = workload("visa", num_frames=10)
    per_query = [reading for reading in work.readings if reading.rows == 10]
    assert len(per_query) == 2 * len(QUERIES)  # ten votes are read and written for each
    assert [reading.tokens for reading in work.readings if not reading.past] == [1 + 3 * 5, 1 + 4 * 5, 1 + 4 * 5]
    assert (work.reference_frames, work.objects, work.frames_at_once) == (2, 1, 1)


def test_villa_reads_key_frames_for_each_query():
    """2 x 2 key frames of 4 tokens, 2 context frames of one: 18 tokens behind the word "<|user|>"."""
    work = workload("villa", num_frames=10)
    assert [reading.tokens for reading in work.readings if not reading.past] == [1 + 18, 1 + 18]
    assert work.tower_frames == 10 + 10  # all of the coarse stream, then at most every frame
    assert work.objects == 2


@pytest.mark.parametrize("name", [name for name, family in families().items() if family.model])
def test_every_family_with_a_network_says_what_it_has_to_do(name):
    assert families()[name].workload
