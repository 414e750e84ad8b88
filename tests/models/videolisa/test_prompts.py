"""Templates, chat text and ids equal the released scripts' (tests/golden/videolisa/prompts.json)."""

import json
import re
from pathlib import Path

import pytest
import torch

from saymask.errors import ConfigError
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_PLACEHOLDER, IMAGE_TOKEN_ID, SEG_TOKEN, answer_labels, encode
from saymask.models.parts.pixels import MASK_MEAN, MASK_STD, TOWER_MEAN, TOWER_STD
from saymask.models.videolisa import prompts
from saymask.video.sampling import sparse_dense
from saymask.video.transforms import for_mask_encoder, for_vision_tower, longest_side

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/videolisa/prompts.json").read_text())
TRAINING, SCRIPTS = GOLDEN["training"], GOLDEN["inference"]


def test_the_chat_is_the_conversation_template():
    template, turns = GOLDEN["conversation_template"], ("<image>\nthe question", "the answer")
    parts = [template["system"], *(role + turn for role, turn in zip(template["roles"], turns, strict=True)), ""]
    assert prompts.chat("the question", "the answer") == template["sep"].join(parts)
    names = ("placeholder", "image_token_index", "ignore_index")
    ours = IMAGE_PLACEHOLDER, IMAGE_TOKEN_ID, IGNORE_LABEL
    assert ours == tuple(GOLDEN["image_token"][name] for name in names)
    assert GOLDEN["seg_token"]["text"] == SEG_TOKEN


@pytest.mark.parametrize("case", GOLDEN["image_token"]["cases"], ids=lambda case: case["prompt"].replace("\n", "/"))
def test_encode_follows_the_chunk_rule(case):
    assert encode(case["prompt"], lambda chunk: case["chunk_ids"][chunk], case["bos_token_id"]) == case["out"]


def released_cases():
    for script in ("mevis", "ref_davis", "ref_ytvos"):
        golden = SCRIPTS[script]
        expressions = golden.get("input_expressions", SCRIPTS["mevis"]["input_expressions"])
        for text, example in zip(expressions, golden["examples"], strict=True):
            yield script, text, False, example["prompt"]
    reason_vos = SCRIPTS["reason_vos"]
    for (text, is_sentence), example in zip(reason_vos["input_expressions"], reason_vos["examples"], strict=True):
        yield "reason_vos", text, is_sentence, example["prompt"]
    yield "chat", "In this video, find the Thing.", True, SCRIPTS["chat"]["examples"][0]["prompt"]
    for examples in SCRIPTS["image_val"]["examples"].values():
        for (prompt,) in (example["conversations"] for example in examples):
            noun = re.search(r"\n What is (.*) in this video\?", prompt)
            sentence = re.search(r"\n (.*) Please output", prompt)
            yield "image_val", (noun or sentence)[1], noun is None, prompt


@pytest.mark.parametrize(("script", "text", "is_sentence", "expected"), list(released_cases()))
def test_released_prompts(script, text, is_sentence, expected):
    template = f"videolisa-{script.replace('_', '-')}"
    assert prompts.forced_answer(template) == SCRIPTS[script]["answer"]
    assert prompts.chat(prompts.phrase(text, template, is_sentence), prompts.forced_answer(template)) == expected


def test_every_script_has_its_prompts():
    assert {script for script, *_ in released_cases()} == set(SCRIPTS)
    assert {is_sentence for script, _, is_sentence, _ in released_cases() if script == "image_val"} == {False, True}


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "image_val"])
def test_released_scripts_get_the_frames_and_sizes_that_ours_choose(script):
    """The scripts' synthetic videos have a few frames only; all of them go to the mask encoder."""
    for example in SCRIPTS[script]["examples"]:
        _, num_frames, *mask_shape = example["images_sam_shape"]
        S, D = example["num_frames_sparse"], example["num_frames_dense"]
        assert [sparse_dense(num_frames, S, D).dense_slots.tolist()] == example["dense_indices"]
        (original,) = example["original_size_list"]
        frames_1HWC = torch.zeros(1, *original, 3, dtype=torch.uint8)
        pixels, geometry = for_mask_encoder(frames_1HWC, 1024, MASK_MEAN, MASK_STD)
        assert [list(geometry.resized_size)] == example["resize_list"]
        assert list(pixels.shape[1:]) == mask_shape
        assert [1, S, *for_vision_tower(frames_1HWC, 336, TOWER_MEAN, TOWER_STD).shape[1:]] == example["images_clip_shape"]


def test_the_released_image_script_repeats_the_image():
    """Dense are the first D copies; its synthetic images are 30 x 44."""
    for examples in SCRIPTS["image_val"]["examples"].values():
        for example in examples:
            (S, *tower_shape), (D, *mask_shape) = example["images_clip_shape"], example["images_shape"]
            assert (S, example["dense_indices"]) == (32, list(range(D)))
            assert (tower_shape, mask_shape) == ([3, 336, 336], [3, 1024, 1024])
            assert list(longest_side(30, 44, 1024)) == example["resize"]


def toy_pieces(text):
    """What the tokenizer described beside the golden labels gives one id each: special strings, newlines, words, other characters."""
    return re.findall(r"<\|\w+\|>|\[SEG\]|\n|[A-Za-z]+|\S", text)


@pytest.fixture(scope="module")
def toy_vocabulary():
    """Piece -> id, read off the golden ids, in which no piece has two ids."""
    example = TRAINING["labels"]["toy_example"]
    vocabulary = dict(example["special_ids"])
    for text, ids in zip(example["conversations"], example["input_ids"], strict=True):
        pieces = ["<s>", *(piece for chunk in text.split("<image>") for piece in (*toy_pieces(chunk), "<image>"))][:-1]
        padding = ids[len(pieces) :]
        assert not any(padding)
        assert [vocabulary.setdefault(piece, i) for piece, i in zip(pieces, ids, strict=False)] == ids[: len(pieces)]
    return vocabulary


@pytest.mark.parametrize("row", [0, 1])
def test_labels_supervise_the_answer_alone(row, toy_vocabulary):
    def tokenize(text):
        return [1, *(toy_vocabulary[piece] for piece in toy_pieces(text))]

    example = TRAINING["labels"]["toy_example"]
    text, length = example["conversations"][row], sum(example["attention_masks"][row])
    header = text[: text.index("<|assistant|>\n") + len("<|assistant|>\n")]
    ids = encode(text, tokenize, 1)
    assert ids == example["input_ids"][row][:length]
    assert answer_labels(ids, len(encode(header, tokenize, 1))) == example["labels"][row][:length]
    assert set(example["labels"][row][length:]) <= {IGNORE_LABEL}
    assert example["offset"] == [0, 1, 2]


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
