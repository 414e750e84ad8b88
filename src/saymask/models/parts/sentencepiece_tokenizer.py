"""Llama's tokenizer, exactly: a SentencePiece model and tokens added to it, with the ids that published models were trained on.

Text is cut at the added tokens, and SentencePiece encodes each stretch of text between two of them. The setting `legacy` decides which
spaces are put in front: with it, one before every stretch (by SentencePiece); without it, one before the whole text, a lone `▁` if an added
token comes first. transformers 5 rebuilds this tokenizer from its pieces and merges runs of spaces before all others, not after them.

`SentencePieceTokenizer` has the methods of transformers' tokenizers that processors use, so that either kind will do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal

from google.protobuf.message import DecodeError
from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer
from sentencepiece import SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # pyrefly: ignore[missing-module-attribute] (made on import)

from saymask.config import Config
from saymask.errors import CheckpointError, ConfigError
from saymask.storage.json_files import read_bytes
from saymask.storage.weight_files import read_json

MODEL_FILE, SETTINGS_FILE, OLD_ADDED_FILE = "tokenizer.model", "tokenizer_config.json", "added_tokens.json"
_MAX_BYTES = 2**28  # published ones have a few megabytes
SPACE = "▁"
"""How SentencePiece writes a space."""


class AddedToken(Config):
    """A text that is one token wherever it occurs.

    Args:
        content: the text.
        lstrip, rstrip: whether white space before or behind it is dropped.
        single_word: whether it is a token only between spaces; True is not supported.
    """

    model_config = ConfigDict(extra="allow")

    content: str = Field(min_length=1)
    lstrip: bool = False
    rstrip: bool = False
    single_word: Literal[False] = False


NamedToken = Annotated[
    AddedToken,
    BeforeValidator(lambda value: {"content": value} if isinstance(value, str) else value),
    PlainSerializer(lambda token: token.content),
]
"""In the file a text, or an added token with its flags."""


class TokenizerSettings(Config):
    """What of a `tokenizer_config.json` decides ids; other keys are kept and written again. Defaults are those of transformers 4.

    Args:
        bos_token, eos_token, unk_token, additional_special_tokens: the named tokens, before which no lone `▁` stays.
        pad_token: gets an id, but processors pad with `unk_token`, as the authors of VideoLISA and VISA do.
        add_bos_token, add_eos_token: whether a text begins with BOS and ends with EOS.
        legacy: a space before every stretch of text instead of one before the whole.
        add_prefix_space, split_special_tokens, sp_model_kwargs: only their defaults are supported.
        added_tokens_decoder: every added token by its id.
    """

    model_config = ConfigDict(extra="allow")

    bos_token: NamedToken = AddedToken(content="<s>")
    eos_token: NamedToken = AddedToken(content="</s>")
    unk_token: NamedToken = AddedToken(content="<unk>")
    pad_token: NamedToken | None = None
    additional_special_tokens: tuple[NamedToken, ...] = ()
    add_bos_token: bool = True
    add_eos_token: bool = False
    legacy: Annotated[bool, BeforeValidator(lambda value: True if value is None else value)] = True
    add_prefix_space: Literal[True] = True
    split_special_tokens: Literal[False] = False
    sp_model_kwargs: dict[str, Any] = Field(default={}, max_length=0)
    added_tokens_decoder: dict[int, AddedToken] = Field(default={})


class SentencePieceTokenizer:
    """Ids of texts and texts of ids.

    Args:
        model: content of a `tokenizer.model`.
        settings: of the `tokenizer_config.json` beside it.
        extra_tokens: texts to add behind all others, unless they are tokens already.
    """

    def __init__(self, model: bytes, settings: TokenizerSettings, extra_tokens: Sequence[str] = ()):
        proto = ModelProto.FromString(model)
        if not settings.legacy:
            proto.normalizer_spec.add_dummy_prefix = False
        self._model = model
        self._pieces = SentencePieceProcessor(model_proto=proto.SerializeToString())
        self._settings = settings.model_copy(update={"added_tokens_decoder": self._numbered(settings, extra_tokens)})
        self._added = {token.content: token for token in self._settings.added_tokens_decoder.values()}
        self._ids = {token.content: i for i, token in self._settings.added_tokens_decoder.items()}
        named = (settings.bos_token, settings.eos_token, settings.unk_token, *settings.additional_special_tokens)
        self._named = {token.content for token in named}
        longest_first = sorted(self._added, key=len, reverse=True)
        self._cut = re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @classmethod
    def from_folder(cls, folder: Path, extra_tokens: Sequence[str] = ()) -> SentencePieceTokenizer:
        """Read `tokenizer.model` and `tokenizer_config.json`, which older libraries complete by `added_tokens.json`.

        Raises:
            CheckpointError: one of the two is absent or damaged, or has a setting that is not supported.
        """
        values = read_json(folder / SETTINGS_FILE)
        if "added_tokens_decoder" not in values and (folder / OLD_ADDED_FILE).is_file():
            numbers = read_json(folder / OLD_ADDED_FILE)
            values["added_tokens_decoder"] = {number: {"content": content} for content, number in numbers.items()}
        model = read_model(folder / MODEL_FILE)
        try:
            return cls(model, TokenizerSettings.parse(values, str(folder / SETTINGS_FILE)), extra_tokens)
        except ConfigError as error:
            raise CheckpointError(f"{error}; this tokenizer cannot be loaded") from None
        except RuntimeError as error:  # SentencePiece's, for pieces that contradict each other
            raise CheckpointError(f"{folder / MODEL_FILE}: cannot be read ({error}); fetch it again") from None

    def dropping_blanks_around(self, content: str) -> SentencePieceTokenizer:
        """The same, but white space beside an added token is dropped, as transformers did until 4.33 where a token was added as a text."""
        added = {
            i: token.model_copy(update={"lstrip": True, "rstrip": True}) if token.content == content else token
            for i, token in self._settings.added_tokens_decoder.items()
        }
        return SentencePieceTokenizer(self._model, self._settings.model_copy(update={"added_tokens_decoder": added}))

    def with_tokens(self, tokens: Sequence[str]) -> SentencePieceTokenizer:
        """The same tokenizer, to which these texts are single tokens as well."""
        return SentencePieceTokenizer(self._model, self._settings, tokens)

    def save_pretrained(self, folder: Path) -> None:
        """Write both files; `from_folder` gives back an equal tokenizer."""
        (folder / MODEL_FILE).write_bytes(self._model)
        settings = {"tokenizer_class": "LlamaTokenizer", **self._settings.model_dump(mode="json")}
        (folder / SETTINGS_FILE).write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")

    def __len__(self) -> int:
        """Number of rows that embeddings need: one more than the largest id."""
        return self._next_id(self._settings.added_tokens_decoder)

    @property
    def bos_token_id(self) -> int:
        return self._ids[self._settings.bos_token.content]

    @property
    def eos_token_id(self) -> int:
        return self._ids[self._settings.eos_token.content]

    @property
    def pad_token_id(self) -> int:
        return self._ids[self._settings.unk_token.content]

    def convert_tokens_to_ids(self, token: str) -> int:
        """Id of an added token or a piece; that of `<unk>` if there is none of this text."""
        return self._ids.get(token, self._pieces.piece_to_id(token))

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Ids of a text, between BOS and EOS where the settings say so and `add_special_tokens` does not say otherwise."""
        ids = []
        for part in self._parts(text):
            ids += [self._ids[part]] if part in self._ids else self._text_ids(part)
        if add_special_tokens:
            bos, eos = [self.bos_token_id] * self._settings.add_bos_token, [self.eos_token_id] * self._settings.add_eos_token
            ids = [*bos, *ids, *eos]
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of ids, without the spaces that `encode` puts in front; added tokens as they are, `<unk>` for ids that no token has."""
        added, num_pieces = self._settings.added_tokens_decoder, self._pieces.get_piece_size()
        text = ""
        for is_text, run in groupby(token_ids, key=lambda i: i < num_pieces and i not in added):
            ids = list(run)
            text += self._pieces.decode(ids) if is_text else "".join(added.get(i, self._settings.unk_token).content for i in ids)
        return text if self._settings.legacy else text.removeprefix(" ")

    def _numbered(self, settings: TokenizerSettings, extra_tokens: Sequence[str]) -> dict[int, AddedToken]:
        """Every added token by its id: those with a number, then named and extra ones, as their piece's or behind all others."""
        numbered = dict(settings.added_tokens_decoder)
        named = (settings.bos_token, settings.eos_token, settings.unk_token, settings.pad_token, *settings.additional_special_tokens)
        for token in (*named, *(AddedToken(content=content) for content in extra_tokens)):
            if token is not None and all(token.content != other.content for other in numbered.values()):
                piece_id = self._pieces.piece_to_id(token.content)
                is_piece = self._pieces.id_to_piece(piece_id) == token.content
                numbered[piece_id if is_piece else self._next_id(numbered)] = token
        return numbered

    def _next_id(self, numbered: Mapping[int, AddedToken]) -> int:
        return max([self._pieces.get_piece_size(), *(i + 1 for i in numbered)])

    def _parts(self, text: str) -> list[str]:
        """Added tokens and the text between them."""
        if text and not self._settings.legacy:
            text = SPACE + text.replace(SPACE, " ")
        parts = [part for part in self._cut.split(text) if part]
        for i, part in enumerate(parts):
            if (token := self._added.get(part)) is None:
                continue
            if token.lstrip and i > 0:
                # Nothing is left of a text that was blank; without `legacy`, neither is the space that was put in front of it.
                parts[i - 1] = parts[i - 1].rstrip() if self._settings.legacy or parts[i - 1].rstrip() != SPACE else ""
            if token.rstrip and i + 1 < len(parts):
                parts[i + 1] = parts[i + 1].lstrip()
        if not self._settings.legacy and len(parts) > 1 and parts[0] == SPACE and parts[1] in self._named:
            del parts[0]
        return parts

    def _text_ids(self, text: str) -> list[int]:
        if self._settings.legacy or not text.startswith((SPACE, " ")):
            return self._pieces.encode(text)
        # A model trained to remove extra spaces would drop the leading one; behind other text it stays.
        before = self._settings.unk_token.content
        return self._pieces.encode(before + text)[len(self._pieces.encode(before)) :]


def read_model(file: Path) -> bytes:
    """Content of a SentencePiece model that is whole.

    Raises:
        CheckpointError: the file is absent, empty, cut off or something else.
    """
    try:
        content = read_bytes(file, CheckpointError, "the copy is incomplete: fetch the rest", max_bytes=_MAX_BYTES)
        proto = ModelProto.FromString(content)
    except DecodeError:
        raise CheckpointError(f"{file}: cut off, or no SentencePiece model; fetch it again") from None
    # Cut between two pieces, a file is still readable; what stands behind the pieces is then missing.
    if not (proto.HasField("trainer_spec") and proto.HasField("normalizer_spec")):
        raise CheckpointError(f"{file}: {'cut off' if content else 'empty'}; fetch it again")
    return content
