"""The chats' words, character by character, and their token ids (tests/golden/visa/prompts.json)."""

import json

import pytest
from golden_visa import FOLDER, NUMBERS, golden_tokenizer

from saymask.errors import ConfigError
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID, encode
from saymask.models.visa.model import VisaConfig
from saymask.models.visa.processor import VisaProcessor
from saymask.models.visa.prompts import RELEASED, SYSTEM_PROMPT, check_query

PROMPTS = json.loads((FOLDER / "prompts.json").read_text(encoding="utf-8"))
TEMPLATE, POOLS = PROMPTS["conversation_template"], PROMPTS["templates"]
END = TEMPLATE["sep2"]


def chat(*turns: tuple[str, str]) -> str:
    return RELEASED.chat(turns, SYSTEM_PROMPT, END)


def turns_of(text: str) -> list[tuple[str, str]]:
    """Question and answer of each turn of a released prompt."""
    rounds = text.removeprefix(f"{SYSTEM_PROMPT} ").split(END)[:-1]
    pairs = [turn.removeprefix("USER: ").split(" ASSISTANT: ") for turn in rounds]
    return [(question, answer) for question, answer in pairs]


def processor(legacy: bool) -> VisaProcessor:
    config = VisaConfig.debug(seg_token_id=NUMBERS["seg_token_idx"], system_prompt=SYSTEM_PROMPT, wording="released", end_of_turn=END)
    return VisaProcessor(golden_tokenizer(legacy), config)


def test_the_format_is_vicunas():
    assert TEMPLATE["system"] == SYSTEM_PROMPT
    user, assistant = TEMPLATE["roles"]
    assert chat(("Q", "A")) == f"{SYSTEM_PROMPT}{TEMPLATE['sep']}{user}: Q{TEMPLATE['sep']}{assistant}: A{TEMPLATE['sep2']}"
    assert RELEASED.asked((), "Q", SYSTEM_PROMPT, END) == f"{SYSTEM_PROMPT} {user}: Q {assistant}:"


@pytest.mark.parametrize("pool", ["short", "long", "explanatory"])
def test_instructions_are_the_released_ones(pool):
    header = f"Reference Video: {POOLS['video_slot']} \nTarget Image: {POOLS['image_slot']} \n"
    assert [header + text.replace("{}", POOLS["slot"]) for text in getattr(RELEASED, pool)] == POOLS[pool]


def test_answers_are_the_released_ones():
    assert list(RELEASED.answers) == POOLS["answers"]


def test_frames_are_numbered():
    for num_frames, text in PROMPTS["video_slot_expansion"].items():
        if num_frames != "0":
            listed = RELEASED.about_video("B", int(num_frames)).removesuffix("\nB")
            assert f"A {listed} B" == text
    assert RELEASED.about_target("X", 0).startswith("Reference Video:  \n")


@pytest.mark.parametrize("case", PROMPTS["test_time"]["examples"], ids=lambda case: f"{case['expression']}-{case['num_references']}")
def test_test_time_prompts(case):
    question = RELEASED.about_target(RELEASED.instruct(case["expression"]), case["num_references"])
    assert chat((question, RELEASED.forced_answer)) == case["prompt"]
    assert case["normalised"] in question


def test_questions_in_words_have_their_frames_in_front():
    assert [RELEASED.about_video("What happens?", 9), RELEASED.about_video("Differences?", 2)] == PROMPTS["chatunivi_question"]["examples"]
    for sample in PROMPTS["train_vqa"]["samples"]:
        (text,) = sample["conversations"]
        turns = turns_of(text)
        assert turns[0][0].startswith("(0)<image>\n")
        assert chat((RELEASED.about_video(turns[0][0].removeprefix("(0)<image>\n"), 1), turns[0][1]), *turns[1:]) == text


@pytest.mark.parametrize("kind", ["train_rvos", "train_refer_seg"])
def test_training_prompts_are_made_of_the_pools(kind):
    for sample in PROMPTS[kind]["samples"]:
        for text, words in zip(sample["conversations"], sample["classes"], strict=True):
            ((question, answer),) = turns_of(text)
            spoken = words.strip() if kind == "train_rvos" else words.strip().lower()
            num_context = sample["num_images"] - 1
            pools = (*RELEASED.short, *RELEASED.long)
            assert question in {RELEASED.about_target(pool.format(spoken), num_context) for pool in pools}
            assert answer in RELEASED.answers


@pytest.mark.parametrize("legacy", [True, False])
def test_token_ids(legacy):
    tokenizer = golden_tokenizer(legacy)
    assert PROMPTS["image_token"]["rule"]
    for case in PROMPTS["image_token"]["cases"]["legacy" if legacy else "new"]:
        assert encode(case["text"], tokenizer.encode, tokenizer.bos_token_id) == case["ids"], case["text"]


@pytest.mark.parametrize("legacy", [True, False])
def test_labels_are_the_answers_and_what_closes_them(legacy):
    chats = processor(legacy)
    for case in PROMPTS["label_masking"]["cases"]["legacy" if legacy else "new"]:
        if "error" in case:  # the reference's own assertion stops it there
            continue
        for row, text in enumerate(case["conversations"]):
            ids, labels = chats.encode_chat(*turns_of(text))
            padding = len(case["input_ids"][row]) - len(ids)
            assert [*ids, *[0] * padding] == case["input_ids"][row]
            assert [*labels, *[IGNORE_LABEL] * padding] == case["labels"][row]
            assert sum(case["attention"][row]) == len(ids)


def test_what_the_model_continues_is_the_chat_up_to_its_answer():
    chats = processor(legacy=True)
    question = RELEASED.about_target(RELEASED.instruct("the dog"), 2)
    opening, suffix = chats.opening_and_suffix(question)
    whole, labels = chats.encode_chat((question, RELEASED.forced_answer))
    before = [*opening.tolist(), *suffix.tolist()]
    assert before == whole[: len(before)]
    assert labels[len(before) - 1] == IGNORE_LABEL
    assert labels[len(before) :] == whole[len(before) :]
    assert opening[-1] == IMAGE_TOKEN_ID
    assert IMAGE_TOKEN_ID not in suffix


def test_a_query_cannot_add_an_image():
    with pytest.raises(ConfigError, match="'a <image>' contains <image>"):
        check_query("a <image>")


def test_raw_passes_a_query_unchanged():
    assert RELEASED.instruct(" What IS it? ", "raw") == "What IS it?"
