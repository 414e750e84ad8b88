"""The tokenizer of a model folder: transformers' `tokenizer.json`, or the SentencePiece model that a published model came with."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from saymask.errors import CheckpointError
from saymask.models.parts.sentencepiece_tokenizer import MODEL_FILE, SentencePieceTokenizer
from saymask.storage.strict import quiet_transformers

JSON_FILE = "tokenizer.json"

Tokenizer = PreTrainedTokenizerBase | SentencePieceTokenizer
"""Processors call `encode`, `decode`, `convert_tokens_to_ids`, `bos_token_id` and `pad_token_id`; saving calls `save_pretrained`."""


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
    try:
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
        raise CheckpointError(f"{folder / JSON_FILE}: cannot be read ({error!r}); copy the model folder again") from None
