"""A folder in the layout that VISA's merge script writes: configuration, tokenizer and weights, with the CLIP tower from its own.

The authors have published no weights. Names of tensors are those of `lisa.names`; what Chat-UniVi's configuration says of token
merging becomes ours, and what its code could read in other ways than ours is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.models.clip.configuration_clip import CLIPVisionConfig

from saymask.errors import CheckpointError
from saymask.models.base import TOWER_OPTION
from saymask.models.lisa.names import SAM_VIT_H
from saymask.models.lisa.release import LisaLayout, load_layout, read_layout_config
from saymask.models.lisa.start import assemble_start
from saymask.models.parts.chat import SEG_TOKEN
from saymask.models.parts.composite_config import CompositeConfig
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer
from saymask.models.visa import FAMILY
from saymask.models.visa.model import VisaConfig
from saymask.models.visa.segmenter import VisaSegmenter
from saymask.runtime import Runtime
from saymask.storage.hub import HubRepo, fetch

MODEL_TYPE, ARCHITECTURE = "ChatUniVi", "VISAForCausalLM"
"""Chat-UniVi, which training begins with, has the same type and lacks Segment Anything."""
TOWER_REPO = "openai/clip-vit-large-patch14"
TYPICAL_BYTES, TOWER_BYTES = 16_100_000_000, 1_700_000_000
"""Of a 7B model and of the tower's repository: what to expect when the hub cannot be asked."""

_TEXT_KEYS = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("hidden_act", "max_position_embeddings", "rms_norm_eps"),
)
_OPTIONAL_TEXT_KEYS = ("initializer_range", "bos_token_id", "eos_token_id", "pad_token_id", "attention_bias", "attention_dropout")
_FIXED = {"mm_vision_select_feature": "patch", "rope_scaling": None, "tie_word_embeddings": False}
"""Settings that the code of the release could read in other ways, and that ours knows in one."""
_MERGE_KEYS = ("spatial_cluster_rate0", "spatial_cluster_rate1", "spatial_cluster_rate2")


class VisaRelease:
    """The layout behind `base.Release`."""

    def recognises(self, values: Mapping[str, Any]) -> bool:
        return values.get("model_type") == MODEL_TYPE

    def load(self, folder: Path, runtime: Runtime, name: str, vision_tower: Path | None) -> VisaSegmenter:
        return load_release(folder, runtime, name, vision_tower)

    def read_config(self, folder: Path, vision_tower: Path | None) -> CompositeConfig:
        return read_layout_config(LAYOUT, folder, vision_tower)

    def load_hub(self, repo_id: str, runtime: Runtime, name: str, vision_tower: Path | None) -> VisaSegmenter:
        repos = [HubRepo(repo_id, TYPICAL_BYTES, ("config.json", "tokenizer.model", "tokenizer_config.json"))]
        if vision_tower is None:
            repos.append(HubRepo(TOWER_REPO, TOWER_BYTES))
        folders = fetch(repos, f"with copies of both folders on disk: give the first as the model, the second as {TOWER_OPTION}")
        return load_release(folders[0], runtime, name, vision_tower or folders[1])


def load_release(folder: Path, runtime: Runtime, name: str, vision_tower: Path | None = None) -> VisaSegmenter:
    """Load a model that the released code has merged; arguments and errors as of `load_layout`."""
    return load_layout(LAYOUT, folder, runtime, name, vision_tower)


def assemble(univi: Path, tower: Path, mask_model: Path, runtime: Runtime) -> VisaSegmenter:
    """Put Chat-UniVi, its CLIP tower and Segment Anything together as an untrained model; arguments and errors as of `assemble_start`."""
    return assemble_start(LAYOUT, univi, tower, mask_model, runtime)


def load_tokenizer(folder: Path) -> SentencePieceTokenizer:
    """The release's tokenizer, which always knows `[SEG]`; no blank stands before it, so it is predicted where the last word ends.

    Raises:
        CheckpointError: the SentencePiece model or its settings are absent or damaged.
    """
    return SentencePieceTokenizer.from_folder(folder, extra_tokens=(SEG_TOKEN,)).dropping_blanks_around(SEG_TOKEN)


def config_from_release(values: Mapping[str, Any], vision_config: CLIPVisionConfig, seg_token_id: int, source: str) -> VisaConfig:
    """Our configuration of a released model.

    Args:
        values: the release's `config.json`. What it leaves to the authors' code (Segment Anything's numbers) is ViT-H's, unless it says
            `mask_config` (smaller releases for tests do).
        vision_config: the vision tower's own configuration.
        seg_token_id: id of `[SEG]` in the release's tokenizer.
        source: the file, for messages.

    Raises:
        CheckpointError: a number is missing, or a setting is one that this package does not know.
    """
    merging = values.get("config") or {}
    needed = (*_TEXT_KEYS, "mm_vision_select_layer", *_FIXED)
    absent = [key for key in needed if key not in values] + [f"config.{key}" for key in _MERGE_KEYS if key not in merging]
    if absent:
        raise CheckpointError(f"{source}: no {', '.join(absent)}; a released VISA model has them in its config.json")
    for key, known in _FIXED.items():
        if values[key] != known:
            raise CheckpointError(f"{source}: {key} is {values[key]!r}; only {known!r} can be loaded")
    if not merging.get("use_cluster"):
        raise CheckpointError(f"{source}: config.use_cluster is {merging.get('use_cluster')!r}; only true can be loaded")
    text = {key: values[key] for key in (*_TEXT_KEYS, *_OPTIONAL_TEXT_KEYS) if key in values}
    text |= {
        "model_type": "llama",
        "rope_parameters": {"rope_type": "default", "rope_theta": values.get("rope_theta", 10000.0)},
        "tie_word_embeddings": False,
    }
    return VisaConfig(
        text,
        vision_config,
        values.get("mask_config", SAM_VIT_H),
        merge_rates=[merging[key] for key in _MERGE_KEYS],
        vision_select_layer=values["mm_vision_select_layer"],
        seg_token_id=seg_token_id,
    )


LAYOUT = LisaLayout(FAMILY, "Chat-UniVi", TOWER_REPO, load_tokenizer, config_from_release)
