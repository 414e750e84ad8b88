"""What is taught and what is read out of an answer."""

import numpy as np
import pytest
import torch

from saymask.errors import ConfigError
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID
from saymask.models.villa.prompts import named_phrases, naming_answer, question
from saymask.samples import Expression, Phrase

NAMED = (Phrase("the red fish", (2,)), Phrase("the two cups", (1, 3)))


def taught(villa, sample, seed=0):
    batch = villa.processor.to_batch([sample], np.random.default_rng(seed))
    labels = batch["labels_BI"][0].tolist()
    return villa.processor.decode_answer([label for label in labels if label != IGNORE_LABEL]), batch["targets"][0]


@pytest.mark.parametrize(
    ("phrases", "answer", "read"),
    [
        ([("the fish", 1)], "the fish [SEG].", ["the fish"]),
        ([("the fish", 1), ("the key", 1)], "the fish [SEG] and the key [SEG].", ["the fish", "the key"]),
        ([("a", 1), ("b", 2), ("c", 1)], "a [SEG], b [SEG] [SEG] and c [SEG].", ["a", "b", "b", "c"]),
    ],
)
def test_every_object_answers_to_the_words_before_its_token(phrases, answer, read):
    assert naming_answer(phrases) == answer
    assert named_phrases(answer) == read


def test_an_answer_without_tokens_names_nothing():
    assert named_phrases("There is no such object. [NOOBJ]") == []


def test_objects_are_taught_in_the_order_of_their_phrases(make_villa, make_squares):
    sample = make_squares(Expression("0", "Find them.", (1, 2, 3), is_sentence=True, phrases=NAMED))
    answer, targets = taught(make_villa(), sample)
    assert answer == "the red fish [SEG] and the two cups [SEG] [SEG].<|end|>"
    assert targets.group_N == (0, 1, 1)
    rows_N = [int(mask_DHW[0].any(1).float().argmax()) for mask_DHW in targets.masks_NDHW]
    assert rows_N == [10, 0, 20]  # object 2 is the second square, objects 1 and 3 the first and the third
    assert targets.visible_NK.tolist() == [[1.0] * 4] * 3


def test_what_is_not_there_is_refused_or_forced_and_empty(make_villa, make_squares):
    villa, sample = make_villa(), make_squares(Expression("0", "the blue key", ()))
    seen = {taught(villa, sample, seed)[0]: taught(villa, sample, seed)[1] for seed in range(8)}
    assert set(seen) == {"There is no such object. [NOOBJ]<|end|>", "[SEG]"}
    assert seen["[SEG]"].is_absent
    assert seen["[SEG]"].visible_NK.tolist() == [[0.0] * 4]
    assert len(seen["There is no such object. [NOOBJ]<|end|>"].group_N) == 0


def test_more_objects_than_can_be_named_are_taught_as_one(make_villa, make_squares):
    sample = make_squares(Expression("0", "all the cups", (1, 2, 3)))
    answer, targets = taught(make_villa(max_objects=2), sample)
    assert answer == "all the cups [SEG].<|end|>"
    assert targets.masks_NDHW[0, 0].sum() == 3 * 64


def test_a_query_that_speaks_for_the_model_is_refused():
    with pytest.raises(ConfigError, match=r"\[FRM\]"):
        question("the [FRM] fish")


def test_registers_stand_behind_the_question_and_are_no_part_of_it(make_villa):
    villa = make_villa()
    ids_1I = villa.processor.to_inputs("the red fish", 3)
    is_query_1I = villa.model.is_query(ids_1I)
    assert (ids_1I == villa.config.frame_token_id).sum() == 3
    assert villa.processor.decode_answer(ids_1I[is_query_1I].tolist()) == "\nthe red fish"
    after_video = int((ids_1I[0] == IMAGE_TOKEN_ID).nonzero()) + 1
    assert torch.equal(villa.model.is_query(ids_1I[:, after_video:]), is_query_1I[:, after_video:])
