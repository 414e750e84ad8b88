"""The tokenizer of a model folder: transformers' `tokenizer.json`, or the SentencePiece model that a published model came with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from saymask.errors import CheckpointError
from saymask.models.parts.sentencepiece_tokenizer import MODEL_FILE, SentencePieceTokenizer
from saymask.storage.strict import reading_settings

JSON_FILE = "tokenizer.json"

Tokenizer = PreTrainedTokenizerBase | SentencePieceTokenizer
"""Processors call `encode`, `decode`, `convert_tokens_to_ids`, `bos_token_id` and `pad_token_id`; saving calls `save_pretrained`."""


def with_tokens(tokenizer: Tokenizer, tokens: Mapping[str, str]) -> tuple[Tokenizer, dict[str, int]]:
    """A tokenizer that knows some marks as single tokens, and their ids.

    Args:
        tokenizer: stays as it is.
        tokens: marks by any names, such as a configuration's.

    Returns:
        The tokenizer, and the ids by the same names.
    """
    if isinstance(tokenizer, SentencePieceTokenizer):
        extended: Tokenizer = tokenizer.with_tokens(list(tokens.values()))
    else:
        extended = copy.deepcopy(tokenizer)
        extended.add_tokens(list(tokens.values()), special_tokens=True)
    return extended, {name: cast(int, extended.convert_tokens_to_ids(token)) for name, token in tokens.items()}


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer that was saved in a folder, by which of the two files is there.

    Raises:
        CheckpointError: neither file or both, or one that cannot be read.
    """
    has_json, has_model = ((folder / name).is_file() for name in (JSON_FILE, MODEL_FILE))
    if not has_json and not has_model:
        raise CheckpointError(f"{folder}: no {JSON_FILE} and no {MODEL_FILE}; a model folder holds one of them: copy it again")
    if has_json and has_model:
        raise CheckpointError(f"{folder}: both {JSON_FILE} and {MODEL_FILE}, which need not agree; keep the one this model was saved with")
    if has_model:
        return SentencePieceTokenizer.from_folder(folder)
    with reading_settings(folder / JSON_FILE):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        tokenizer("a")  # what is contradictory shows when a text is read
    return tokenizer
