"""VISA answers: the chosen frame, refusals, unions, the retry, how often the language model reads, and what does not influence what."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_visa import Script, bright_after, debug_segmenter, find_bright

from saymask.errors import ConfigError
from saymask.records import Prediction, Video
from saymask.session import VideoSession
from saymask.trackers.loading import load_tracker

AFFIRMS = "Sure, [SEG]."
HOLD = load_tracker("hold")


def asked(votes, says=AFFIRMS, video: Video | None = None, query="the red fish", **options) -> tuple[Prediction, Script]:
    """One query to a scripted model, whose mask is held on the other frames."""
    segmenter = debug_segmenter()
    find_bright(segmenter)
    script = Script(segmenter, votes, says)
    with VideoSession(video or bright_after(10), segmenter, HOLD) as session:
        return session.segment(query, **options), script


def test_the_mark_with_most_votes_is_the_target():
    prediction, _ = asked(["70%"] * 6 + ["20%"] * 3 + ["no idea"])
    (result,) = prediction.results
    assert result.text == AFFIRMS
    assert result.notes["target_frame"] == 14
    assert result.notes["frame_votes"] == {"bins": [0, 0, 3, 0, 0, 0, 0, 6, 0, 0, 0], "chosen": 14}
    assert result.notes["reference_frames"] == [14]
    assert result.notes["remarks"] == ["1 of 10 votes name no percentage"]
    assert result.mask(14)[10:14, 10:22].all()


def test_an_empty_mask_is_tried_again_on_the_second_mark():
    prediction, _ = asked(["20%"] * 6 + ["70%"] * 4)
    (result,) = prediction.results
    assert result.notes["target_frame"] == result.notes["frame_votes"]["chosen"] == 14
    assert result.notes["remarks"] == ["the mask on frame 4 is empty"]
    assert result.mask(19).any()


def test_two_empty_masks_are_an_object_that_is_nowhere():
    prediction, _ = asked(["20%"] * 6 + ["30%"] * 4)
    (result,) = prediction.results
    assert result.notes["target_frame"] == 4
    assert result.notes["remarks"] == ["the mask on frame 4 is empty", "the mask on frame 6 is empty"]
    assert len(result.masklets) == 1
    assert not any(result.mask(t).any() for t in range(20))


def test_an_answer_without_seg_is_a_refusal():
    prediction, _ = asked(["70%"] * 10, says="There is no such object.")
    (result,) = prediction.results
    assert (result.text, result.masklets) == ("There is no such object.", ())


def test_several_seg_are_one_mask():
    one = asked(["70%"] * 10)[0].results[0].mask(14)
    result = asked(["70%"] * 10, says="[SEG] and [SEG].")[0].results[0]
    (masklet,) = result.masklets
    union = masklet.rle_T[14].decode()
    assert union[one].all()
    assert union.sum() > one.sum()
    assert result.notes["remarks"] == ["the answer has 2 [SEG]; the mask is the union of theirs"]


def test_answers_without_a_percentage_fall_back_to_the_middle_and_say_so():
    result = asked(["here and there"] * 10)[0].results[0]
    assert result.notes["target_frame"] == 10
    assert "frame_votes" not in result.notes
    assert result.notes["remarks"] == [
        "none of 10 answers names a percentage, the first is 'here and there'; the middle of the video is taken"
    ]


def test_the_released_choice_is_the_mean():
    votes = ["10%"] * 4 + ["90%"] * 6
    assert asked(votes)[0].results[0].notes["target_frame"] == 18
    assert asked(votes, vote_choice="released")[0].results[0].notes["target_frame"] == 11


@pytest.mark.parametrize(
    ("options", "target"), [({"scorer": "first"}, 0), ({"scorer": "middle"}, 10), ({"scorer": "oracle", "target_frame": 17}, 17)]
)
def test_frames_that_need_no_model(options, target):
    result = asked([], **options)[0].results[0]
    assert (result.notes["target_frame"], result.notes["frame_scorer"]) == (target, options["scorer"])
    assert "frame_votes" not in result.notes


def test_context_frames_are_as_asked():
    def context(**options):
        return asked([], scorer="oracle", target_frame=19, **options)[0].results[0].notes["context_frames"]

    assert context(num_context=4, context="local") == [16, 17, 18, 19]
    assert context(num_context=4, context="global") == [0, 6, 13, 19]
    assert context(num_context=0) == []
    assert context() == [0, 18, 19]  # the model's own number, 3, around the target and over the rest


def test_the_language_model_reads_a_query_and_never_each_frame():
    """With a given answer: the frames with what stands before them, and the query. Votes are one batch, however long the video is."""
    _, forced = asked([], scorer="middle", answer="forced")
    assert len(forced.passes) == 2
    counts = [len(asked(["70%"] * 10, video=bright_after(10, num_frames))[1].passes) for num_frames in (20, 40)]
    assert counts[0] == counts[1]


def test_several_queries_equal_as_many_calls():
    segmenter, video = debug_segmenter(), bright_after(3, 12)
    queries = ["the red fish", "the blue key that moves", "Where is the apple?"]
    with VideoSession(video, segmenter, HOLD) as session:
        together = session.segment(queries).results
    for query, joint in zip(queries, together, strict=True):
        with VideoSession(video, segmenter, HOLD) as session:
            (alone,) = session.segment(query).results
        assert (alone.text, alone.notes) == (joint.text, joint.notes)
        assert alone.masklets == () == joint.masklets or all(np.array_equal(alone.mask(t), joint.mask(t)) for t in range(video.num_frames))


def test_votes_depend_on_the_seed_alone():
    segmenter, video = debug_segmenter(), bright_after(3, 12)

    def texts(seed: int) -> list[str]:
        seen: list[str] = []
        decode = segmenter.processor.decode_answer

        def listening(ids):
            seen.append(decode(ids))
            return seen[-1]

        segmenter.processor.decode_answer = listening
        with VideoSession(video, segmenter, HOLD) as session:
            session.segment("the red fish", seed=seed)
        segmenter.processor.decode_answer = decode
        return seen[:10]

    first = texts(0)
    assert len(set(first)) > 1
    assert first == texts(0)
    assert first != texts(1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scorer": "oracle"}, "scorer=oracle and target_frame go together"),
        ({"target_frame": 3}, "scorer=oracle and target_frame go together"),
        ({"scorer": "oracle", "target_frame": 20}, "target_frame = 20: the video has 20 frames"),
        ({"votes_url": "https://x/v1"}, "votes_url and votes_model go together"),
        ({"votes_url": "x/v1", "votes_model": "m"}, "give an http or https address"),
        ({"context": "globl"}, "did you mean 'global'?"),
        ({"template": "videolisa-mevis"}, "unknown template"),
    ],
)
def test_what_cannot_be_asked(options, said):
    with pytest.raises(ConfigError) as error:
        asked([], **{"video": bright_after(0, 20), **options})
    assert said in str(error.value)


def test_a_query_that_is_too_long_says_how_long():
    with pytest.raises(ConfigError, match="model 'debug' reads at most 4096; shorten it, or give fewer context frames"):
        asked([], scorer="middle", query="fish " * 4000)


def test_a_query_with_a_placeholder_is_refused():
    with pytest.raises(ConfigError, match="contains <image>"):
        asked([], query="the <image>")


def test_words_and_videos_it_was_not_trained_on():
    segmenter = debug_segmenter(domain_tag="saymask-toyworld")
    assert segmenter.unknown_words("the RED zeppelin") == ["zeppelin"]
    assert "drawn scenes" in str(segmenter.notice(bright_after(0)))
