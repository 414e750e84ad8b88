"""Answers in the model's own words: greedy, cached, and with the very states that a forced pass would read."""

import numpy as np
import pytest
import torch

from saymask.errors import ConfigError
from saymask.models.parts.visual_prefix import split_at_video
from saymask.models.videolisa.options import VideoLisaOptions
from saymask.records import Video
from saymask.session import VideoSession
from saymask.session.asking import AskedVideo

SEG_AND_END = "Sure, [SEG] and [SEG]."


@pytest.fixture
def scripted(segmenter, monkeypatch):
    """The debug model, made to say a fixed text: its vocabulary head is replaced, its states are its own."""
    script = segmenter.processor.tokenizer(SEG_AND_END + "<|end|>").input_ids
    head = segmenter.model.language_model.lm_head
    spoken = {"step": 0}

    def say_next(state):
        logits = torch.zeros(*state.shape[:-1], head.out_features)
        logits[..., script[min(spoken["step"], len(script) - 1)]] = 1
        spoken["step"] += 1
        return logits

    monkeypatch.setattr(head, "forward", say_next)
    return segmenter, script


def write(model, ids, visual, end_token_id, max_new_tokens):
    opening, suffix = split_at_video(ids)
    return model.generate(model.read_prefix(opening, visual), suffix, end_token_id, max_new_tokens)


def test_states_caught_while_writing_equal_a_forced_pass(scripted):
    segmenter, script = scripted
    model, processor = segmenter.model, segmenter.processor
    question = processor.to_inputs(["the red fish"], answer="generate")
    visual = torch.randn(1, 12, 32)
    (answer,) = write(model, question, visual, processor.end_token_id, max_new_tokens=64)
    assert list(answer.token_ids) == script[:-1]
    forced = torch.cat([question, torch.tensor([script])], dim=1)
    hidden, spliced = model.hidden_states(forced, visual)
    expected, _ = model.seg_hidden(forced, hidden, spliced)
    assert expected.shape == answer.seg_hidden_NE.shape == (2, 32)
    assert torch.allclose(answer.seg_hidden_NE, expected, atol=1e-4)


def test_the_question_ends_where_the_forced_answer_begins(segmenter):
    question = segmenter.processor.to_inputs(["the red fish"], answer="generate")[0].tolist()
    forced = segmenter.processor.to_inputs(["the red fish"])[0].tolist()
    assert forced[: len(question)] == question
    assert segmenter.processor.decode_answer(forced[len(question) :]) == "Sure, [SEG].<|end|>"


def test_greedy_choice_with_the_cache_equals_greedy_choice_without(segmenter):
    model, processor = segmenter.model, segmenter.processor
    ids, visual = processor.to_inputs(["the red fish"], answer="generate"), torch.randn(1, 12, 32)
    (answer,) = write(model, ids, visual, processor.end_token_id, max_new_tokens=5)
    assert len(answer.token_ids) == 5  # an untrained model does not end; it is cut off
    for token in answer.token_ids:
        hidden, _ = model.hidden_states(ids, visual)
        assert model.language_model.lm_head(hidden[0, -1]).argmax().item() == token
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)


def test_several_seg_give_several_objects_and_their_text(scripted):
    segmenter, _ = scripted
    video = Video.from_frames(np.zeros((6, 32, 32, 3), dtype=np.uint8))
    with VideoSession(video, segmenter) as session:
        (result,) = session.segment("the red fish", answer="generate").results
    assert result.text == SEG_AND_END
    assert [masklet.obj_id for masklet in result.masklets] == [1, 2]
    assert result.notes["answer"] == "generate"


def test_an_answer_without_seg_gives_no_object_and_reads_no_further_frame(segmenter, monkeypatch):
    monkeypatch.setattr(type(segmenter.model), "generate", lambda self, prefix, ids, end, most: [refusal() for _ in ids])
    video = Video.from_frames(np.zeros((6, 32, 32, 3), dtype=np.uint8))
    with VideoSession(video, segmenter) as session:
        monkeypatch.setattr(AskedVideo, "feature_chunks", lambda self: pytest.fail("there is nothing to decode"))
        prediction = session.segment(["the red fish", "Where is the apple?"], answer="generate")
    assert [result.masklets for result in prediction.results] == [(), ()]
    assert prediction.masks(0).shape == (0, 32, 32)


def refusal():
    from saymask.models.parts.reasoning import Generated

    return Generated((7,), torch.zeros(0, 32))


def test_questions_of_different_length_keep_their_order(segmenter):
    queries = ["the red fish", "Where is the apple?", "the blue key"]
    video = Video.from_frames(np.zeros((6, 32, 32, 3), dtype=np.uint8))
    with VideoSession(video, segmenter) as session:
        together = segmenter.reason(session, queries, VideoLisaOptions(answer="generate"))
        alone = [segmenter.reason(session, [query], VideoLisaOptions(answer="generate"))[0] for query in queries]
    assert [answer.text for answer in together] == [answer.text for answer in alone]


def test_unknown_answer_mode(segmenter):
    video = Video.from_frames(np.zeros((6, 32, 32, 3), dtype=np.uint8))
    with VideoSession(video, segmenter) as session, pytest.raises(ConfigError, match=r"answer = 'generated': .*'forced' or 'generate'"):
        session.segment("the red fish", answer="generated")


def test_unknown_template(segmenter):
    video = Video.from_frames(np.zeros((6, 32, 32, 3), dtype=np.uint8))
    with VideoSession(video, segmenter) as session, pytest.raises(ConfigError, match=r"template = 'rwa': .*did you mean 'raw'"):
        session.segment("the red fish", template="rwa")
