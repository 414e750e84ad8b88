"""Templates, chat text and ids equal the released scripts' (tests/golden/videolisa/prompts.json)."""

import json
import re
from pathlib import Path

import pytest

from saymask.errors import ConfigError
from saymask.models.parts.chat import answer_labels, encode
from saymask.models.videolisa import prompts

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/videolisa/prompts.json").read_text())
TRAINING = GOLDEN["training"]


@pytest.mark.parametrize("case", GOLDEN["image_token"]["cases"], ids=lambda case: case["prompt"].replace("\n", "/"))
def test_encode_follows_the_chunk_rule(case):
    assert encode(case["prompt"], lambda chunk: case["chunk_ids"][chunk], case["bos_token_id"]) == case["out"]


def released_cases():
    for script in ("mevis", "ref_davis", "ref_ytvos"):
        golden = GOLDEN["inference"][script]
        expressions = golden.get("input_expressions", GOLDEN["inference"]["mevis"]["input_expressions"])
        for text, example in zip(expressions, golden["examples"], strict=True):
            yield f"videolisa-{script.replace('_', '-')}", text, False, example["prompt"]
    for (text, is_sentence), example in zip(
        GOLDEN["inference"]["reason_vos"]["input_expressions"], GOLDEN["inference"]["reason_vos"]["examples"], strict=True
    ):
        yield "videolisa-reason-vos", text, is_sentence, example["prompt"]
    yield "videolisa-chat", "In this video, find the Thing.", True, GOLDEN["inference"]["chat"]["examples"][0]["prompt"]


@pytest.mark.parametrize(("script", "text", "is_sentence", "expected"), list(released_cases()))
def test_released_video_prompts(script, text, is_sentence, expected):
    assert prompts.chat(prompts.phrase(text, script, is_sentence), prompts.forced_answer(script)) == expected


def test_released_image_prompt():
    example = GOLDEN["inference"]["image_val"]["examples"]["reason_seg_val"][0]["conversations"][0]
    text = re.search(r"What is (.*) in this video", example).group(1)
    assert prompts.chat(prompts.phrase(text, "videolisa-image-val"), prompts.forced_answer("videolisa-image-val")) == example


def toy_tokenize(text):
    """The tokenizer described beside the golden labels: BOS, one id per special string, newline, word or other character."""
    special = TRAINING["labels"]["toy_example"]["special_ids"]
    pieces = re.findall(r"<\|\w+\|>|\[SEG\]|\n|[A-Za-z]+|\S", text)
    return [special["<s>"], *(special.get(piece, 1000 + hash(piece) % 1000) for piece in pieces)]


@pytest.mark.parametrize("row", [0, 1])
def test_labels_supervise_the_answer_alone(row):
    example = TRAINING["labels"]["toy_example"]
    text, expected = example["conversations"][row], example["labels"][row]
    header = text[: text.index("<|assistant|>\n") + len("<|assistant|>\n")]
    ids = encode(text, toy_tokenize, 1)
    labels = answer_labels(ids, len(encode(header, toy_tokenize, 1)))
    length = sum(example["attention_masks"][row])
    assert len(ids) == length
    assert [label == prompts.IGNORE_LABEL for label in labels] == [label == -100 for label in expected[:length]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("the red fish", "Please segment the red fish in this scene."),
        ("A dog", "Please segment the dog in this scene."),
        ("theatre curtain", "Please segment the theatre curtain in this scene."),
        ("What keeps you dry?", "What keeps you dry? Please output the segmentation masks."),
        ("  Find the key. ", "Find the key. Please output the segmentation masks."),
    ],
)
def test_auto_template(query, expected):
    assert prompts.phrase(query) == expected


def test_a_dataset_can_say_that_a_text_is_a_sentence():
    assert prompts.phrase("which one stops first", is_sentence=True) == "which one stops first Please output the segmentation masks."


def test_raw_template_changes_nothing_but_outer_spaces():
    assert prompts.phrase(" the red fish ", "raw") == "the red fish"


def test_the_placeholder_of_the_video_cannot_be_asked_for():
    with pytest.raises(ConfigError, match=r"^query 'the <image> fish' contains <image>, which stands for the video itself; leave it out$"):
        prompts.phrase("the <image> fish")
