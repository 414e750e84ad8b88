"""A folder in the released VideoLISA layout, and the CLIP tower from its own, as a loaded model.

The model is built without memory for its parameters, every name and shape is compared with what the files hold, and only then are the
tensors read, file by file, in the dtype and on the device wanted: the peak is the model itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import CLIPVisionConfig

from saymask.errors import CheckpointError, ConfigError
from saymask.models.base import TOWER_OPTION
from saymask.models.parts.chat import SEG_TOKEN
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer
from saymask.models.placement import place
from saymask.models.videolisa import FAMILY
from saymask.models.videolisa.model import VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.released import MODEL_TYPE, TOWER_PREFIX, config_from_release, our_name, released_name
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime
from saymask.storage.strict import quiet_transformers, raise_unless_exact
from saymask.storage.weight_files import read_json, read_shapes, read_tensors, weight_files


def load_release(folder: Path, runtime: Runtime, name: str, vision_tower: Path | None = None) -> VideoLisaSegmenter:
    """Load a released model.

    Args:
        folder: config.json, tokenizer and weights (`pytorch_model*.bin` or safetensors, in one file or in shards).
        runtime: device and dtype; without a dtype everything is bf16, as the authors run it, whatever the files hold.
        name: what the model is called in reports.
        vision_tower: folder of the CLIP tower (`openai/clip-vit-large-patch14-336`); if not given, one of that name beside the weights.

    Raises:
        CheckpointError: a file is absent or damaged, or tensors are missing, unexpected or of the wrong shape, named as in the release.
    """
    values = read_json(folder / "config.json")
    if values.get("model_type") != MODEL_TYPE:
        raise CheckpointError(
            f"{folder}/config.json: model_type {values.get('model_type')!r} is not the released VideoLISA's, {MODEL_TYPE!r}"
        )
    tower = vision_tower or _tower_beside(folder, values)
    read_json(tower / "config.json")
    tokenizer = load_tokenizer(folder)
    with quiet_transformers():
        vision_config = CLIPVisionConfig.from_pretrained(tower)
    seg_token_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    config = config_from_release(values, vision_config, seg_token_id, f"{folder}/config.json")
    if seg_token_id >= values["vocab_size"]:
        raise CheckpointError(
            f"{folder}: the tokenizer gives {SEG_TOKEN} the id {seg_token_id}, the embeddings end at {values['vocab_size'] - 1}"
        )
    if runtime.quantization_config is not None:
        raise ConfigError(f"{folder}: quantisation reads our own layout; write it first with `saymask convert {folder} DST`, then load DST")
    with init_empty_weights():
        model = VideoLisaModel(config)
    files = {file: "" for file in weight_files(folder)} | {file: TOWER_PREFIX for file in weight_files(tower)}
    _fill(model, files, runtime, f"{folder} with {tower}")
    place(model, runtime, FAMILY.language_model)  # also the buffers that no file holds
    return VideoLisaSegmenter(model, VideoLisaProcessor(tokenizer, config), name, list(files))


def load_tokenizer(folder: Path) -> SentencePieceTokenizer:
    """The release's tokenizer, which always knows `[SEG]`.

    Raises:
        CheckpointError: the SentencePiece model or its settings are absent or damaged.
    """
    return SentencePieceTokenizer.from_folder(folder, extra_tokens=(SEG_TOKEN,))


def _tower_beside(folder: Path, values: dict[str, Any]) -> Path:
    """The vision tower's folder, in or next to the release."""
    repo_id = str(values.get("mm_vision_tower", "openai/clip-vit-large-patch14-336"))
    places = [parent / repo_id.rpartition("/")[2] for parent in (folder, folder.resolve().parent)]
    for candidate in places:
        if candidate.is_dir():
            return candidate
    raise CheckpointError(
        f"{folder}: its vision tower is not part of it; fetch https://huggingface.co/{repo_id} and give its folder as {TOWER_OPTION}, "
        f"or put it at {places[0]}"
    )


def _fill(model: VideoLisaModel, files: dict[Path, str], runtime: Runtime, source: str) -> None:
    """Check all files against the model, then give every parameter its tensor.

    Args:
        files: each file with what a released name has in front of the file's own names.
    """
    wanted = {released_name(key): tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    found: dict[str, tuple[int, ...]] = {}
    unexpected: list[str] = []
    for file, prefix in files.items():
        for own_name, shape in read_shapes(file).items():
            released = prefix + own_name
            if prefix and is_of_another_model(own_name):
                continue
            if released not in wanted or released.startswith(TOWER_PREFIX) != bool(prefix):
                unexpected.append(released)
            else:
                found[released] = shape
    mismatched = [(released, shape, wanted[released]) for released, shape in found.items() if shape != wanted[released]]
    raise_unless_exact(source, wanted.keys() - found.keys(), unexpected, mismatched)
    dtype = runtime.torch_dtype or torch.bfloat16
    device = runtime.torch_device if runtime.device_map is None else "cpu"
    for file, prefix in files.items():
        tensors = {
            our_name(prefix + own_name): tensor.to(device, dtype)
            for own_name, tensor in read_tensors(file)
            if not (prefix and is_of_another_model(own_name))
        }
        model.load_state_dict(tensors, strict=False, assign=True)


def is_of_another_model(own_name: str) -> bool:
    """Of a tensor in the tower's folder: CLIP's repository also holds its text half, and positions, which are computed."""
    return not own_name.startswith("vision_model.") or own_name.endswith(".position_ids")
