"""Which of a folder's two kinds of tokenizer is read."""

import re
import runpy
from pathlib import Path

import pytest

from saymask.errors import CheckpointError
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer
from saymask.models.parts.tokenizer import read_tokenizer

FAKE = runpy.run_path(str(Path(__file__).parents[3] / "bench/fake_release.py"))


def test_transformers_own(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = read_tokenizer(tmp_path)
    assert not isinstance(loaded, SentencePieceTokenizer)
    assert loaded.encode("the red fish [SEG]") == tokenizer.encode("the red fish [SEG]")


def test_sentencepiece(tmp_path):
    seg_token_id = FAKE["write_tokenizer"](tmp_path, 128)
    loaded = read_tokenizer(tmp_path)
    assert isinstance(loaded, SentencePieceTokenizer)
    assert loaded.encode("[SEG]")[-1] == seg_token_id


def test_neither_and_both(tokenizer, tmp_path):
    with pytest.raises(CheckpointError, match=re.escape(f"{tmp_path}: no tokenizer.json and no tokenizer.model")):
        read_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    FAKE["write_tokenizer"](tmp_path, 128)
    with pytest.raises(CheckpointError, match=re.escape(f"{tmp_path}: both tokenizer.json and tokenizer.model")):
        read_tokenizer(tmp_path)


def test_a_damaged_file_is_named(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(tmp_path / 'tokenizer.json'))}: "):
        read_tokenizer(tmp_path)
