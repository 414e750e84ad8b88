"""What a training batch asks and answers, beyond what `test_videolisa` covers: answers in words, and the choice of frames."""

import numpy as np
import pytest

from saymask.errors import DataError
from saymask.models.parts.chat import IGNORE_LABEL
from saymask.models.videolisa.processor import CLIP_SAMPLERS, VideoLisaProcessor
from saymask.models.videolisa.training_phrases import EXPLANATORY_REQUESTS
from saymask.records import Video
from saymask.samples import Expression, Sample, in_memory
from saymask.video.sampling import SparseDense


def make_sample(expression, num_frames=6):
    frames_THWC = np.arange(num_frames, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3)
    empty_TNHW = np.zeros((num_frames, len(expression.obj_ids), 32, 32), bool)
    return Sample(Video.from_frames(frames_THWC), expression, in_memory(empty_TNHW))


def turn(segmenter, expression):
    """Question and answer of a batch of one sample, as text."""
    batch = segmenter.processor.to_batch([make_sample(expression)], np.random.default_rng(0))
    ids, labels = batch["input_ids_BI"][0].tolist(), batch["labels_BI"][0].tolist()
    answered = labels.index(next(label for label in labels if label != IGNORE_LABEL))
    decode = segmenter.processor.decode_answer
    return decode([token for token in ids[:answered] if token >= 0]), decode(ids[answered:])


def test_an_explanation_is_asked_for_and_follows_the_mask(segmenter):
    question, answer = turn(segmenter, Expression("0", "What keeps you dry?", (1,), is_sentence=True, answer="Umbrellas do."))
    assert answer == "Sure, [SEG]. Umbrellas do.<|end|>"
    assert any(f"What keeps you dry? {request}<|end|>" in question for request in EXPLANATORY_REQUESTS)


def test_an_answer_instead_of_a_mask_is_asked_for_without_one(segmenter):
    question, answer = turn(segmenter, Expression("0", "How many fish?", (), is_sentence=True, answer="Two."))
    assert answer == "Two.<|end|>"
    assert "How many fish?<|end|>" in question


@pytest.mark.parametrize(("supervised", "masked"), [(None, [2, 5]), (4, [0, 2, 3, 5])])
def test_the_sampler_chooses_frames_and_dense_slots(segmenter, supervised, masked, monkeypatch):
    def sampler(num_frames, num_sparse, num_dense, rng):
        assert (num_frames, num_sparse, num_dense) == (6, 4, 2)
        return SparseDense(np.array([0, 2, 3, 5]), np.array([1, 3]))

    monkeypatch.setitem(CLIP_SAMPLERS, "mine", sampler)
    processor = VideoLisaProcessor(segmenter.processor.tokenizer, segmenter.config, supervised, clips="mine")
    batch = processor.to_batch([make_sample(Expression("0", "the fish", (1,)))], np.random.default_rng(0))
    assert batch["dense_slots_BD"].tolist() == [[1, 3]]
    # Every frame is grey, as bright as its number; the mask encoder's input is (value - 123.675) / 58.395 in red.
    red = batch["mask_pixels_BDChw"][0, :, 0, 0, 0].numpy() * 58.395 + 123.675
    assert red == pytest.approx(masked, abs=1e-3)


@pytest.mark.parametrize("expression", [Expression("3", "the [SEG] fish", (1,)), Expression("3", "How many?", (), answer="[SEG]")])
def test_a_sentence_with_the_token_of_masks_is_refused(segmenter, expression):
    with pytest.raises(DataError, match=r"^expression '3', '.*': \[SEG\] stands for a mask; leave it out$"):
        segmenter.processor.to_batch([make_sample(expression)], np.random.default_rng(0))


def test_unknown_clips_are_refused(segmenter):
    with pytest.raises(ValueError, match="unknown clips 'refr'; did you mean 'refer'"):
        VideoLisaProcessor(segmenter.processor.tokenizer, segmenter.config, clips="refr")
