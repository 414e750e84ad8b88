"""Ids of Llama's tokenizer, worked out by hand for a small model trained here, and what is said of files that cannot be used."""

import io
import json
import pickle
import re
import runpy
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from saymask.errors import CheckpointError
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer, TokenizerSettings

BENCH = Path(__file__).parents[3] / "bench"
NUM_PIECES = 28
SETTINGS = {
    "legacy": False,
    "eos_token": "<|endoftext|>",
    "added_tokens_decoder": {
        "1": {"content": "<s>", "special": True},
        "28": {"content": "<|endoftext|>", "special": True},
        "29": {"content": "<|system|>", "special": True, "rstrip": True},
        "30": {"content": "<|end|>", "special": True, "rstrip": True},
        "31": {"content": "[SEG]"},
    },
}


def train(**options):
    """Whole words as pieces (▁red ▁fish red fish), and the parts they are merged from."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["red fish. red fish, red red fish"] * 9),
        model_writer=written,
        model_type="bpe",
        vocab_size=NUM_PIECES - 2,
        normalization_rule_name="identity",
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return ModelProto.FromString(written.getvalue())


@pytest.fixture(scope="module")
def model():
    """With pieces for two and three spaces which, as in the published models, are merged after all others."""
    proto = train(remove_extra_whitespaces=False)
    for piece in ("▁▁", "▁▁▁"):
        proto.pieces.add(piece=piece, score=-1e9)
    assert len(proto.pieces) == NUM_PIECES
    return proto.SerializeToString()


def build(model, extra_tokens=(), **changes):
    return SentencePieceTokenizer(model, TokenizerSettings.parse({**SETTINGS, **changes}), extra_tokens)


def write(folder, model, settings=SETTINGS):
    (folder / "tokenizer.model").write_bytes(model)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


# -- ids ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("red fish", "<s> ▁red ▁fish"),
        ("<|system|>\nred", "<s> ▁ <|system|> red"),
        ("[SEG]", "<s> ▁ [SEG]"),
        ("<|endoftext|>red", "<s> <|endoftext|> red"),
        ("red, [SEG].", "<s> ▁red , ▁ [SEG] ."),
        ("red<|end|>\n <|system|> fish", "<s> ▁red <|end|> <|system|> fish"),
        ("red[SEG] fish", "<s> ▁red [SEG] ▁fish"),
        ("red  fish", "<s> ▁red ▁ ▁fish"),
        ("red   fish", "<s> ▁red ▁▁ ▁fish"),
        ("red  ", "<s> ▁red ▁▁"),
        (" red", "<s> ▁ ▁red"),
        (" <|system|>red", "<s> ▁▁ <|system|> red"),
        ("red▁fish", "<s> ▁red ▁fish"),
        ("", "<s>"),
    ],
)
def test_one_space_before_the_whole_text(model, text, tokens):
    tokenizer = build(model)
    assert tokenizer.encode(text) == [tokenizer.convert_tokens_to_ids(token) for token in tokens.split()]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("<|system|>\nred", "<s> <|system|> ▁red"),
        ("red, [SEG].", "<s> ▁red , ▁ [SEG] ▁ ."),
        ("red[SEG] fish", "<s> ▁red [SEG] ▁ ▁fish"),
        ("red  fish", "<s> ▁red ▁ ▁fish"),
        (" red", "<s> ▁ ▁red"),
        ("", "<s>"),
    ],
)
@pytest.mark.parametrize("legacy", [{"legacy": True}, {"legacy": None}, {}], ids=["legacy", "null", "not said"])
def test_a_space_before_every_stretch_of_text(model, legacy, text, tokens):
    settings = {key: value for key, value in SETTINGS.items() if key != "legacy"}
    tokenizer = SentencePieceTokenizer(model, TokenizerSettings.parse({**settings, **legacy}))
    assert tokenizer.encode(text) == [tokenizer.convert_tokens_to_ids(token) for token in tokens.split()]


def test_no_lone_space_before_a_token_with_a_name(model):
    tokenizer = build(model, additional_special_tokens=["<|system|>"])
    assert tokenizer.encode("<|system|>red") == [1, 29, tokenizer.convert_tokens_to_ids("red")]


def test_the_longest_added_token_wins_and_one_may_drop_the_space_before_it(model):
    added = {"28": {"content": "<|endoftext|>"}, "29": {"content": "fis"}, "30": {"content": "fish.", "lstrip": True}}
    tokenizer = build(model, added_tokens_decoder=added)
    assert tokenizer.encode("red  fish.") == [1, tokenizer.convert_tokens_to_ids("▁red"), 30]


def test_the_leading_space_outlives_a_model_that_removes_extra_ones():
    tokenizer = build(train(remove_extra_whitespaces=True).SerializeToString())
    assert tokenizer.encode("red") == [1, tokenizer.convert_tokens_to_ids("▁red")]


def test_bos_and_eos(model):
    tokenizer = build(model, add_bos_token=False, add_eos_token=True)
    red = tokenizer.convert_tokens_to_ids("▁red")
    assert tokenizer.encode("red") == [red, 28]
    assert tokenizer.encode("red", add_special_tokens=False) == [red]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 28, 0)


def test_new_tokens_come_behind_all_others(model):
    tokenizer = build(model, ("[SEG]", "[TRK]"), pad_token="<pad>", additional_special_tokens=["<one>"])
    assert [tokenizer.convert_tokens_to_ids(token) for token in ("[SEG]", "<pad>", "<one>", "[TRK]")] == [31, 32, 33, 34]
    assert len(tokenizer) == 35
    assert len(build(model, added_tokens_decoder={}, eos_token="</s>")) == NUM_PIECES
    assert tokenizer.convert_tokens_to_ids("no piece") == 0


def test_every_worker_gets_a_copy(model):
    tokenizer = build(model)
    assert pickle.loads(pickle.dumps(tokenizer)).encode("<|system|>red  [SEG]") == tokenizer.encode("<|system|>red  [SEG]")


# -- text -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
@given(parts=st.lists(st.sampled_from(["red", "fish", " ", "  ", ",", ".", "[SEG]", "<|endoftext|>"])))
def test_decode_is_the_inverse_of_encode(model, legacy, parts):
    tokenizer = build(model, legacy=legacy)
    text = "".join(parts)
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_decode_names_ids_that_no_token_has(model):
    tokenizer = build(model)
    assert tokenizer.decode([tokenizer.convert_tokens_to_ids("▁red"), 99, 31, 30]) == "red<unk>[SEG]<|end|>"


# -- files ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_what_is_saved_gives_the_same_ids(model, tmp_path, legacy):
    (tmp_path / "ours").mkdir()
    settings = {**SETTINGS, "legacy": legacy, "additional_special_tokens": ["<|end|>"], "chat_template": "é", "pad_token": "<pad>"}
    first = SentencePieceTokenizer.from_folder(write(tmp_path, model, settings), ("[TRK]",))
    first.save_pretrained(tmp_path / "ours")
    second = SentencePieceTokenizer.from_folder(tmp_path / "ours")
    for text in ("<|system|>\nred  fish [TRK].", "<|end|> red"):
        assert second.encode(text) == first.encode(text)
    assert len(second) == len(first) == 34
    saved = json.loads((tmp_path / "ours/tokenizer_config.json").read_text())
    assert (saved["chat_template"], saved["eos_token"], saved["added_tokens_decoder"]["29"]["special"]) == ("é", "<|endoftext|>", True)
    assert (tmp_path / "ours/tokenizer.model").read_bytes() == model


def test_older_libraries_number_added_tokens_in_a_file_of_their_own(model, tmp_path):
    write(tmp_path, model, {"bos_token": {"__type": "AddedToken", "content": "<s>", "rstrip": True}})
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[SEG]": 29, "<im_start>": 28}))
    tokenizer = SentencePieceTokenizer.from_folder(tmp_path, ("[SEG]",))
    assert tokenizer.encode("<s> red[SEG]<im_start>") == [1, 1, tokenizer.convert_tokens_to_ids("▁red"), 29, 28]


def between_two_pieces(model):
    """The first pieces of a model, whole, and nothing behind them."""
    proto = ModelProto.FromString(model)
    return ModelProto(pieces=proto.pieces[:20]).SerializeToString()


@pytest.mark.parametrize(
    "damage",
    [lambda model: b"", lambda model: model[: len(model) // 2], between_two_pieces, lambda model: b"<html>not found</html>"],
    ids=["empty", "cut off", "cut off between two pieces", "another file"],
)
def test_a_damaged_model_is_named(model, tmp_path, damage):
    write(tmp_path, damage(model))
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(tmp_path / 'tokenizer.model'))}: .*fetch it again"):
        SentencePieceTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("file", ["tokenizer.model", "tokenizer_config.json"])
def test_an_absent_file_is_named(model, tmp_path, file):
    (write(tmp_path, model) / file).unlink()
    with pytest.raises(CheckpointError, match=rf"^{re.escape(str(tmp_path))}.*{re.escape(file)}"):
        SentencePieceTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"add_prefix_space": None}, "add_prefix_space = None"),
        ({"split_special_tokens": True}, "split_special_tokens = True"),
        ({"sp_model_kwargs": {"enable_sampling": True}}, "sp_model_kwargs"),
        ({"added_tokens_decoder": {"31": {"content": "[SEG]", "single_word": True}}}, "added_tokens_decoder.31.single_word = True"),
        ({"added_tokens_decoder": {"31": {}}}, "added_tokens_decoder.31.content"),
        ({"bos_token": None}, "bos_token"),
    ],
    ids=["prefix", "split", "sampling", "single word", "no content", "no BOS"],
)
def test_a_setting_that_is_not_supported_is_named(model, tmp_path, change, key):
    write(tmp_path, model, {**SETTINGS, **change})
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{tmp_path}/tokenizer_config.json: {key}')}"):
        SentencePieceTokenizer.from_folder(tmp_path)


# -- stored rows ----------------------------------------------------------------------------------------------------------------------


def test_stored_rows_are_counted(model, tmp_path, monkeypatch, capsys):
    tokenizer = build(model)
    right = [tokenizer.convert_tokens_to_ids(token) for token in ["<s>", "▁", "<|system|>", "red"]]
    right += [-200, *(tokenizer.convert_tokens_to_ids(token) for token in ["▁", "▁fish"])]
    rows = [{"chat": "<|system|>red<image> fish", "ids_legacy_false": right, "ids_legacy_true": right}]
    (tmp_path / "ids.json").write_text(json.dumps({"tokenizer_config": SETTINGS, "rows": rows}))
    (tmp_path / "tokenizer.model").write_bytes(model)
    monkeypatch.setattr("sys.argv", ["tokenizer_rows.py", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(BENCH / "tokenizer_rows.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("legacy=True ")
    assert (lines[-1], stopped.value.code) == ("1 of 2 rows agree", True)
