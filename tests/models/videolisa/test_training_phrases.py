"""The paper's training is worded as its authors' scripts word it (tests/golden/videolisa/prompts.json)."""

import json
from pathlib import Path

import numpy as np
import pytest

from saymask.models.videolisa import training_phrases
from saymask.models.videolisa.model import VideoLisaConfig
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.prompts import ABSENT_ANSWER, SYSTEM_PROMPT, chat
from saymask.models.videolisa.training_phrases import auto_phrases, paper_phrases
from saymask.recipes.videolisa_tuning import finetune, videolisa_phi3
from saymask.samples import Expression

TRAINING = json.loads((Path(__file__).parents[2] / "golden/videolisa/prompts.json").read_text())["training"]

EXPLANATION = "It is a knife because it cuts."
TURNS = {
    "refer_seg": [Expression("0", "Right cat", (1,))],
    "reason_seg": [
        Expression("0", "the sharp object", (1,)),
        *(
            Expression("1", text, (1,), is_sentence=True, answer=answer)
            for text in ("Which Tool is sharp?", "What is used to Cut?")
            for answer in (None, EXPLANATION)
        ),
    ],
    "refer_youtube_vos": [Expression("0", "A dog  running", (1,))],
    "ref_davis": [Expression("0", "a dog running", (1,))],
    "mevis": [Expression("0", f"the two dogs walking {number}", (1,)) for number in range(8)],
    "ytvos": [Expression("0", "giant_panda", (1,))],
    "sem_seg_ade20k": [Expression("0", "person", (1,)), Expression("0", "wall", (1,))],
}
"""The expressions of the synthetic datasets that the golden conversations were drawn from."""


def with_phrases(segmenter, phrases: str) -> VideoLisaProcessor:
    return VideoLisaProcessor(segmenter.processor.tokenizer, segmenter.config, phrases=phrases)


def drawn(processor: VideoLisaProcessor, expressions: list[Expression], num_seeds: int = 200) -> set[tuple[str, str]]:
    """Every turn that the seeds give."""
    return {processor._turn(expression, np.random.default_rng(seed)) for expression in expressions for seed in range(num_seeds)}


@pytest.mark.parametrize("dataset", TURNS)
def test_what_the_released_training_says_of_a_dataset_is_said(segmenter, dataset):
    golden = {example["conversation"] for example in TRAINING["seeded_examples"][dataset]}
    turns = drawn(with_phrases(segmenter, "paper"), TURNS[dataset])
    assert golden <= {chat(question, answer, SYSTEM_PROMPT) for question, answer in turns}


def test_lists_equal_the_released_ones():
    def questions(templates, slot):
        return [f"<image>\n{template.replace('{}', slot)}" for template in templates]

    assert questions(training_phrases.SHORT_QUESTIONS, "{class_name}") == TRAINING["SHORT_QUESTION_LIST"]
    assert questions(training_phrases.LONG_QUESTIONS, "{sent}") == TRAINING["LONG_QUESTION_LIST"]
    assert list(training_phrases.EXPLANATORY_REQUESTS) == TRAINING["EXPLANATORY_QUESTION_LIST"]
    assert list(training_phrases.ANSWERS) == TRAINING["ANSWER_LIST"]


@pytest.mark.parametrize(("is_sentence", "num_questions"), [(False, 4), (True, 2)])
def test_questions_and_answers_are_drawn_evenly_and_from_the_rng_alone(is_sentence, num_questions):
    rng = np.random.default_rng(0)
    turns = [paper_phrases("The fish", is_sentence, rng) for _ in range(4000)]
    counts = [turns.count(turn) for turn in set(turns)]
    expected = 4000 / (num_questions * 5)
    assert len(counts) == num_questions * 5
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts)
    again = np.random.default_rng(0)
    assert turns[:20] == [paper_phrases("The fish", is_sentence, again) for _ in range(20)]


def test_a_sentence_stays_as_it_is_and_braces_are_text():
    question, _ = paper_phrases("Which {0}  Tool?", True, np.random.default_rng(0))
    assert question.startswith("Which {0}  Tool? Please ")
    question, _ = paper_phrases("Tool {}  A", False, np.random.default_rng(0))
    assert "tool {} a in this image" in question


def test_what_is_absent_is_denied_or_affirmed_in_the_papers_words_too(segmenter):
    answers = {answer for _, answer in drawn(with_phrases(segmenter, "paper"), [Expression("0", "the fish", ())])}
    assert answers == {ABSENT_ANSWER, *training_phrases.ANSWERS}


def test_every_answer_has_a_token_for_each_dense_frame_where_the_model_wants_so(segmenter):
    config = VideoLisaConfig.debug(seg_token_id=segmenter.config.seg_token_id, token_per_frame=True)
    processor = VideoLisaProcessor(segmenter.processor.tokenizer, config, phrases="paper")
    turns = drawn(processor, [Expression("0", "the fish", (1,), answer="It swims.")], num_seeds=30)
    assert {answer.count("[SEG]") for _, answer in turns} == {config.num_dense} != {1}


def test_without_the_papers_words_nothing_is_drawn():
    rng = np.random.default_rng(0)
    assert auto_phrases("the fish", False, rng) == ("Please segment the fish in this scene.", "Sure, [SEG].")
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_unknown_phrases_are_named_with_the_closest(segmenter):
    with pytest.raises(ValueError, match=r"'papers'.*'paper'"):
        with_phrases(segmenter, "papers")


@pytest.mark.parametrize(("recipe", "phrases"), [(videolisa_phi3, paper_phrases), (finetune, auto_phrases)])
def test_recipes_say_how_samples_are_worded(segmenter, recipe, phrases):
    processor = VideoLisaProcessor(segmenter.processor.tokenizer, segmenter.config, **recipe().processor)
    assert processor.phrases is phrases
