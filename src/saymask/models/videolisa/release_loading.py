"""A folder in the released VideoLISA layout, and the CLIP tower from its own, as a loaded model."""

from __future__ import annotations

from pathlib import Path

from saymask.errors import CheckpointError
from saymask.models.lisa.release import LisaLayout, load_layout
from saymask.models.parts.chat import SEG_TOKEN
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer
from saymask.models.videolisa import FAMILY
from saymask.models.videolisa.released import MODEL_TYPE, config_from_release
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime
from saymask.storage.weight_files import read_json


def load_release(folder: Path, runtime: Runtime, name: str, vision_tower: Path | None = None) -> VideoLisaSegmenter:
    """Load a released model; arguments and errors as of `load_layout`."""
    model_type = read_json(folder / "config.json").get("model_type")
    if model_type != MODEL_TYPE:
        raise CheckpointError(f"{folder}/config.json: model_type {model_type!r} is not the released VideoLISA's, {MODEL_TYPE!r}")
    return load_layout(LAYOUT, folder, runtime, name, vision_tower)


def load_tokenizer(folder: Path) -> SentencePieceTokenizer:
    """The release's tokenizer, which always knows `[SEG]`.

    Raises:
        CheckpointError: the SentencePiece model or its settings are absent or damaged.
    """
    return SentencePieceTokenizer.from_folder(folder, extra_tokens=(SEG_TOKEN,))


LAYOUT = LisaLayout(FAMILY, "LLaVA-Phi-3", "openai/clip-vit-large-patch14-336", load_tokenizer, config_from_release)
