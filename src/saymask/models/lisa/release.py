"""A folder in the LISA layout (`names`) and its vision tower's, as a loaded model; what a family reads in its own way is its `LisaLayout`.

The model is built without memory for its parameters, every name and shape is compared with what the files hold, and only then are the
tensors read, file by file, in the dtype and on the device wanted: the peak is the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.models.clip.configuration_clip import CLIPVisionConfig

from saymask.errors import CheckpointError, ConfigError
from saymask.models.family import Family
from saymask.models.lisa.files import fill, tower_beside
from saymask.models.lisa.names import TOWER_PREFIX
from saymask.models.parts.chat import SEG_TOKEN
from saymask.models.parts.composite_config import CompositeConfig
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer
from saymask.models.placement import place
from saymask.runtime import Runtime
from saymask.storage.config_values import building_from, require_plausible_sizes
from saymask.storage.weight_files import read_json, read_shapes, require_plain_folder, weight_files


@dataclass(frozen=True)
class LisaLayout:
    """How one family reads folders of this layout.

    Args:
        family: its descriptor.
        language: what the language model that training begins with is called in messages.
        tower_repo: the vision tower's repository, if the folder does not name it.
        load_tokenizer: reads the folder's tokenizer, with `[SEG]`.
        to_config: our configuration from that of the folder and of the tower, the id of `[SEG]`, and the file's name.
    """

    family: Family
    language: str
    tower_repo: str
    load_tokenizer: Callable[[Path], SentencePieceTokenizer]
    to_config: Callable[[Mapping[str, Any], CLIPVisionConfig, int, str], CompositeConfig]


def load_layout(layout: LisaLayout, folder: Path, runtime: Runtime, name: str, vision_tower: Path | None = None) -> Any:
    """Load a released model -> a segmenter of its family.

    Args:
        layout: the family's.
        folder: config.json, tokenizer and weights (`pytorch_model*.bin` or safetensors, in one file or in shards).
        runtime: device and dtype; without a dtype everything is bf16, as the authors run it, whatever the files hold.
        name: what the model is called in reports.
        vision_tower: folder of the CLIP tower; if not given, one of its repository's name in or beside the folder.

    Raises:
        CheckpointError: a file is absent or damaged, or tensors are missing, unexpected or of the wrong shape, named as in the release.
        ConfigError: quantisation, which reads our own layout only.
    """
    from accelerate import init_empty_weights  # here: loading it takes longer than opening a small model

    source = folder / "config.json"
    values = read_json(source)
    tower = vision_tower or tower_beside(folder, values, layout.tower_repo)
    tokenizer = layout.load_tokenizer(folder)
    if runtime.quantization_config is not None:
        raise ConfigError(f"{folder}: quantisation reads our own layout; write it first with `saymask convert {folder} DST`, then load DST")
    files = {file: "" for file in weight_files(folder)} | {file: TOWER_PREFIX for file in weight_files(tower)}
    require_plausible_sizes(source, values, {key: shape for file in files for key, shape in read_shapes(file).items()})
    vision_config = read_tower_config(tower)
    seg_token_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    with building_from(source):
        config = layout.to_config(values, vision_config, seg_token_id, str(source))
        with init_empty_weights():
            model = layout.family.load("model")(config)
        processor = layout.family.load("processor")(tokenizer, config)
    if seg_token_id >= config.text_config.vocab_size:
        last = config.text_config.vocab_size - 1
        raise CheckpointError(f"{folder}: the tokenizer gives {SEG_TOKEN} the id {seg_token_id}, the embeddings end at {last}")
    fill(model, layout.family, files, runtime, f"{folder} with {tower}")
    place(model, runtime, layout.family.language_model)  # also the buffers that no file holds
    return layout.family.load("segmenter")(model, processor, name, list(files))


def read_layout_config(layout: LisaLayout, folder: Path, vision_tower: Path | None = None) -> CompositeConfig:
    """Our configuration of a released model whose weights and tokenizer need not be there; `[SEG]` counts as token 0.

    Args:
        layout, folder, vision_tower: as for `load_layout`.

    Raises:
        CheckpointError: a configuration is absent or damaged.
    """
    source = folder / "config.json"
    values = read_json(source)
    tower = vision_tower or tower_beside(folder, values, layout.tower_repo)
    require_plain_folder(tower)
    with building_from(tower / "config.json"):
        vision_config = CLIPVisionConfig.from_pretrained(tower, trust_remote_code=False)
    with building_from(source):
        return layout.to_config(values, vision_config, 0, str(source))


def read_tower_config(tower: Path) -> CLIPVisionConfig:
    """Configuration of a CLIP tower, alone or in that of the whole CLIP model.

    Raises:
        CheckpointError: it is absent, damaged, or asks for more than the folder's weights are.
    """
    require_plain_folder(tower)
    source = tower / "config.json"
    values = read_json(source)
    require_plausible_sizes(source, values, {key: shape for file in weight_files(tower) for key, shape in read_shapes(file).items()})
    with building_from(source):
        return CLIPVisionConfig.from_pretrained(tower, trust_remote_code=False)
